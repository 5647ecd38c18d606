/**
 * What is done in Redis to shelves and usage, in Lua, so that nothing can come between a check and what
 * follows from it. Every key is named by the caller and all have the same hash tag, so a cluster keeps
 * them on one node.
 */
import type { Script } from './redis-client.ts'

/** KEYS: one of its own. Whether anything can be written. */
export const PROBE: Script = {
  name: 'sallyportProbe',
  text: "redis.call('SET', KEYS[1], '1', 'PX', 1000)",
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
