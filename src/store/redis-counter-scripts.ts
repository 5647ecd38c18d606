/**
 * What is done to counters in Redis, in Lua, so that nothing can come between a check and its charge.
 * Every key is named by the caller and all have the same hash tag, so a cluster keeps them on one node.
 *
 * Leases end by Redis's own clock: gateways whose clocks differ must not end each other's.
 *
 * Three kinds of counters: a set of leases; a hash of a window that ends at once, `used` and `ends`; and
 * a hash of one that rolls, a field for each slot with what was used and when it was charged last, and
 * `sum`, `oldest` and `newest`, so that most requests read one slot.
 */
import type { Script } from './redis-client.ts'

const CLOCK = `
local time = redis.call('TIME')
local clock = time[1] * 1000 + math.floor(time[2] / 1000)
local function text(number) return string.format('%.17g', number) end
`

/** The window of a counter, if it runs: what was used, and when it ends. */
const RUNNING = `
local function running(key, now)
  local counter = redis.call('HMGET', key, 'used', 'ends')
  if counter[1] and (counter[2] == 'never' or now < tonumber(counter[2])) then
    return tonumber(counter[1]), counter[2]
  end
end
local function held(key)
  redis.call('ZREMRANGEBYSCORE', key, '-inf', clock)
  return redis.call('ZCARD', key)
end
`

/** As `contract/slots.ts` has it. */
const ROLLING = `
local function slotAt(at, length) return text(math.floor(at * 60 / length)) end
local function parsed(slot)
  local used, at = string.match(slot, '^(%S+) (%S+)$')
  return tonumber(used), tonumber(at)
end
local function slots(key)
  local fields, found = redis.call('HGETALL', key), {}
  for i = 1, #fields, 2 do
    if tonumber(fields[i]) then
      local used, at = parsed(fields[i + 1])
      found[#found + 1] = { field = fields[i], used = used, at = at }
    end
  end
  table.sort(found, function(one, other) return one.at < other.at end)
  return found
end
-- Drops what has left, and sums up the rest anew: of additions that are undone, the rounding would stay.
local function tidied(key, time, length)
  local sum, oldest, newest = 0, nil, nil
  for _, slot in ipairs(slots(key)) do
    if slot.at + length <= time then redis.call('HDEL', key, slot.field)
    else sum, oldest, newest = sum + slot.used, oldest or slot.at, slot.at end
  end
  if not oldest then redis.call('DEL', key)
  else redis.call('HSET', key, 'sum', text(sum), 'oldest', text(oldest), 'newest', text(newest)) end
  return sum, newest
end
-- What counts, and when it was charged last.
local function rolled(key, now, length)
  local known = redis.call('HMGET', key, 'sum', 'oldest', 'newest')
  if not known[1] then return 0 end
  local sum, oldest, newest = tonumber(known[1]), tonumber(known[2]), tonumber(known[3])
  local time = math.max(now, newest)
  if oldest + length <= time then return tidied(key, time, length) end
  return sum, newest
end
local function datedAnew(now, newest, length) return newest and newest - now > length end
local function rollingEnds(sum, now, newest, length)
  if not newest or sum < 1e-9 then return 'empty' end
  if datedAnew(now, newest, length) then return text(now + length) end
  return text(newest + length)
end
-- Returns when it was charged: its time does not go back.
local function chargeSlot(key, amount, sum, now, newest, length)
  local at = now
  if datedAnew(now, newest, length) then
    redis.call('DEL', key)
    amount, newest, sum = amount + sum, nil, 0
  elseif newest then at = math.max(now, newest) end
  local field = slotAt(at, length)
  local before = newest and redis.call('HGET', key, field)
  local total = text(sum + amount)
  if before then
    redis.call('HSET', key, field, text(parsed(before) + amount) .. ' ' .. text(at), 'sum', total, 'newest', text(at))
  else
    redis.call('HSET', key, field, text(amount) .. ' ' .. text(at), 'sum', total, 'newest', text(at))
    if not newest then redis.call('HSET', key, 'oldest', text(at)) end
    redis.call('PEXPIRE', key, text(math.ceil(length * 1.05) + 60000))
  end
  return at
end
local function fits(key, excess, now, newest, length)
  if newest and not datedAnew(now, newest, length) then
    for _, slot in ipairs(slots(key)) do
      excess = excess - slot.used
      if excess <= 1e-9 then return slot.at + length end
    end
  end
  return now + length
end
`

/**
 * KEYS: orders, then a counter for each bill. ARGV: id, now, force, lease in ms, seconds to keep the
 * order, then of each bill amount, limit (or `none`), when its window would end (or `lease`, `never`,
 * `rolls`), and the length of one that rolls.
 * @returns `void` when the order was undone before it came; else the refusing bill (or 0), when all
 *   would fit (or `unknown`), and used and end of each counter.
 */
export const TAKE: Script = {
  name: 'sallyportTake',
  text: `${CLOCK}${RUNNING}${ROLLING}
local now, force = tonumber(ARGV[2]), ARGV[3] == '1'
local before = redis.call('HGET', KEYS[1], ARGV[1])
if before == 'void' then return 'void' end
local refused, fitsAt, bills = 0, nil, {}
for i = 2, #KEYS do
  local a = 6 + (i - 2) * 4
  local bill = { key = KEYS[i], amount = tonumber(ARGV[a]), kind = ARGV[a + 2], length = tonumber(ARGV[a + 3]) }
  bills[i - 1] = bill
  if bill.kind == 'lease' then bill.used, bill.ends = held(bill.key), 'lease'
  elseif bill.kind == 'rolls' then bill.used, bill.newest = rolled(bill.key, now, bill.length)
  else
    bill.used, bill.ends = running(bill.key, now)
    if not bill.used then bill.used, bill.ends = 0, bill.kind end
  end
  if not force and not before and ARGV[a + 1] ~= 'none' then
    local excess = bill.used + bill.amount - tonumber(ARGV[a + 1])
    if excess > 1e-9 then
      if refused == 0 then refused = i - 1 end
      local at
      if bill.kind == 'rolls' then at = fits(bill.key, excess, now, bill.newest, bill.length)
      else at = tonumber(bill.ends) end
      if at and (not fitsAt or at > fitsAt) then fitsAt = at end
    end
  end
end
if refused == 0 and not before then
  local kept = {}
  for i, bill in ipairs(bills) do
    if bill.kind == 'rolls' then
      bill.newest = chargeSlot(bill.key, bill.amount, bill.used, now, bill.newest, bill.length)
      kept[i] = 'slot' .. slotAt(bill.newest, bill.length)
    else kept[i] = bill.ends end
    bill.used = bill.used + bill.amount
    if bill.kind == 'lease' then
      if bill.amount > 0 then
        redis.call('ZADD', bill.key, clock + tonumber(ARGV[4]), ARGV[1])
        redis.call('PEXPIRE', bill.key, ARGV[4])
      end
    elseif bill.kind ~= 'rolls' then
      redis.call('HSET', bill.key, 'used', text(bill.used), 'ends', bill.ends)
      if bill.ends ~= 'never' then
        redis.call('PEXPIRE', bill.key, text(math.max(60000, math.ceil(tonumber(bill.ends) - now) + 60000)))
      end
    end
  end
  redis.call('HSET', KEYS[1], ARGV[1], table.concat(kept, ','))
  redis.call('EXPIRE', KEYS[1], ARGV[5])
end
local answer = { refused, fitsAt and text(fitsAt) or 'unknown' }
for _, bill in ipairs(bills) do
  answer[#answer + 1] = text(bill.used)
  answer[#answer + 1] = bill.ends or rollingEnds(bill.used, now, bill.newest, bill.length)
end
return answer
`,
}

/**
 * KEYS: orders, then counters. ARGV: of each order its id, `undo` or anything else, how many bills it had,
 * and of each bill which key it charged and by how much that changes. An order is settled once. One
 * that is undone and not there is marked, should it still come.
 */
export const SETTLE: Script = {
  name: 'sallyportSettle',
  text: `
local function text(number) return string.format('%.17g', number) end
local function corrected(number, difference)
  local after = tonumber(number) + difference
  if after < 1e-9 then return 0 end
  return after
end
local function correctSlot(key, field, difference)
  local slot = redis.call('HMGET', key, field, 'sum')
  if not slot[1] then return end
  local used, at = string.match(slot[1], '^(%S+) (%S+)$')
  local after = corrected(used, difference)
  local sum = corrected(slot[2], after - tonumber(used))
  redis.call('HSET', key, field, text(after) .. ' ' .. at, 'sum', text(sum))
end
local i = 1
while ARGV[i] do
  local id, undo, bills = ARGV[i], ARGV[i + 1] == 'undo', tonumber(ARGV[i + 2])
  local kept = redis.call('HGET', KEYS[1], id)
  if kept and kept ~= 'void' then
    redis.call('HDEL', KEYS[1], id)
    local bill = 0
    for ends in string.gmatch(kept, '[^,]+') do
      local key = KEYS[tonumber(ARGV[i + 3 + bill * 2])]
      local difference = tonumber(ARGV[i + 4 + bill * 2])
      local slot = string.match(ends, '^slot(.*)$')
      if difference == 0 then
        -- As it was reserved.
      elseif ends == 'lease' then redis.call('ZREM', key, id)
      elseif slot then correctSlot(key, slot, difference)
      else
        local counter = redis.call('HMGET', key, 'used', 'ends')
        if counter[1] and counter[2] == ends then
          redis.call('HSET', key, 'used', text(corrected(counter[1], difference)))
        end
      end
      bill = bill + 1
    end
  elseif undo and not kept then
    redis.call('HSET', KEYS[1], id, 'void')
  end
  i = i + 3 + bills * 2
end
`,
}

/**
 * KEYS: counters. ARGV: now, then for each `lease`, `rolls` or anything else, and the length of one that
 * rolls. @returns used and end of each.
 */
export const LOOK: Script = {
  name: 'sallyportLook',
  text: `${CLOCK}${RUNNING}${ROLLING}
local now, answer = tonumber(ARGV[1]), {}
for i = 1, #KEYS do
  local used, ends, newest
  local kind, length = ARGV[i * 2], tonumber(ARGV[i * 2 + 1])
  if kind == 'lease' then used, ends = held(KEYS[i]), 'lease'
  elseif kind == 'rolls' then
    used, newest = rolled(KEYS[i], now, length)
    ends = rollingEnds(used, now, newest, length)
  else used, ends = running(KEYS[i], now) end
  answer[#answer + 1] = text(used or 0)
  answer[#answer + 1] = ends or kind
end
return answer
`,
}

/**
 * KEYS: gateways, orders, then counters of leases. ARGV: gateway, lease in ms, seconds to keep orders,
 * then of each lease which key and which order. @returns how many gateways live.
 */
export const RENEW: Script = {
  name: 'sallyportRenew',
  text: `${CLOCK}
redis.call('ZADD', KEYS[1], clock + tonumber(ARGV[2]), ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', clock)
redis.call('EXPIRE', KEYS[2], ARGV[3])
for i = 4, #ARGV, 2 do
  local key = KEYS[tonumber(ARGV[i])]
  redis.call('ZADD', key, clock + tonumber(ARGV[2]), ARGV[i + 1])
  redis.call('PEXPIRE', key, ARGV[2])
end
return redis.call('ZCARD', KEYS[1])
`,
}
