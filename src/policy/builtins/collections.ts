/** Collections: subsets, paths through graphs, flat lists, and the casts that OPA no longer recommends. */
import { equal, RegoObject, RegoSet, type TypeName, typeName, type Value } from '../values/values.ts'
import {
  array,
  type Builtin,
  BuiltinError,
  type Builtins,
  collection,
  type Evaluation,
  object,
  typeError,
} from './builtin.ts'

export const collections: Builtins = {
  'object.subset': ([all, part]) => {
    const answer = subset(all as Value, part as Value)
    if (answer === undefined)
      throw new BuiltinError('both arguments object.subset must be of the same type or array and set')
    return answer
  },
  'graph.reachable_paths': (operands, evaluation) =>
    paths(object(operands, 0), collection(operands, 1), evaluation),
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

/** There can be as many as 2ⁿ: this looks at the clock. */
function paths(graph: RegoObject, roots: readonly Value[], evaluation: Evaluation): RegoSet {
  const found = new RegoSet()

  /** What was reached on one branch counts as reached on the next: OPA lists such a path cut short. */
  function follow(node: Value, path: readonly Value[], reached: RegoSet): void {
    evaluation.checkpoint()
    const edges = edgesFrom(graph, node)
    const longer = graph.has(node) ? [...path, node] : [...path]
    if (edges.length === 0) found.add(longer)
    for (const neighbour of edges) {
      if (reached.has(neighbour)) {
        found.add(longer)
      } else {
        reached.add(node)
        follow(neighbour, longer, reached)
      }
    }
  }

  for (const root of roots) {
    if (!graph.has(root)) continue
    const edges = edgesFrom(graph, root)
    if (edges.length === 0) found.add([root])
    for (const neighbour of edges) follow(neighbour, [root], new RegoSet([root]))
  }
  return found
}

function edgesFrom(graph: RegoObject, node: Value): Value[] {
  const edges = graph.get(node)
  if (Array.isArray(edges)) return edges
  return edges instanceof RegoSet ? edges.sorted() : []
}
