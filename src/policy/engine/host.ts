/**
 * Host: what the module imports: its builtins, and its way to give up.
 *
 * A builtin that fails is noted and the evaluation goes on without a value. Throwing through WebAssembly
 * would cost a new instance, since it leaves the module's stack where it was, and a caller who can send a
 * malformed date could then ask for one with each request. The note refuses the decision at the end; until
 * then no other builtin runs.
 */
import { type Builtin, BuiltinError, type Evaluation } from '../builtins/builtin.ts'
import { readTerm, writeTerm } from '../values/terms.ts'
import { EngineError } from './engine-error.ts'
import type { Machine } from './machine.ts'
import { FLOAT, TICK } from './mend.ts'

/** Thrown through the module when it gives up: its state is not to be trusted afterwards. */
export class Abort extends Error {}

/** A builtin the module calls, by the number it calls it with. */
export interface Callable {
  readonly name: string
  readonly run: Builtin
}

export interface Host {
  readonly env: WebAssembly.ModuleImports
  /** Gives the host the instance that its imports belong to, and what the module calls its builtins. */
  attach(machine: Machine, callables: ReadonlyMap<number, Callable>): void
  /** Before an evaluation. */
  begin(instant: Omit<Evaluation, 'checkpoint'>): void
  /** After it. @returns what refuses the decision, if anything does */
  end(): EngineError | undefined
}

/** What the module says of `1e999999999`. It goes on with infinity, if it may: a caller could bring many. */
const BEYOND_EXPONENTS = 'opa_number_to_bf: invalid number'

/** Operands in an audit record are cut to this many characters. */
const ARGUMENT_LENGTH = 1024

/** Longer between two looks than a module can take. */
const PAUSE_MS = 10

export interface HostOptions {
  /** What a failing builtin does: refuse the decision, or have no value. */
  builtinErrors: 'refuse' | 'undefined'
  maxEvaluationMs?: number
}

export function createHost({ builtinErrors, maxEvaluationMs }: HostOptions): Host {
  let machine: Machine
  let callables: ReadonlyMap<number, Callable>
  let instant: Pick<Evaluation, 'nowNs' | 'seed'>
  let failure: EngineError | undefined
  let deadline = Number.POSITIVE_INFINITY
  let looked = 0
  let forgiven = false

  /**
   * The module calls this every few tens of microseconds, whatever it does. Where many milliseconds lie
   * between, the machine was busy with others and not the policy with this: it is forgiven, once.
   */
  function look(): void {
    const at = performance.now()
    if (maxEvaluationMs !== undefined && !forgiven && at - looked > PAUSE_MS) {
      forgiven = true
      deadline = Math.max(deadline, at + maxEvaluationMs)
    }
    looked = at
    if (at > deadline) throw new EngineError('timed_out', `not decided within ${maxEvaluationMs} ms`)
  }

  /** The instant is looked at when a builtin does, and not before: whether one did tells what may be remembered. */
  const evaluation: Evaluation = {
    get nowNs() {
      return instant.nowNs
    },
    get seed() {
      return instant.seed
    },
    checkpoint: look,
  }

  function float(address: number, bytes: number, into: number): number {
    machine.putFloat({ address, bytes }, into)
    return 0
  }

  function call(id: number, addresses: number[]): number {
    if (failure) return 0
    const callable = callables.get(id)
    if (!callable) throw new Abort(`builtin ${id} is not one that the module declares`)
    const terms = addresses.map(address => machine.read(machine.exports.opa_value_dump(address)))
    const answer = ask(callable, terms)
    return answer === undefined ? 0 : place(answer)
  }

  /** @returns the answer as a term, or undefined when there is none. */
  function ask({ name, run }: Callable, terms: readonly string[]): string | undefined {
    try {
      const answer = run(terms.map(readTerm), evaluation)
      return answer === undefined ? undefined : writeTerm(answer)
    } catch (cause) {
      if (cause instanceof EngineError) throw cause
      // Anything but BuiltinError is a fault of ours: it refuses in both modes.
      const halts = !(cause instanceof BuiltinError) || cause.halt
      if (halts || builtinErrors === 'refuse') failure = refusal(name, terms, cause)
      return undefined
    }
  }

  function place(term: string): number {
    const { address, bytes } = machine.write(term)
    const value = machine.exports.opa_value_parse(address, bytes)
    if (value === 0) throw new Abort('the module could not read the answer of a builtin')
    return value
  }

  return {
    env: {
      opa_abort(address: number) {
        if (machine?.read(address) === BEYOND_EXPONENTS) {
          failure ??= new EngineError('bad_input', 'a number has an exponent that no number can have')
          return
        }
        throw new Abort(machine ? machine.read(address) : 'the module gave up while it was made')
      },
      opa_println() {},
      opa_builtin0: (id: number) => (id === TICK ? look() : call(id, [])),
      opa_builtin1: (id: number, _: number, a: number) => call(id, [a]),
      opa_builtin2: (id: number, _: number, a: number, b: number) => call(id, [a, b]),
      opa_builtin3: (id: number, _: number, a: number, b: number, c: number) =>
        id === FLOAT ? float(a, b, c) : call(id, [a, b, c]),
      opa_builtin4: (id: number, _: number, a: number, b: number, c: number, d: number) =>
        call(id, [a, b, c, d]),
    },
    attach(attached, known) {
      machine = attached
      callables = known
      deadline = Number.POSITIVE_INFINITY
    },
    begin(next) {
      instant = next
      failure = undefined
      looked = performance.now()
      forgiven = false
      if (maxEvaluationMs !== undefined) deadline = looked + maxEvaluationMs
    },
    end() {
      // What comes before the next evaluation, such as loading data anew, has time.
      deadline = Number.POSITIVE_INFINITY
      return failure
    },
  }
}

function refusal(builtin: string, terms: readonly string[], cause: unknown): EngineError {
  const reason = cause instanceof Error ? cause.message : String(cause)
  const argument = terms.join(', ').slice(0, ARGUMENT_LENGTH)
  return new EngineError('builtin_error', `${builtin}: ${reason}`, { builtin, argument, cause })
}
