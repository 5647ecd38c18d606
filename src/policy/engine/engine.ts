/**
 * Engine: one policy module and its data, ready to answer.
 *
 * The only door to `@open-policy-agent/opa-wasm`, which loads the module and its data. The instance is
 * ours, with our own imports: the SDK's pass the operands of builtins as JSON (sets become lists,
 * nanoseconds lose digits) and prefer its own builtins, some of which are wrong. An evaluation calls the
 * module's exports directly: the SDK drops an input that is falsy and takes one it cannot parse for none.
 *
 * An instance that gave up, ran out of memory or was interrupted is thrown away, and the next evaluation
 * makes a new one. Data is loaded once per instance and never replaced in a live one, which can fail open.
 */
import * as sdk from '@open-policy-agent/opa-wasm'
import { failed, NATIVES } from '../builtins/native.ts'
import { BUILTINS } from '../builtins/registry.ts'
import { EngineError } from './engine-error.ts'
import { Abort, type Callable, createHost } from './host.ts'
import { createMachine, type Machine, PAGE_BYTES } from './machine.ts'
import { FIRST_NATIVE, mend } from './mend.ts'

export { EngineError, type EngineErrorCode } from './engine-error.ts'

export interface EngineOptions {
  /** The compiled policy, `policy.wasm`. */
  wasm: Uint8Array
  /** The base data document as JSON text, `{}` when there is none. */
  dataText: string
  /** What a failing builtin does: refuse the decision, or have no value (OPA's default). */
  builtinErrors: 'refuse' | 'undefined'
  /** The ceiling of the module's memory; 64 MiB unless told. */
  maxMemoryBytes?: number
  /** Interrupts an evaluation that runs longer, to some tens of microseconds; see mend.ts. */
  maxEvaluationMs?: number
}

/** When and under which number a decision is made: all it may know besides input, data and revision. */
export interface Instant {
  /** Nanoseconds since the epoch: what `time.now_ns()` answers. */
  nowNs: bigint
  /** The decision's id: `rand.intn` and `uuid.rfc4122` are drawn from it, so that a decision replays. */
  seed: string
}

export interface Engine {
  /** Such as `gateway/decision`, in the order of the module's own numbers. */
  readonly entrypoints: readonly string[]
  readonly requiredBuiltins: readonly string[]
  /**
   * @param inputText - The input document, as well-formed JSON text; undefined for none.
   * @returns the exact JSON text of the entrypoint's value, or undefined when it has none.
   * @throws EngineError; the next evaluation starts clean.
   */
  evaluate(entrypoint: string, inputText: string | undefined, instant: Instant): string | undefined
  close(): void
}

/** An engine that also answers to an input that JSON cannot hold. */
export interface TermEngine extends Engine {
  /** @param input - The input as JSON text or as a term of the module's grammar; undefined for none. */
  evaluateWith(entrypoint: string, input: InputDocument | undefined, instant: Instant): string | undefined
}

export type InputDocument = { readonly json: string } | { readonly term: string }

// Its types have the class as a named export; in truth it is on the default one.
const { LoadedPolicy } = (sdk as unknown as { default: typeof sdk }).default

const DEFAULT_MEMORY_BYTES = 64 * 1024 * 1024
/** Measured: what a document takes once parsed, per byte of its JSON. */
const MEMORY_PER_DATA_BYTE = 17
/** For the module itself and the first evaluations. */
const SLACK_BYTES = 1024 * 1024

/** @throws EngineError `bad_module`, `unsupported_builtin`, `bad_data`, `out_of_memory` */
export function createEngine(options: EngineOptions): TermEngine {
  const dataText = checkedData(options.dataText)
  const module = compile(options.wasm)
  const host = createHost(options)
  const maxBytes = options.maxMemoryBytes ?? DEFAULT_MEMORY_BYTES
  let loaded: Loaded | undefined = load()
  const { entrypoints, requiredBuiltins } = loaded

  function load(): Loaded {
    const memory = createMemory(dataText, maxBytes)
    try {
      return instantiate(module, memory, host, dataText)
    } catch (cause) {
      throw translate(cause, isTight(memory, maxBytes), 'bad_data')
    }
  }

  function evaluateWith(
    entrypoint: string,
    input: InputDocument | undefined,
    instant: Instant,
  ): string | undefined {
    const id = entrypoints.get(entrypoint)
    if (id === undefined) throw new EngineError('bad_input', `no entrypoint ${entrypoint}`)
    loaded ??= load()
    host.begin(instant)
    let resultSet: string
    try {
      resultSet = run(loaded, id, input)
    } catch (cause) {
      const { memory } = loaded.machine
      loaded = undefined
      // A builtin that failed before is the better explanation.
      throw host.end() ?? translate(cause, isTight(memory, maxBytes), 'trap')
    }
    const failure = host.end()
    if (failure) throw failure
    return resultOf(resultSet)
  }

  return {
    entrypoints: [...entrypoints.keys()],
    requiredBuiltins,
    evaluate: (entrypoint, inputText, instant) =>
      evaluateWith(entrypoint, inputText === undefined ? undefined : { json: inputText }, instant),
    evaluateWith,
    close() {
      loaded = undefined
    },
  }
}

/** A machine with its data in place. */
interface Loaded {
  machine: Machine
  /** Where the data is, and where the heap begins that an evaluation may use. */
  data: number
  heap: number
  entrypoints: ReadonlyMap<string, number>
  requiredBuiltins: string[]
}

function instantiate(
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
  host: ReturnType<typeof createHost>,
  dataText: string,
): Loaded {
  const machine = createMachine(module, memory, host.env)
  const declared = JSON.parse(
    machine.read(machine.exports.opa_json_dump(machine.exports.builtins())),
  ) as Record<string, number>
  host.attach(machine, callables(declared))
  const { instance } = machine
  const policy = new LoadedPolicy({ instance, module }, memory, minorVersion(machine))
  policy.setData(new TextEncoder().encode(dataText).buffer)
  const entrypoints = Object.entries(policy.entrypoints as Record<string, number>)
  return {
    machine,
    data: policy.dataAddr,
    heap: policy.dataHeapPtr,
    entrypoints: new Map(entrypoints.sort((a, b) => a[1] - b[1])),
    requiredBuiltins: Object.keys(declared).sort(),
  }
}

/** @throws EngineError `unsupported_builtin`, with all names, so that one reading mends a policy */
function callables(declared: Readonly<Record<string, number>>): Map<number, Callable> {
  const missing = Object.keys(declared)
    .filter(name => !BUILTINS.has(name))
    .sort()
  if (missing.length > 0) {
    throw new EngineError('unsupported_builtin', `builtins not offered: ${missing.join(', ')}`, {
      builtins: missing,
    })
  }
  const callables = new Map<number, Callable>()
  for (const [name, id] of Object.entries(declared))
    callables.set(id, { name, run: BUILTINS.get(name) as Callable['run'] })
  ;[...NATIVES.keys()].forEach((name, i) => {
    callables.set(FIRST_NATIVE + i, { name, run: BUILTINS.get(name) ?? failed })
  })
  return callables
}

function run({ machine, data, heap }: Loaded, entrypoint: number, input: InputDocument | undefined): string {
  const { exports } = machine
  exports.opa_heap_ptr_set(heap)
  const context = exports.opa_eval_ctx_new()
  if (input) exports.opa_eval_ctx_set_input(context, placeInput(machine, input))
  exports.opa_eval_ctx_set_data(context, data)
  exports.opa_eval_ctx_set_entrypoint(context, entrypoint)
  exports.eval(context)
  return machine.read(exports.opa_json_dump(exports.opa_eval_ctx_get_result(context)))
}

/** @throws EngineError `bad_input`: taken for undefined, a bad input could fail open. */
function placeInput(machine: Machine, input: InputDocument): number {
  const isJson = 'json' in input
  const { address, bytes } = machine.write(isJson ? input.json : input.term)
  try {
    const value = machine.exports[isJson ? 'opa_json_parse' : 'opa_value_parse'](address, bytes)
    if (value !== 0) return value
  } catch (cause) {
    if (!(cause instanceof Abort) || cause.message === NO_MEMORY) throw cause
    throw new EngineError('bad_input', `the input is not well-formed: ${cause.message}`, { cause })
  }
  throw new EngineError('bad_input', 'the input is not JSON')
}

const RESULT_START = '[{"result":'
const RESULT_END = '}]'

/** The one value of a result set, without reading it: its digits stay as they are. */
function resultOf(resultSet: string): string | undefined {
  if (resultSet === '[]') return undefined
  if (!resultSet.startsWith(RESULT_START)) throw new EngineError('trap', 'the module answered no result set')
  return resultSet.slice(RESULT_START.length, -RESULT_END.length)
}

function compile(wasm: Uint8Array): WebAssembly.Module {
  try {
    return new WebAssembly.Module(mend(wasm))
  } catch (cause) {
    if (cause instanceof EngineError) throw cause
    throw new EngineError('bad_module', 'the policy is not a WebAssembly module', { cause })
  }
}

function minorVersion(machine: Machine): number {
  return (machine.exports.opa_wasm_abi_minor_version as WebAssembly.Global | undefined)?.value ?? 0
}

/** Sized for the data at once: growing page by page takes minutes for some megabytes. */
function createMemory(dataText: string, maxBytes: number): WebAssembly.Memory {
  const initial = Math.ceil((dataText.length * MEMORY_PER_DATA_BYTE + SLACK_BYTES) / PAGE_BYTES)
  const maximum = Math.floor(maxBytes / PAGE_BYTES)
  return new WebAssembly.Memory({ initial: Math.min(initial, maximum), maximum })
}

/** @returns the text with lone surrogates as U+FFFD, as Go reads it: the module's parser gives up on one. */
function checkedData(text: string): string {
  try {
    JSON.parse(text)
  } catch (cause) {
    throw new EngineError('bad_data', 'the data is not JSON', { cause })
  }
  return text.replace(ESCAPE, found => (LONE.test(found) ? '\\ufffd' : found))
}

const ESCAPE = /\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|u....|.)/g
const LONE = /^\\u[dD][89a-fA-F]..$/

/** What the module's malloc gives up with. */
const NO_MEMORY = 'opa_malloc: failed'

/** Whether there was so little room that a write beyond the end means that there was none. */
function isTight({ buffer }: WebAssembly.Memory, maxBytes: number): boolean {
  return buffer.byteLength > maxBytes / 2
}

/** Whatever a module or the SDK throws, in our words. */
function translate(cause: unknown, isTight: boolean, otherwise: 'trap' | 'bad_data'): EngineError {
  if (cause instanceof EngineError) return cause
  const message = cause instanceof Error ? cause.message : String(cause)
  // Older modules do not look whether their memory grew.
  const outside = isTight && message.includes('out of bounds')
  return new EngineError(outside || message === NO_MEMORY ? 'out_of_memory' : otherwise, message, { cause })
}
