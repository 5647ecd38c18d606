/**
 * Recorded: a decision that was made before, read from its line in an audit log, ours or OPA's.
 *
 * What the policy was asked is cut out of the line as it stands, since a number that is read and written
 * again may not be the same.
 */
import { membersOf, startOfMember } from '../../contract/json-members.ts'

export interface Recorded {
  readonly id: string
  /** As in the record; empty where it says none. */
  readonly timestamp: string
  /** The input document as it was kept, JSON text. */
  readonly input: string
  /** The decision, JSON text; undefined when the policy had none. */
  result(): string | undefined
  /** Whether the decision is, to the letter, this text. */
  isResult(text: string): boolean
  /** JSON text of a list of JSON pointers: what was left out of the input, or changed in it. */
  readonly erased: string
  /** What `time.now_ns()` answered. */
  readonly nowNs: bigint
}

/** `other` is a record without a question to the policy; `torn` is none at all. */
export type Reading = Recorded | 'other' | 'torn'

export function readRecorded(line: string, entrypoint: string): Reading {
  // Outcomes are half of a log. A line is ours when its chain ends it.
  if (line.startsWith('{"event":"outcome",')) return line.endsWith('}') ? 'other' : 'torn'
  const members = membersOf(line)
  if (!members) return 'torn'
  const event = members.get('event')
  const erased = both(members.get('erased'), members.get('masked'))
  // What was asked and is left out whole is a question all the same, if one that cannot be put again.
  const input = members.get('input') ?? (isLeftOut(erased) ? NO_INPUT : undefined)
  if ((event !== undefined && event !== '"decision"') || input === undefined) return 'other'
  if (!isOf(members.get('path'), entrypoint)) return 'other'
  const result = members.get('result')
  // Without a result the policy had no answer, unless it was not asked for one.
  if (result === undefined && members.get('code') !== '"policy_error"' && event !== undefined) {
    if (!erased.includes('"/result"')) return 'other'
  }
  const timestamp = stringIn(members.get('timestamp'))
  const nowNs = instantIn(input) ?? nanoseconds(timestamp)
  if (nowNs === undefined) return 'other'
  return {
    id: stringIn(members.get('decision_id')),
    timestamp,
    input,
    result: () => result,
    isResult: text => text === result,
    erased,
    nowNs,
  }
}

/** As the gateway's own records begin and end, in the order in which it writes their members. */
const OWN = '{"event":"decision","decision_id":"'
const OWN_END = /^,"erased":(\[[^\]]*\]),"chain":\{"seq":\d+,"prev":"[0-9a-f]{64}","hash":"[0-9a-f]{64}"\}\}$/
const INSTANT = ',"time":{"now_ns":'

/**
 * Reads a record of our own in a third of the time, by the way in which the gateway writes them: the input
 * is taken to end where an instant stands. If that stood in the middle of it, what is cut out is no JSON,
 * the policy cannot be asked, and the line is to be read in full.
 *
 * @returns Undefined for any line that is not just like that.
 */
export function readQuickly(line: string, entrypoint: string): Recorded | undefined {
  if (!line.startsWith(OWN)) return undefined
  const tail = line.lastIndexOf(',"erased":[')
  const erased = tail < 0 ? undefined : OWN_END.exec(line.slice(tail))?.[1]
  if (erased === undefined) return undefined
  const members = new Map<string, string>()
  const start = startOfMember(line, 'input', members)
  const instant = line.indexOf(INSTANT, start)
  const close = line.indexOf('}}', instant)
  const now = line.slice(instant + INSTANT.length, close)
  if (start < 0 || instant < 0 || !/^\d{1,19}$/.test(now) || !line.startsWith(RESULT, close + 2))
    return undefined
  if (!isOf(members.get('path'), entrypoint)) return undefined
  const resultAt = close + 2 + RESULT.length
  return {
    id: stringIn(members.get('decision_id')),
    timestamp: stringIn(members.get('timestamp')),
    input: line.slice(start, close + 2),
    // A value that stands there whole is the value: no JSON text is the beginning of another object's.
    isResult: text => line.startsWith(text, resultAt),
    result: () => membersOf(line)?.get('result'),
    erased,
    nowNs: BigInt(now),
  }
}

const RESULT = ',"result":'

/** Whether a line holds a decision that can be made again. */
export function isRecorded(line: string, entrypoint: string): boolean {
  return typeof readRecorded(line, entrypoint) === 'object'
}

/** OPA writes the path of a query as it came, with or without a slash before it. */
function isOf(path: string | undefined, entrypoint: string): boolean {
  return path === undefined || path === '' || stringIn(path).replace(/^\//, '') === entrypoint
}

const NOTHING = '[]'
const NO_INPUT = '{}'

function isLeftOut(erased: string): boolean {
  return pointersIn(erased).includes('/input')
}

/** OPA names what its masks removed and what they changed in two lists. */
function both(erased = NOTHING, masked = NOTHING): string {
  if (masked === NOTHING) return erased
  return erased === NOTHING ? masked : JSON.stringify([...pointersIn(erased), ...pointersIn(masked)])
}

export function pointersIn(text: string): string[] {
  try {
    const list: unknown = JSON.parse(text)
    return Array.isArray(list) ? list.map(String) : []
  } catch {
    return []
  }
}

/** As the gateway writes it: the last member of the outermost object, so its object ends the text. */
const AT_THE_END = /[,{]"time":\{"now_ns":(\d{1,19})\}\}$/

/** @returns What `input.time.now_ns` says, to the last digit. */
export function instantIn(input: string): bigint | undefined {
  const atTheEnd = AT_THE_END.exec(input.length > 80 ? input.slice(-80) : input)?.[1]
  if (atTheEnd !== undefined) return BigInt(atTheEnd)
  const time = membersOf(input)?.get('time')
  const text = time === undefined ? undefined : membersOf(time)?.get('now_ns')
  return text !== undefined && /^\d{1,19}$/.test(text) ? BigInt(text) : undefined
}

/** RFC 3339, as OPA writes it: with up to nine digits of a second. */
function nanoseconds(timestamp: string): bigint | undefined {
  const [, whole, fraction = '', zone] = /^(.*:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/.exec(timestamp) ?? []
  const ms = whole === undefined ? Number.NaN : Date.parse(`${whole}${zone}`)
  return Number.isNaN(ms) ? undefined : BigInt(ms) * 1_000_000n + BigInt(fraction.padEnd(9, '0'))
}

function stringIn(text: string | undefined): string {
  if (text === undefined || !text.startsWith('"')) return ''
  return text.includes('\\') ? String(JSON.parse(text)) : text.slice(1, -1)
}
