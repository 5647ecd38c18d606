/**
 * Builtin: the shape of a host builtin, and how it reads its operands.
 *
 * A builtin answers a value, or undefined where OPA's has no answer, or throws BuiltinError where OPA's
 * fails. Whether a failure refuses the decision or is undefined is the engine's to say.
 */
import { RegoNumber, RegoObject, RegoSet, type TypeName, typeName, type Value } from '../values/values.ts'

/** What a builtin may know besides its operands: nothing that a replay of the decision would not have. */
export interface Evaluation {
  /** Nanoseconds since the epoch. */
  readonly nowNs: bigint
  /** What chance is drawn from. */
  readonly seed: string
  /** Within work that can take long: ends the evaluation when its time is up. */
  checkpoint(): void
}

export type Builtin = (operands: Value[], evaluation: Evaluation) => Value | undefined

export type Builtins = Readonly<Record<string, Builtin>>

/** `halt`: ends the evaluation even where failures are undefined, as OPA's Halt does. */
export class BuiltinError extends Error {
  override readonly name = 'BuiltinError'
  readonly halt: boolean
  constructor(message: string, options: { halt?: boolean; cause?: unknown } = {}) {
    super(message, { cause: options.cause })
    this.halt = options.halt ?? false
  }
}

/** @returns a type error in OPA's words: `operand 1 must be string but got number`. */
export function typeError(position: number, wanted: string, got: Value): BuiltinError {
  return new BuiltinError(`operand ${position + 1} must be ${wanted} but got ${typeName(got)}`)
}

function reader<T extends Value>(type: TypeName, is: (value: Value) => value is T) {
  return (operands: readonly Value[], position: number): T => {
    const value = operands[position] as Value
    if (!is(value)) throw typeError(position, type, value)
    return value
  }
}

export const string = reader('string', (value): value is string => typeof value === 'string')
export const boolean = reader('boolean', (value): value is boolean => typeof value === 'boolean')
export const number = reader('number', (value): value is RegoNumber => value instanceof RegoNumber)
export const array = reader('array', (value): value is Value[] => Array.isArray(value))
export const object = reader('object', (value): value is RegoObject => value instanceof RegoObject)
export const set = reader('set', (value): value is RegoSet => value instanceof RegoSet)

/** An operand that must be an integer of 64 bits. */
export function integer(operands: readonly Value[], position: number): bigint {
  const value = number(operands, position).toBigInt()
  if (value === undefined)
    throw new BuiltinError(`operand ${position + 1} must be integer number but got floating-point number`)
  return value
}

/** As `integer`, for counts and widths: refused beyond what a JavaScript number holds exactly. */
export function smallInteger(operands: readonly Value[], position: number): number {
  const value = Number(integer(operands, position))
  if (!Number.isSafeInteger(value)) throw new BuiltinError(`operand ${position + 1} is out of range`)
  return value
}

/** The members of an operand that must be an array or a set, in Rego's order. */
export function collection(operands: readonly Value[], position: number): Value[] {
  const value = operands[position] as Value
  if (Array.isArray(value)) return value
  if (value instanceof RegoSet) return value.sorted()
  throw typeError(position, 'one of {array, set}', value)
}

/** The members of a collection that must all be strings. */
export function strings(operands: readonly Value[], position: number): string[] {
  return collection(operands, position).map(member => {
    if (typeof member !== 'string') {
      throw new BuiltinError(
        `operand ${position + 1} must be array of strings but got array containing ${typeName(member)}`,
      )
    }
    return member
  })
}
