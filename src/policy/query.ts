/**
 * Query: what a revision says of a path into `data`, as OPA's data API would, as far as a compiled policy can.
 *
 * A compiled policy answers its entrypoints and knows its base data; of other rules nothing is left.
 */

import type { Instant } from './engine/engine.ts'
import type { Revision } from './revision.ts'
import { canonicalJson, readJson } from './values/canonical-json.ts'
import { RegoNumber, RegoObject, type Value } from './values/values.ts'

export interface Query {
  /** Below `data`; empty for all of it. */
  readonly path: readonly string[]
  /** JSON text; undefined where the question brings no input. */
  readonly inputText: string | undefined
  readonly instant: Instant
}

/** @returns JSON text; undefined where nothing is defined. @throws GatewayError `policy_error` */
export function query(revision: Revision, { path, inputText, instant }: Query): string | undefined {
  let found = at(baseOf(revision), path)
  for (const entrypoint of revision.entrypoints) {
    const rule = entrypoint.split('/')
    if (!sharesStart(rule, path)) continue
    const text = revision.ask(entrypoint, inputText, instant)
    const answer = text === undefined ? undefined : readJson(text)
    if (rule.length <= path.length) {
      if (answer !== undefined) found = at(answer, path.slice(rule.length))
    } else found = withRule(found, rule.slice(path.length), answer)
  }
  return found === undefined ? undefined : canonicalJson(found)
}

/** Read when it is first asked for, and as long as its revision lives. */
const bases = new WeakMap<Revision, Value>()

function baseOf(revision: Revision): Value {
  const known = bases.get(revision)
  if (known !== undefined) return known
  const base = readJson(revision.dataText)
  bases.set(revision, base)
  return base
}

function sharesStart(rule: readonly string[], path: readonly string[]): boolean {
  return rule.every((part, index) => index >= path.length || part === path[index])
}

function at(document: Value, path: readonly string[]): Value | undefined {
  let node: Value | undefined = document
  for (const part of path) {
    if (node instanceof RegoObject) node = node.get(part)
    else if (Array.isArray(node) && /^\d{1,9}$/.test(part)) node = node[Number(part)]
    else return undefined
  }
  return node
}

/** The document with a rule's answer in it; base data is copied where it is added to. A package is there even where its rule is not. */
function withRule(document: Value | undefined, rule: readonly string[], answer: Value | undefined): Value {
  const copy = new RegoObject()
  if (document instanceof RegoObject) for (const [key, value] of document) copy.set(key, value)
  const [name, ...rest] = rule as [string, ...string[]]
  if (rest.length > 0) copy.set(name, withRule(copy.get(name), rest, answer))
  else if (answer !== undefined) copy.set(name, answer)
  return copy
}

/** What `time.now_ns()` answers: as for a request, the instant that the input names. */
export function nowNsOf(inputText: string | undefined): bigint | undefined {
  if (inputText === undefined) return undefined
  const nowNs = at(readJson(inputText), ['time', 'now_ns'])
  return nowNs instanceof RegoNumber && /^\d{1,30}$/.test(nowNs.text) ? BigInt(nowNs.text) : undefined
}
