/**
 * bits.*: whole numbers as bits, negative ones in two's complement without end.
 *
 * The module has these itself, and takes seconds for a number of some thousand digits, in which nothing
 * looks at the clock.
 */
import { MOST_DIGITS, RegoNumber } from '../values/values.ts'
import { type Builtin, BuiltinError, type Builtins, integer } from './builtin.ts'

export const bits: Builtins = {
  'bits.and': binary((a, b) => a & b),
  'bits.or': binary((a, b) => a | b),
  'bits.xor': binary((a, b) => a ^ b),
  'bits.negate': operands => RegoNumber.of(~integer(operands, 0)),
  'bits.lsh': binary((a, by) => {
    if (by > LONGEST_SHIFT) throw new BuiltinError('the shift is too long', { halt: true })
    return a << unsigned(by)
  }),
  'bits.rsh': binary((a, by) => a >> unsigned(by)),
}

function binary(work: (a: bigint, b: bigint) => bigint): Builtin {
  return operands => RegoNumber.of(work(integer(operands, 0), integer(operands, 1)))
}

/** In bits. */
const LONGEST_SHIFT = BigInt(Math.ceil(MOST_DIGITS * Math.log2(10)))

function unsigned(by: bigint): bigint {
  if (by < 0n)
    throw new BuiltinError('operand 2 must be an unsigned integer number but got a negative integer')
  return by
}
