/**
 * bits.*: whole numbers as bits, negative ones in two's complement without end.
 *
 * The module has these itself, and takes a second for a number of ten thousand digits, in which nothing
 * looks at the clock.
 */
import { RegoNumber } from '../values.ts'
import { type Builtin, BuiltinError, type Builtins, integer } from './builtin.ts'

export const bits: Builtins = {
  'bits.and': binary((a, b) => a & b),
  'bits.or': binary((a, b) => a | b),
  'bits.xor': binary((a, b) => a ^ b),
  'bits.negate': operands => RegoNumber.of(~integer(operands, 0)),
  'bits.lsh': binary((a, by) => a << shift(by)),
  'bits.rsh': binary((a, by) => a >> shift(by)),
}

function binary(work: (a: bigint, b: bigint) => bigint): Builtin {
  return operands => RegoNumber.of(work(integer(operands, 0), integer(operands, 1)))
}

/** Ten thousand digits, as many as arithmetic takes. */
const LONGEST_SHIFT = 33_219n

function shift(by: bigint): bigint {
  if (by < 0n)
    throw new BuiltinError('operand 2 must be an unsigned integer number but got a negative integer')
  if (by > LONGEST_SHIFT) throw new BuiltinError('the shift is too long', { halt: true })
  return by
}
