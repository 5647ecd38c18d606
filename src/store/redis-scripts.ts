/**
 * What is done in Redis, in Lua, so that nothing can come between a check and its charge. Every
 * key is named by the caller and all have the same hash tag, so a cluster keeps them on one node.
 *
 * Leases end by Redis's own clock: gateways whose clocks differ must not end each other's.
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

/**
 * KEYS: orders, then a counter for each bill. ARGV: id, now, force, lease in ms, seconds to keep the
 * order, then of each bill amount, limit (or `none`), and when its window would end (or `lease`, `never`).
 * @returns `void` when the order was undone before it came; else the refusing bill (or 0), and used
 *   and end of each counter.
 */
export const TAKE: Script = {
  name: 'sallyportTake',
  text: `${CLOCK}${RUNNING}
local now, force = tonumber(ARGV[2]), ARGV[3] == '1'
local before = redis.call('HGET', KEYS[1], ARGV[1])
if before == 'void' then return 'void' end
local refused, used, ends = 0, {}, {}
for i = 2, #KEYS do
  local a = 6 + (i - 2) * 3
  if ARGV[a + 2] == 'lease' then
    used[i], ends[i] = held(KEYS[i]), 'lease'
  else
    used[i], ends[i] = running(KEYS[i], now)
    if not used[i] then used[i], ends[i] = 0, ARGV[a + 2] end
  end
  if refused == 0 and not force and not before and ARGV[a + 1] ~= 'none'
    and used[i] + tonumber(ARGV[a]) > tonumber(ARGV[a + 1]) + 1e-9 then refused = i - 1 end
end
if refused == 0 and not before then
  local kept = {}
  for i = 2, #KEYS do
    local amount = tonumber(ARGV[6 + (i - 2) * 3])
    used[i] = used[i] + amount
    kept[#kept + 1] = ends[i]
    if ends[i] == 'lease' then
      if amount > 0 then
        redis.call('ZADD', KEYS[i], clock + tonumber(ARGV[4]), ARGV[1])
        redis.call('PEXPIRE', KEYS[i], ARGV[4])
      end
    else
      redis.call('HSET', KEYS[i], 'used', text(used[i]), 'ends', ends[i])
      if ends[i] ~= 'never' then
        redis.call('PEXPIRE', KEYS[i], text(math.max(60000, math.ceil(tonumber(ends[i]) - now) + 60000)))
      end
    end
  end
  redis.call('HSET', KEYS[1], ARGV[1], table.concat(kept, ','))
  redis.call('EXPIRE', KEYS[1], ARGV[5])
end
local answer = { refused }
for i = 2, #KEYS do
  answer[#answer + 1] = text(used[i])
  answer[#answer + 1] = ends[i]
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
      if ends == 'lease' then
        if difference ~= 0 then redis.call('ZREM', key, id) end
      elseif difference ~= 0 then
        local counter = redis.call('HMGET', key, 'used', 'ends')
        if counter[1] and counter[2] == ends then
          local used = tonumber(counter[1]) + difference
          if used < 1e-9 then redis.call('DEL', key)
          else redis.call('HSET', key, 'used', string.format('%.17g', used)) end
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

/** KEYS: counters. ARGV: now, then for each `lease` or anything else. @returns used and end of each. */
export const LOOK: Script = {
  name: 'sallyportLook',
  text: `${CLOCK}${RUNNING}
local answer = {}
for i = 1, #KEYS do
  local used, ends
  if ARGV[i + 1] == 'lease' then used, ends = held(KEYS[i]), 'lease'
  else used, ends = running(KEYS[i], tonumber(ARGV[1])) end
  answer[#answer + 1] = text(used or 0)
  answer[#answer + 1] = ends or ARGV[i + 1]
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

/**
 * KEYS: shelf, stamps. ARGV: id, version that was read, new document as JSON without version and
 * stamp (or empty: remove), channel, now.
 * @returns the document, 1 when it was removed, or nothing when another was faster.
 */
export const WRITE: Script = {
  name: 'sallyportWrite',
  text: `
local known = redis.call('HGET', KEYS[1], ARGV[1])
local version = 0
if known then
  local document = cjson.decode(known)
  if document.keep_until == cjson.null or document.keep_until == nil or tonumber(ARGV[5]) < document.keep_until then
    version = document.version
  end
end
if version ~= tonumber(ARGV[2]) then return false end
local answer = 1
if ARGV[3] == '' then
  redis.call('HDEL', KEYS[1], ARGV[1])
else
  local stamp = redis.call('INCR', KEYS[2])
  answer = '{"version":' .. (version + 1) .. ',"stamp":' .. stamp .. ',' .. string.sub(ARGV[3], 2)
  redis.call('HSET', KEYS[1], ARGV[1], answer)
end
redis.call('PUBLISH', ARGV[4], ARGV[1])
return answer
`,
}

/** KEYS: shelf. ARGV: id, or nothing for all. @returns id and document, one after the other. */
export const READ: Script = {
  name: 'sallyportRead',
  text: `
if not ARGV[1] then return redis.call('HGETALL', KEYS[1]) end
local document = redis.call('HGET', KEYS[1], ARGV[1])
if document then return { ARGV[1], document } end
return {}
`,
}

/** KEYS: shelf. ARGV: now. Removes what is kept no longer. */
export const SWEEP: Script = {
  name: 'sallyportSweep',
  text: `
local documents = redis.call('HGETALL', KEYS[1])
for i = 1, #documents, 2 do
  local document = cjson.decode(documents[i + 1])
  if type(document.keep_until) == 'number' and document.keep_until <= tonumber(ARGV[1]) then
    redis.call('HDEL', KEYS[1], documents[i])
  end
end
`,
}

/**
 * KEYS: batches, days, then one for each day. ARGV: gateway, number of the batch, then of each row
 * which key, its name, and four numbers. A batch is added once.
 */
export const ADD_USAGE: Script = {
  name: 'sallyportAddUsage',
  text: `
if tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or 0) >= tonumber(ARGV[2]) then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
for i = 3, #ARGV, 7 do
  local key = KEYS[tonumber(ARGV[i])]
  redis.call('SADD', KEYS[2], ARGV[i + 1])
  for member = 0, 3 do
    if tonumber(ARGV[i + 3 + member]) ~= 0 then
      redis.call('HINCRBYFLOAT', key, ARGV[i + 2] .. ' ' .. member, ARGV[i + 3 + member])
    end
  end
end
return 1
`,
}

/** KEYS: days. @returns all of them. */
export const DAYS: Script = { name: 'sallyportDays', text: `return redis.call('SMEMBERS', KEYS[1])` }
