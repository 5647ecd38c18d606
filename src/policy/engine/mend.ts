/**
 * Mend: a module from `opa build`, changed where no host could otherwise help.
 *
 * - A builtin that is linked into the module has no value both where OPA's has none and where OPA's fails;
 *   a deny rule that meets an odd input would fall silent. Now it asks the host, which knows which it is.
 * - Some of them are wrong (`replace(s, "", x)` never returns; `::ffff:10.1.2.3` is not in `10.0.0.0/8`):
 *   the host answers for those.
 * - `calloc` allocates one member of what it is asked for, and so products of numbers with hundreds of digits
 *   come out wrong, over memory that is something else's.
 * - A number's hash takes as many steps as its exponent says, and differs for `0.1` and `1e-1`: neither
 *   would be found in a set that has the other.
 * - Nothing in a module looks at a clock. Whatever iterates, allocates or compares now counts, and each
 *   few thousand times lets the host look. That costs about a nanosecond each; Node's own way to interrupt
 *   (`node:vm` with a timeout) costs a thread, 60 µs, for each decision.
 *
 * Functions are found by name, so the module must have its name section, as `opa build` writes it.
 */
import { NATIVES } from '../builtins/native.ts'
import { BUILTINS } from '../builtins/registry.ts'
import { MOST_DIGITS } from '../values/values.ts'
import { EngineError } from './engine-error.ts'
import { type Body, i32, join, type ModuleParts, takeApart, u32 } from './wasm-binary.ts'

/** The number a module calls `opa_builtin0` with to let the host look at the clock. */
export const TICK = 0xffff
/** It calls `opa_builtin3` with this one to have a number's text read as a float64. */
export const FLOAT = 0xfffe
/** Natives call the host with this number and those after it, in the order of NATIVES. */
export const FIRST_NATIVE = 0x10000
/** So many countings pass between two looks: some tens of microseconds. */
const TICK_EVERY = 4096
/** Where libmpdec keeps a number's exponent and its count of digits. */
const DECIMAL_EXPONENT = 4
const DECIMAL_DIGITS = 8

// biome-ignore format: a table
const OP = {
  block: 0x02, loop: 0x03, if: 0x04, else: 0x05, end: 0x0b, br: 0x0c, brIf: 0x0d, return: 0x0f, call: 0x10, drop: 0x1a,
  localGet: 0x20, localTee: 0x22, globalGet: 0x23, globalSet: 0x24,
  i32Load: 0x28, i32Load8U: 0x2d, i32Const: 0x41, i32Eqz: 0x45, i32Eq: 0x46, i32LtS: 0x48, i32LtU: 0x49,
  i32GtU: 0x4b, i32LeU: 0x4d,
  i32Add: 0x6a, i32Sub: 0x6b, i32Mul: 0x6c, i32And: 0x71, i32Or: 0x72, i32ShrU: 0x76,
} as const
/** Of a load: the address is a multiple of 2². */
const WORD_ALIGNED = 2
/** The module's number for a value that is a set. */
const SET_TYPE = 7
const DIGIT_ZERO = 0x30
/** So many digits a float64 holds exactly. */
const LONGEST_EXACT = 15
const I32 = 0x7f
const NO_RESULT = 0x40

/** One step, or one more for each 64 characters that are compared. */
const STEP = [OP.i32Const, 1]
const STEP_PER_LENGTH = [OP.localGet, 2, OP.i32Const, 6, OP.i32ShrU, ...STEP, OP.i32Add]
/** What every loop over values, every allocation and every search goes through. */
const COUNTED: readonly [symbol: string, weight: readonly number[]][] = [
  ['opa_value_iter', STEP],
  ['opa_malloc', STEP],
  ['opa_value_compare', STEP],
  ['opa_strncmp', STEP_PER_LENGTH],
]

/** @throws EngineError `bad_module` when it is none that `opa build` wrote */
export function mend(wasm: Uint8Array): Uint8Array {
  try {
    const module = takeApart(wasm)
    if (!module.names.has('opa_malloc'))
      throw new EngineError('bad_module', 'the policy has no function names')
    mendNatives(module)
    allocateWhole(module)
    readFloats(module)
    refuseHugeNumbers(module)
    countSteps(module)
    return module.toBytes()
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause
    throw new EngineError('bad_module', 'the policy is not a WebAssembly module', { cause })
  }
}

function mendNatives(module: ModuleParts): void {
  const done = new Set<number>()
  let id = FIRST_NATIVE
  for (const [name, native] of NATIVES) {
    const callHost = hostCall(module, id++, native.operands)
    const index = module.names.get(native.symbol)
    if (index === undefined || done.has(index) || module.parameters(index) !== native.operands) continue
    done.add(index)
    const own = native.errs ? ownAnswer(module, index, native.operands, callHost) : undefined
    const odd = own && oddOperands(module, name, native.operands)
    if (own && odd)
      module.replace(index, body(1, [...odd, [OP.if, I32], callHost, [OP.else], ...own, [OP.end, OP.end]]))
    else if (BUILTINS.has(name)) module.replace(index, body(0, [callHost, [OP.end]]))
    else if (own) module.replace(index, body(1, [...own, [OP.end]]))
  }
}

type Code = readonly (Uint8Array | readonly number[])[]

/** The function moves to the end of the module; these call it, and ask the host when it has no value. */
function ownAnswer(module: ModuleParts, index: number, operands: number, callHost: Uint8Array): Code {
  const moved = module.append(index, module.body(index))
  const answer = u32(operands)
  return [
    ...locals(operands),
    [OP.call, ...u32(moved)],
    [OP.localTee, ...answer],
    [OP.if, I32, OP.localGet, ...answer, OP.else],
    callHost,
    [OP.end],
  ]
}

/** For natives that are right but for some operands: finds whether these are such, and the host is to answer. */
function oddOperands(module: ModuleParts, name: string, operands: number): Code | undefined {
  switch (name) {
    case 'concat':
      // A set has another order here than in OPA.
      return [[OP.localGet, 1, ...call(module, 'opa_value_type'), OP.i32Const, SET_TYPE, OP.i32Eq]]
    case 'div': {
      // 0/0 would be the end of the module, and a request may bring both.
      const divisor = operands
      return [
        [OP.localGet, 1, ...call(module, 'opa_number_to_bf'), OP.localTee, divisor, OP.if, I32],
        [OP.localGet, divisor, ...call(module, 'mpd_iszero'), OP.else, OP.i32Const, 0, OP.end],
      ]
    }
  }
  return undefined
}

function allocateWhole(module: ModuleParts): void {
  const index = module.names.get('calloc')
  if (index === undefined) return
  const bytes = 2
  module.replace(
    index,
    body(1, [
      [OP.localGet, 0, OP.localGet, 1, OP.i32Mul, OP.localTee, bytes, ...call(module, 'malloc')],
      [OP.i32Const, 0, OP.localGet, bytes, ...call(module, 'memset'), OP.end],
    ]),
  )
}

/**
 * What hashes of numbers are made from. The host reads them exactly, whatever way they are written; the
 * module's own way is left what it does right and faster, short texts of digits and nothing else.
 */
function readFloats(module: ModuleParts): void {
  const index = module.names.get('opa_atof64')
  if (index === undefined) return
  const own = module.append(index, module.body(index))
  const [address, length, at] = [0, 1, 3]
  module.replace(
    index,
    body(1, [
      [OP.block, NO_RESULT],
      [OP.localGet, length, OP.localTee, at, OP.i32Const, LONGEST_EXACT, OP.i32GtU, OP.brIf, 0],
      [OP.block, NO_RESULT, OP.loop, NO_RESULT],
      [OP.localGet, at, OP.i32Eqz, OP.brIf, 1],
      [OP.localGet, address, OP.localGet, at, OP.i32Const, 1, OP.i32Sub, OP.localTee, at, OP.i32Add],
      [OP.i32Load8U, 0, 0, OP.i32Const, DIGIT_ZERO, OP.i32Sub, OP.i32Const, 10, OP.i32LtU, OP.brIf, 0],
      [OP.br, 2, OP.end, OP.end],
      ...locals(3),
      [OP.call, ...u32(own), OP.return, OP.end],
      hostCall(module, FLOAT, 3),
      [OP.end],
    ]),
  )
}

/**
 * Arithmetic takes its operands through one function. With `1e100000000` it would be busy for hours, and a
 * request may bring one; now that is no number to it. Comparison goes through the same function, takes no
 * longer for such a number, and would not expect that answer: it gets the number.
 */
function refuseHugeNumbers(module: ModuleParts): void {
  const index = module.names.get('opa_number_to_bf')
  if (index === undefined) return
  const comparing = u32(module.appendGlobal(0))
  const moved = module.append(index, module.body(index))
  const decimal = 1
  const load = (offset: number) => [OP.localGet, decimal, OP.i32Load, WORD_ALIGNED, offset]
  module.replace(
    index,
    body(1, [
      [OP.localGet, 0, OP.call, ...u32(moved), OP.localTee, decimal, OP.i32Eqz],
      [OP.globalGet, ...comparing, OP.i32Or],
      [OP.if, I32, OP.localGet, decimal, OP.else],
      // 0 ≤ exponent + limit ≤ 2 × limit, as one unsigned comparison.
      [...load(DECIMAL_EXPONENT), OP.i32Const, ...i32(MOST_DIGITS), OP.i32Add],
      [OP.i32Const, ...i32(2 * MOST_DIGITS), OP.i32LeU],
      [...load(DECIMAL_DIGITS), OP.i32Const, ...i32(MOST_DIGITS), OP.i32LeU, OP.i32And],
      [OP.if, I32, OP.localGet, decimal, OP.else, OP.i32Const, 0, OP.end],
      [OP.end, OP.end],
    ]),
  )
  const compare = module.names.get('opa_value_compare_number')
  if (compare === undefined) return
  const own = module.append(compare, module.body(compare))
  const mark = (now: 0 | 1) => [OP.i32Const, now, OP.globalSet, ...comparing]
  module.replace(compare, body(0, [mark(1), ...locals(2), [OP.call, ...u32(own)], mark(0), [OP.end]]))
}

function countSteps(module: ModuleParts): void {
  const counter = u32(module.appendGlobal(TICK_EVERY))
  const look = join([
    [OP.globalGet, ...counter, OP.i32Const, 0, OP.i32LtS, OP.if, NO_RESULT],
    [OP.i32Const, ...i32(TICK_EVERY), OP.globalSet, ...counter],
    hostCall(module, TICK, 0),
    [OP.drop, OP.end],
  ])
  for (const [symbol, weight] of COUNTED) {
    const index = module.names.get(symbol)
    if (index === undefined) continue
    const { locals, code } = module.body(index)
    const count = [OP.globalGet, ...counter, ...weight, OP.i32Sub, OP.globalSet, ...counter]
    module.replace(index, { locals, code: join([look, count, code]) })
  }
}

function call(module: ModuleParts, symbol: string): number[] {
  const index = module.names.get(symbol)
  if (index === undefined)
    throw new EngineError('bad_module', `the policy has no ${symbol}, as OPA's policies have`)
  return [OP.call, ...u32(index)]
}

/** Instructions that call `opa_builtinN(id, no context, operands…)` and leave its answer. */
function hostCall(module: ModuleParts, id: number, operands: number): Uint8Array {
  const dispatcher = module.imports.get(`opa_builtin${operands}`)
  if (dispatcher === undefined) throw new EngineError('bad_module', 'the policy was not compiled by OPA')
  return join([[OP.i32Const, ...i32(id), OP.i32Const, 0], ...locals(operands), [OP.call, ...u32(dispatcher)]])
}

function locals(count: number): number[][] {
  return Array.from({ length: count }, (_, i) => [OP.localGet, i])
}

function body(i32Locals: number, code: Code): Body {
  return { locals: Uint8Array.from(i32Locals === 0 ? [0] : [1, i32Locals, I32]), code: join(code) }
}
