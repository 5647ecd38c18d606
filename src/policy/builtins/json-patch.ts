/**
 * json.patch: RFC 6902 over Rego's values, as OPA widens it: paths may be lists of any keys, and sets can
 * be patched too, where a path names the member itself.
 *
 * A patch that cannot be applied has no value; only an operand of the wrong type is a failure.
 */
import { equal, RegoNumber, RegoObject, RegoSet, type Value } from '../values/values.ts'
import { array, type Builtins } from './builtin.ts'

export const jsonPatch: Builtins = {
  'json.patch': operands => {
    const patches = array(operands, 1)
    try {
      return patches.reduce<Document>(apply, operands[0])
    } catch (cause) {
      if (cause instanceof Inapplicable) return undefined
      throw cause
    }
  },
}

/** Undefined: the whole document has been removed. */
type Document = Value | undefined

class Inapplicable extends Error {}

function apply(document: Document, patch: Value): Document {
  if (!(patch instanceof RegoObject)) throw new Inapplicable()
  const path = pathOf(attribute(patch, 'path'))
  switch (attribute(patch, 'op')) {
    case 'add':
      return insert(document, path, attribute(patch, 'value'))
    case 'remove':
      return remove(document, path)
    case 'replace':
      attribute(patch, 'value')
      return insert(remove(document, path), path, attribute(patch, 'value'))
    case 'move': {
      const from = pathOf(attribute(patch, 'from'))
      return insert(remove(document, from), path, read(document, from))
    }
    case 'copy':
      return insert(document, path, read(document, pathOf(attribute(patch, 'from'))))
    case 'test':
      if (!equal(read(document, path), attribute(patch, 'value'))) throw new Inapplicable()
      return document
    default:
      throw new Inapplicable()
  }
}

function attribute(patch: RegoObject, name: string): Value {
  const value = patch.get(name)
  if (value === undefined) throw new Inapplicable()
  return value
}

/** A JSON pointer, with or without its first slash, or a list of keys. */
function pathOf(path: Value): Value[] {
  if (Array.isArray(path)) return path
  if (typeof path !== 'string') throw new Inapplicable()
  if (path === '') return []
  return path
    .replace(/^\/+/, '')
    .split('/')
    .map(part => part.replaceAll('~1', '/').replaceAll('~0', '~'))
}

function read(document: Document, path: readonly Value[]): Value {
  const found = path.reduce<Document>((value, key) => child(value, key), document)
  if (found === undefined) throw new Inapplicable()
  return found
}

function child(value: Document, key: Value): Document {
  if (value instanceof RegoObject) return value.get(key)
  if (value instanceof RegoSet) return value.has(key) ? key : undefined
  return Array.isArray(value) ? value[indexOf(value, key)] : undefined
}

function insert(document: Document, path: readonly Value[], value: Value): Value {
  const [key, ...rest] = path
  if (key === undefined) return value
  if (rest.length > 0) return changed(document, key, inner => insert(inner, rest, value))
  if (document instanceof RegoObject) return new RegoObject([...document, [key, value]])
  if (document instanceof RegoSet && equal(key, value)) return new RegoSet([...document, value])
  if (!Array.isArray(document)) throw new Inapplicable()
  const index = indexOf(document, key)
  if (index > document.length) throw new Inapplicable()
  return document.toSpliced(index, 0, value)
}

function remove(document: Document, path: readonly Value[]): Document {
  const [key, ...rest] = path
  if (document === undefined) throw new Inapplicable()
  if (key === undefined) return undefined
  if (rest.length > 0) return changed(document, key, inner => remove(inner, rest) as Value)
  if (child(document, key) === undefined) throw new Inapplicable()
  if (Array.isArray(document)) return document.toSpliced(indexOf(document, key), 1)
  if (document instanceof RegoSet) return new RegoSet([...document].filter(member => !equal(member, key)))
  return new RegoObject([...(document as RegoObject)].filter(([name]) => !equal(name, key)))
}

/** The document with what a key leads to changed. */
function changed(document: Document, key: Value, change: (inner: Value) => Value): Value {
  const inner = child(document, key)
  if (inner === undefined) throw new Inapplicable()
  const next = change(inner)
  if (document instanceof RegoObject) return new RegoObject([...document, [key, next]])
  if (Array.isArray(document)) return document.with(indexOf(document, key), next)
  return new RegoSet([...(document as RegoSet)].map(member => (equal(member, key) ? next : member)))
}

function indexOf(list: readonly Value[], key: Value): number {
  if (key === '-') return list.length
  const text = key instanceof RegoNumber ? key.text : key
  if (typeof text !== 'string' || !/^(?:0|[1-9]\d*)$/.test(text)) throw new Inapplicable()
  return Number(text)
}
