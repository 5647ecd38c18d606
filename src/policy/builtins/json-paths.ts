/**
 * json.filter and json.remove: parts of a document, by paths. The module has them itself, but leaves its
 * memory when a path is empty.
 */
import { RegoNumber, RegoObject, RegoSet, typeName, type Value } from '../values/values.ts'
import { BuiltinError, type Builtins, collection, object } from './builtin.ts'

export const jsonPaths: Builtins = {
  'json.filter': operands => filter(object(operands, 0), treeOf(collection(operands, 1))),
  'json.remove': operands => remove(object(operands, 0), treeOf(collection(operands, 1))),
}

/** Paths laid on one another: what is null in it is the end of a path. */
function treeOf(paths: readonly Value[]): RegoObject {
  const root = new RegoObject()
  for (const path of paths.map(segments)) {
    const last = path.pop()
    // A shorter path has everything below it already.
    const node = path.reduce<RegoObject | undefined>((at, key) => at && branch(at, key), root)
    if (node && last !== undefined) node.set(last, null)
  }
  return root
}

function branch(node: RegoObject, key: Value): RegoObject | undefined {
  const child = node.get(key)
  if (child === null) return undefined
  if (child instanceof RegoObject) return child
  const fresh = new RegoObject()
  node.set(key, fresh)
  return fresh
}

function segments(path: Value): Value[] {
  if (Array.isArray(path)) return [...path]
  if (typeof path !== 'string') {
    throw new BuiltinError(
      `operand 2 must be one of {set, array} containing string paths or array of path segments but got ${typeName(path)}`,
    )
  }
  if (path === '') return []
  const parts = path.replace(/^\/+/, '').split('/')
  return parts.map(part => part.replaceAll('~1', '/').replaceAll('~0', '~'))
}

/** What the tree has of a value; lists close up. */
function filter(value: Value, tree: Value): Value {
  if (!(tree instanceof RegoObject)) return value
  if (value instanceof RegoObject) {
    return new RegoObject(
      [...value].flatMap(([key, member]) => kept(tree.get(key), at => [key, filter(member, at)] as const)),
    )
  }
  if (value instanceof RegoSet)
    return new RegoSet(listOf([...value].map(member => kept(tree.get(member), at => filter(member, at)))))
  if (Array.isArray(value))
    return listOf(value.map((member, i) => kept(tree.get(String(i)), at => filter(member, at))))
  return value
}

function kept<T>(at: Value | undefined, keep: (at: Value) => T): T[] {
  return at === undefined ? [] : [keep(at)]
}

/** One level only: members may be lists themselves. */
function listOf(parts: readonly Value[][]): Value[] {
  return parts.flat()
}

/** A value without what the tree has; undefined when nothing is left of it. */
function remove(value: Value, tree: Value | undefined): Value | undefined {
  if (tree === null) return undefined
  if (!(tree instanceof RegoObject) || value === null || value instanceof RegoNumber) return value
  if (value instanceof RegoObject) {
    const left = [...value].flatMap(([key, member]) =>
      kept(remove(member, tree.get(key)), rest => [key, rest] as const),
    )
    return new RegoObject(left)
  }
  if (value instanceof RegoSet)
    return new RegoSet(listOf([...value].map(member => kept(remove(member, tree.get(member)), rest => rest))))
  if (!Array.isArray(value)) return value
  return listOf(value.map((member, i) => kept(remove(member, tree.get(String(i))), rest => rest)))
}
