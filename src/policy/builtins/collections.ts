/** Collections: subsets, paths through graphs, flat lists, and the casts that OPA no longer recommends. */
import { equal, RegoObject, RegoSet, type TypeName, typeName, type Value } from '../values.ts'
import { array, type Builtin, BuiltinError, type Builtins, collection, object, typeError } from './builtin.ts'

export const collections: Builtins = {
  'object.subset': ([all, part]) => {
    const answer = subset(all as Value, part as Value)
    if (answer === undefined)
      throw new BuiltinError('both arguments object.subset must be of the same type or array and set')
    return answer
  },
  'graph.reachable_paths': operands => paths(object(operands, 0), collection(operands, 1)),
  'array.flatten': operands =>
    array(operands, 0).flatMap(member => (Array.isArray(member) ? member : [member])),
  cast_array: operands => collection(operands, 0),
  cast_set: operands => new RegoSet(collection(operands, 0)),
  cast_string: only('string'),
  cast_boolean: only('boolean'),
  cast_null: only('null'),
  cast_object: only('object'),
  trace: () => true,
}

function only(type: TypeName): Builtin {
  return ([value]) => {
    if (typeName(value as Value) !== type) throw typeError(0, type, value as Value)
    return value
  }
}

/** @returns undefined when the two cannot be compared */
function subset(all: Value, part: Value): boolean | undefined {
  if (all instanceof RegoObject && part instanceof RegoObject) return objectSubset(all, part)
  if (all instanceof RegoSet && part instanceof RegoSet) return [...part].every(member => all.has(member))
  if (Array.isArray(all) && Array.isArray(part)) return contains(all, part)
  if (Array.isArray(all) && part instanceof RegoSet) return containsEach(all, part)
  return undefined
}

function objectSubset(all: RegoObject, part: RegoObject): boolean {
  return [...part].every(([key, wanted]) => {
    const value = all.get(key)
    if (value === undefined) return false
    if (equal(value, wanted)) return true
    return typeName(value) === typeName(wanted) && subset(value, wanted) === true
  })
}

/** In one piece, somewhere. */
function contains(all: readonly Value[], part: readonly Value[]): boolean {
  for (let at = 0; at + part.length <= all.length; at++) {
    if (part.every((member, i) => equal(member, all[at + i] as Value))) return true
  }
  return false
}

/** Counts members as often as the list has them, as OPA does. */
function containsEach(all: readonly Value[], part: RegoSet): boolean {
  return all.length > 0 && all.filter(member => part.has(member)).length >= part.size
}

function paths(graph: RegoObject, roots: readonly Value[]): RegoSet {
  const found = new RegoSet()
  for (const root of roots) {
    if (!graph.has(root)) continue
    const edges = edgesFrom(graph, root)
    if (edges.length === 0) found.add([root])
    for (const neighbour of edges) follow(graph, neighbour, [root], new RegoSet([root]), found)
  }
  return found
}

/** What was reached on one branch counts as reached on the next: OPA lists such a path once, cut short. */
function follow(
  graph: RegoObject,
  node: Value,
  path: readonly Value[],
  reached: RegoSet,
  found: RegoSet,
): void {
  if (!graph.has(node)) {
    found.add([...path])
    return
  }
  const longer = [...path, node]
  const edges = edgesFrom(graph, node)
  if (edges.length === 0) found.add(longer)
  for (const neighbour of edges) {
    if (reached.has(neighbour)) {
      found.add(longer)
    } else {
      reached.add(node)
      follow(graph, neighbour, longer, reached, found)
    }
  }
}

function edgesFrom(graph: RegoObject, node: Value): Value[] {
  const edges = graph.get(node)
  if (Array.isArray(edges)) return edges
  return edges instanceof RegoSet ? edges.sorted() : []
}
