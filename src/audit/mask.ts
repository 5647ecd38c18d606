/**
 * Mask: takes out of a record what the policy does not want a sink to see, removes it, or puts another value
 * or a keyed hash in its place.
 *
 * Works on the text, so that what is left keeps its digits. What cannot be masked as it was asked for is not
 * written at all: everything that a mask may reach is left out then.
 */
import { createHmac } from 'node:crypto'
import { elementsOf, membersOf } from '../contract/json-members.ts'

/** As OPA's, and `hash`: equal values give equal hashes, and nobody without the key can try values out. */
interface Rule {
  readonly op: 'remove' | 'upsert' | 'hash'
  /** The parts of a JSON pointer. */
  readonly path: readonly string[]
  /** JSON text. */
  readonly value: string
}

/** A mask that is no mask; the message names no value. */
export class BadMask extends Error {
  override readonly name = 'BadMask'
}

/** The members of a record that a mask may name. */
const REACHABLE = [
  'input',
  'result',
  'response',
  'principal',
  'requested_by',
  'request_id',
  'http',
  'labels',
  'limits',
  'error',
]

/** What the record holds twice: whoever masks one means both. */
const TWINS: readonly (readonly [string, string])[] = [
  ['/input/principal', '/principal'],
  ['/input/request/client_ip', '/requested_by'],
  ['/input/request/id', '/request_id'],
  ['/input/request/method', '/http/method'],
  ['/input/request/path', '/http/path'],
]

/**
 * @param record - A JSON object, as the record is without a mask.
 * @param answer - What the rule answered: JSON text of a list; undefined where it has nothing to mask.
 * @param key - For hashes.
 * @throws BadMask when a rule is none, or wants a hash where there is no key.
 */
export function masked(record: string, answer: string | undefined, key: string | undefined): string {
  const rules = rulesIn(answer)
  if (rules.length === 0) return record
  const members = membersOf(record)
  if (!members) throw new BadMask('the record is no object')
  const erased: string[] = []
  const changed: string[] = []
  for (const rule of rules.flatMap(withTwins)) {
    if (!apply(members, rule, key)) continue
    const list = rule.op === 'remove' ? erased : changed
    const pointer = pointerOf(rule.path)
    if (!list.includes(pointer)) list.push(pointer)
  }
  return withLists(members, erased, changed)
}

/** The record with all that a mask may reach left out, and why. */
export function withheld(record: string, reason: string): string {
  const members = membersOf(record) ?? new Map<string, string>()
  const erased: string[] = []
  for (const name of REACHABLE) {
    if (name === 'http' && members.has(name)) {
      remove(members, ['http', 'path'])
      erased.push('/http/path')
    } else if (members.delete(name)) erased.push(`/${name}`)
  }
  const { erased: before, chain: _, ...rest } = Object.fromEntries(members)
  const all = [...new Set([...listIn(before), ...erased])]
  return textOf(
    new Map([
      ...Object.entries(rest),
      ['mask_error', JSON.stringify(reason)],
      ['erased', JSON.stringify(all)],
    ]),
  )
}

function rulesIn(answer: string | undefined): Rule[] {
  if (answer === undefined || answer === '[]') return []
  const texts = elementsOf(answer)
  if (!texts) throw new BadMask('not a set')
  return texts.map(ruleIn)
}

function ruleIn(text: string): Rule {
  if (text.startsWith('"')) return { op: 'remove', path: partsIn(JSON.parse(text)), value: '' }
  const members = membersOf(text)
  if (!members) throw new BadMask('neither a pointer nor an object')
  const op = JSON.parse(members.get('op') ?? 'null') as unknown
  if (op !== 'remove' && op !== 'upsert' && op !== 'hash')
    throw new BadMask('an op that is not remove, upsert or hash')
  return {
    op,
    path: partsIn(JSON.parse(members.get('path') ?? 'null')),
    value: members.get('value') ?? 'null',
  }
}

function partsIn(pointer: unknown): string[] {
  if (typeof pointer !== 'string' || !pointer.startsWith('/'))
    throw new BadMask('a path that is no JSON pointer')
  const parts = pointer
    .slice(1)
    .split('/')
    .map(part => part.replaceAll('~1', '/').replaceAll('~0', '~'))
  if (!REACHABLE.includes(parts[0] as string)) throw new BadMask('a path to what cannot be masked')
  return parts
}

function pointerOf(path: readonly string[]): string {
  return path.map(part => `/${part.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
}

/** Twins come last: the mask itself is what `erased` names first. */
function withTwins(rule: Rule): Rule[] {
  const pointer = pointerOf(rule.path)
  const twins = TWINS.filter(([one]) => pointer === one || pointer.startsWith(`${one}/`)).map(
    ([one, other]) => partsIn(other + pointer.slice(one.length)),
  )
  return [rule, ...twins.map(path => ({ ...rule, path }))]
}

type Members = Map<string, string>

/** @returns Whether there was anything to do. */
function apply(members: Members, rule: Rule, key: string | undefined): boolean {
  const { path } = rule
  if (rule.op === 'remove') return remove(members, path)
  if (rule.op === 'upsert') return edit(members, path, () => rule.value, true)
  if (key === undefined) throw new BadMask('a hash without audit.maskKey')
  return edit(members, path, text => JSON.stringify(keyedHash(text, key)), false)
}

function keyedHash(text: string, key: string): string {
  const value = text.startsWith('"') ? String(JSON.parse(text)) : text
  return `hmac-sha256:${createHmac('sha256', key).update(value).digest('hex')}`
}

function remove(members: Members, path: readonly string[]): boolean {
  return edit(members, path, () => undefined, false)
}

/**
 * Changes what stands at a path.
 * @param change - Undefined removes it.
 * @param makes - Whether objects on the way, and the last member, are made where they are not.
 */
function edit(
  members: Members,
  path: readonly string[],
  change: (text: string) => string | undefined,
  makes: boolean,
): boolean {
  const [name, ...rest] = path as [string, ...string[]]
  const before = members.get(name) ?? (makes ? '{}' : undefined)
  if (before === undefined) return false
  if (rest.length === 0) {
    const after = change(before)
    if (after === undefined) members.delete(name)
    else members.set(name, after)
    return true
  }
  const after = editedBelow(before, rest, change, makes)
  if (after !== undefined) members.set(name, after)
  return after !== undefined
}

/** @returns Undefined when there was nothing to do. */
function editedBelow(
  text: string,
  path: readonly string[],
  change: (text: string) => string | undefined,
  makes: boolean,
): string | undefined {
  const elements = elementsOf(text)
  if (elements) {
    // Each element by its index; one more is never made.
    const members: Members = new Map(elements.map((element, index) => [String(index), element]))
    if (!members.has(path[0] as string) || !edit(members, path, change, makes)) return undefined
    return `[${[...members.values()].join(',')}]`
  }
  const members = membersOf(text)
  return members && edit(members, path, change, makes) ? textOf(members) : undefined
}

function withLists(members: Members, erased: readonly string[], changed: readonly string[]): string {
  const all = [...new Set([...listIn(members.get('erased')), ...erased])]
  members.delete('erased')
  members.set('erased', JSON.stringify(all))
  if (changed.length > 0) members.set('masked', JSON.stringify(changed))
  return textOf(members)
}

function listIn(text: string | undefined): string[] {
  return text === undefined ? [] : (JSON.parse(text) as string[])
}

function textOf(members: ReadonlyMap<string, string>): string {
  return `{${[...members].map(([name, text]) => `${JSON.stringify(name)}:${text}`).join(',')}}`
}
