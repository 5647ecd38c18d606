/**
 * Parts of `input` as JSON text, and of what lives longer than a request the text is made once.
 */
import type { PoolFacts, Principal } from '../contract/input.schema.ts'
import { quote } from '../contract/quote.ts'
import { CREDENTIAL_HEADERS } from '../contract/request.ts'
import { withoutLoneSurrogates } from './values/well-formed.ts'

export function headersText(
  headers: ReadonlyMap<string, string>,
  isWanted = (_name: string) => true,
): string {
  let text = ''
  for (const [name, value] of headers) {
    if (!CREDENTIAL_HEADERS.has(name) && isWanted(name)) text += (text && ',') + labelOf(name) + quote(value)
  }
  return `{${text}}`
}

/** Callers use few names, many times. */
const labels = new Map<string, string>()
const MOST_LABELS = 1000
const LONGEST_NAME = 64

function labelOf(name: string): string {
  const known = labels.get(name)
  if (known !== undefined) return known
  const label = `${quote(name)}:`
  if (name.length > LONGEST_NAME) return label
  if (labels.size >= MOST_LABELS) labels.clear()
  labels.set(name, label)
  return label
}

export function queryText(search: string): string {
  if (search.length < 2) return '{}'
  const query = new Map<string, string[]>()
  for (const [name, value] of new URLSearchParams(search)) {
    const values = query.get(name)
    if (values) values.push(value)
    else query.set(name, [value])
  }
  return `{${[...query].map(([name, values]) => `${quote(name)}:${JSON.stringify(values)}`).join(',')}}`
}

/** A principal lives as long as its key: its text is made once. */
const principalTexts = new WeakMap<Principal, string>()

export function principalText(principal: Principal): string {
  const known = principalTexts.get(principal)
  if (known !== undefined) return known
  const text = withoutLoneSurrogates(JSON.stringify(principal))
  principalTexts.set(principal, text)
  return text
}

export function grantsText(grants: readonly object[] | undefined): string {
  return grants && grants.length > 0 ? withoutLoneSurrogates(JSON.stringify(grants)) : '[]'
}

/** Models are those of the config, and their text is made once. */
const listTexts = new WeakMap<readonly string[], string>()

export function listText(list: readonly string[]): string {
  const known = listTexts.get(list)
  if (known !== undefined) return known
  const text = JSON.stringify(list)
  listTexts.set(list, text)
  return text
}

export function poolsText(pools: Readonly<Record<string, PoolFacts>>): string {
  let text = ''
  for (const name of Object.keys(pools)) {
    const { models, healthy, targets, in_flight, queued } = pools[name] as PoolFacts
    const counts = `"healthy":${healthy},"targets":${targets},"in_flight":${in_flight},"queued":${queued}`
    text += `${text && ','}${quote(name)}:{"models":${listText(models)},${counts}}`
  }
  return withoutLoneSurrogates(`{${text}}`)
}
