/**
 * Machine: one instance of a policy module: its memory, and text in and out of it.
 *
 * Addresses are the module's. Text is UTF-8; the module ends it with a zero byte and escapes zeros inside.
 */
import { EngineError } from './engine-error.ts'

export const PAGE_BYTES = 65_536

/** What `opa build` exports, as far as it is used here. */
export interface Exports extends WebAssembly.Exports {
  opa_malloc(bytes: number): number
  opa_heap_ptr_get(): number
  opa_heap_ptr_set(address: number): void
  opa_json_parse(address: number, bytes: number): number
  opa_json_dump(value: number): number
  opa_value_parse(address: number, bytes: number): number
  opa_value_dump(value: number): number
  opa_eval_ctx_new(): number
  opa_eval_ctx_set_input(context: number, value: number): void
  opa_eval_ctx_set_data(context: number, value: number): void
  opa_eval_ctx_set_entrypoint(context: number, id: number): void
  opa_eval_ctx_get_result(context: number): number
  eval(context: number): number
  builtins(): number
  entrypoints(): number
}

export interface Machine {
  readonly memory: WebAssembly.Memory
  readonly instance: WebAssembly.Instance
  readonly exports: Exports
  /** Text at an address, up to its zero byte. */
  read(address: number): string
  /** Reads a decimal number, and puts the float64 nearest to it at an address. */
  putFloat(text: { address: number; bytes: number }, into: number): void
  /** Copies text into the module's heap. @throws EngineError `out_of_memory` */
  write(text: string): { address: number; bytes: number }
}

export function createMachine(
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
  env: WebAssembly.ModuleImports,
): Machine {
  const instance = new WebAssembly.Instance(module, { env: { ...env, memory } })
  const exports = instance.exports as Exports
  let view = Buffer.from(memory.buffer)

  /** Growing the memory detaches the buffer that was taken of it. */
  function bytes(): Buffer {
    if (view.buffer !== memory.buffer) view = Buffer.from(memory.buffer)
    return view
  }

  return {
    memory,
    instance,
    exports,
    read(address) {
      const from = bytes()
      return from.toString('utf8', address, from.indexOf(0, address))
    },
    putFloat({ address, bytes: length }, into) {
      const from = bytes()
      from.writeDoubleLE(floatIn(from, address, address + length), into)
    },
    write(text) {
      const length = Buffer.byteLength(text)
      // The module's malloc does not look whether its memory grew: an address may lie beyond the end.
      const address = exports.opa_malloc(length)
      const into = bytes()
      if (address + length > into.length) throw new EngineError('out_of_memory', 'no room for the input')
      into.write(text, address, length, 'utf8')
      return { address, bytes: length }
    },
  }
}

/** Whole numbers up to this one, and what is made of two of them by one operation, are exact. */
const MOST_EXACT = 2 ** 53
const POWERS = Array.from({ length: 16 }, (_, i) => 10 ** i)

/** As `Number(text)`, and much faster for what is short, such as `12.5`; 0 for -0, as they compare equal. */
function floatIn(bytes: Buffer, from: number, to: number): number {
  let whole = 0
  let point = to
  for (let at = from; at < to; at++) {
    const digit = (bytes[at] as number) - 0x30
    if (digit === -2 && point === to) point = at
    else if (digit < 0 || digit > 9) return Number(bytes.toString('latin1', from, to)) + 0
    else whole = whole * 10 + digit
  }
  const power = POWERS[Math.max(to - point - 1, 0)]
  return whole < MOST_EXACT && power !== undefined
    ? whole / power
    : Number(bytes.toString('latin1', from, to))
}
