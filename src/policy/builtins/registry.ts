/** Registry: every builtin the host offers, by name. A name that is not here is refused when a bundle loads. */
import type { Builtin } from './builtin.ts'
import { strings } from './strings.ts'
import { time } from './time.ts'

export const BUILTINS: ReadonlyMap<string, Builtin> = new Map(
  [strings, time].flatMap(family => Object.entries(family)),
)
