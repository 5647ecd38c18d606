/**
 * yaml.*: YAML as OPA reads and writes it, which is by way of JSON.
 *
 * The only door to `yaml`. The library finds the structure; what a scalar means is our affair, since it
 * must be what it is in Go. Files that people write for Sallyport are read here too, with their positions.
 */
import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  parseAllDocuments,
  parseDocument,
  type Scalar,
  type YAMLMap,
} from 'yaml'
import { RegoNumber, RegoObject, type Value } from '../values/values.ts'
import { BuiltinError, type Builtins, string } from './builtin.ts'
import { asJson } from './go-json.ts'
import { emitYaml } from './yaml-emit.ts'
import { resolvePlain } from './yaml-scalars.ts'

export const yaml: Builtins = {
  'yaml.unmarshal': operands => readYaml(string(operands, 0)),
  'yaml.marshal': ([value]) => emitYaml(asJson(value as Value)),
  'yaml.is_valid': ([text]) => typeof text === 'string' && isYaml(text),
}

/** Aliases make a document larger than its text: no more values than it has characters, or than this. */
const FEWEST_VALUES = 100_000

function isYaml(text: string): boolean {
  try {
    readYaml(text)
    return true
  } catch (cause) {
    if (cause instanceof BuiltinError) return false
    throw cause
  }
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
const FORBIDDEN = /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]/

/** @returns the first document @throws BuiltinError */
function readYaml(text: string): Value {
  if (FORBIDDEN.test(text)) throw new BuiltinError('yaml: control characters are not allowed')
  if (/^%YAML (?!1\.1\s)/m.test(text)) throw new BuiltinError('yaml: found incompatible YAML document')
  const documents = parseAllDocuments(text, { schema: 'failsafe', uniqueKeys: false, version: '1.1' })
  const [first] = Array.isArray(documents) ? documents : []
  if (!first) return null
  const [error] = first.errors
  if (error) throw new BuiltinError(`yaml: ${error.message}`, { cause: error })
  return new Converter(first, Math.max(text.length, FEWEST_VALUES)).value(first.contents)
}

class Converter {
  private readonly open = new Set<unknown>()
  private values = 0

  constructor(
    private readonly document: Document,
    private readonly mostValues: number,
  ) {}

  value(node: unknown): Value {
    if (++this.values > this.mostValues) throw new BuiltinError('yaml: document contains excessive aliasing')
    if (node === null || node === undefined) return null
    if (isScalar(node)) return scalar(node)
    const target = isAlias(node) ? node.resolve(this.document) : node
    if (target === undefined) throw new BuiltinError('yaml: unknown anchor')
    if (target !== node) return this.value(target)
    if (this.open.has(node)) throw new BuiltinError('yaml: anchor contains itself')
    this.open.add(node)
    const converted = this.composite(node)
    this.open.delete(node)
    return converted
  }

  private composite(node: unknown): Value {
    if (isSeq(node)) return node.items.map(item => this.value(item))
    if (isMap(node)) return this.map(node)
    throw new BuiltinError('yaml: unexpected node')
  }

  private map(node: YAMLMap): RegoObject {
    const merged = new RegoObject()
    const own = new RegoObject()
    for (const { key, value } of node.items) {
      if (isMergeKey(key)) this.merge(merged, this.value(value))
      else own.set(keyText(this.value(key)), this.value(value))
    }
    return new RegoObject([...merged, ...own])
  }

  /** `<<`: what the map has not itself; of several, the first. */
  private merge(into: RegoObject, value: Value): void {
    for (const source of Array.isArray(value) ? value : [value]) {
      if (!(source instanceof RegoObject))
        throw new BuiltinError('yaml: map merge requires map or sequence of maps as the value')
      for (const [key, member] of source) if (!into.has(key)) into.set(key, member)
    }
  }
}

function isMergeKey(key: unknown): boolean {
  return isScalar(key) && key.value === '<<' && key.type === 'PLAIN'
}

function keyText(key: Value): string {
  if (typeof key === 'string') return key
  if (typeof key === 'boolean') return String(key)
  if (key instanceof RegoNumber) return key.text
  throw new BuiltinError('yaml: unsupported map key')
}

function scalar(node: Scalar): Value {
  const text = String(node.value ?? '')
  const tag = node.tag?.replace('tag:yaml.org,2002:', '!!')
  if (tag === '!!binary') return Buffer.from(text, 'base64').toString()
  if (tag === '!!str' || (tag === undefined && node.type !== 'PLAIN')) return text
  return resolvePlain(text)
}

export interface Place {
  readonly line: number
  readonly column: number
}

/** A YAML file that knows where everything in it stands. */
export interface PlacedYaml {
  /** Undefined when there are problems. */
  readonly value: unknown
  readonly problems: readonly (Place & { readonly message: string })[]
  /** Where a value stands, or its nearest parent that exists. `key` asks for its name instead. */
  place(path: readonly (string | number)[], part?: 'value' | 'key'): Place
}

/** As YAML 1.2 reads it: an instant without quotes is a text. */
export function readPlacedYaml(text: string): PlacedYaml {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, merge: true })
  const placeAt = (offset: number): Place => {
    const { line, col } = lines.linePos(offset)
    return { line: Math.max(line, 1), column: Math.max(col, 1) }
  }
  const problems = document.errors.map(({ message, pos }) => ({ message, ...placeAt(pos[0]) }))
  let value: unknown
  try {
    if (problems.length === 0) value = document.toJS()
  } catch (cause) {
    problems.push({ message: (cause as Error).message, ...placeAt(0) })
  }
  return {
    value,
    problems,
    place(path, part = 'value') {
      let node: unknown = document.contents
      let found = offsetOf(node) ?? 0
      for (const [index, step] of path.entries()) {
        const inside = isAlias(node) ? node.resolve(document) : node
        const pair = isMap(inside)
          ? inside.items.find(({ key }) => isScalar(key) && key.value === step)
          : undefined
        node = pair ? pair.value : isSeq(inside) ? inside.items[Number(step)] : undefined
        const wanted = part === 'key' && index === path.length - 1 && pair ? pair.key : node
        const offset = offsetOf(wanted) ?? offsetOf(pair?.key)
        if (offset === undefined) break
        found = offset
      }
      return placeAt(found)
    },
  }
}

function offsetOf(node: unknown): number | undefined {
  return (node as { range?: readonly [number, number, number] | null } | null | undefined)?.range?.[0]
}
