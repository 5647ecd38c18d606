/**
 * Conformance: the engine by itself, for a test suite of Rego to run against. The package's export
 * `sallyport/conformance`.
 *
 * Answers are text, so that no digit of a number is lost on the way.
 */
import { createEngine } from './engine/engine.ts'
import { readTerm, writeTerm } from './values/terms.ts'

export interface Policy {
  /** A compiled policy; its first entrypoint is the one that is asked. */
  wasm: Uint8Array
  /** The base data document, as JSON text. */
  dataText?: string | undefined
  /** What a failing builtin does: throw with code `builtin_error`, or have no value (OPA's default). */
  builtinErrors?: 'refuse' | 'undefined' | undefined
}

/** Neither: there is no input, which is not the same as `null`. */
export interface Question {
  inputText?: string | undefined
  /** A Rego term, where the input is not JSON. */
  inputTerm?: string | undefined
}

export interface Subject {
  /** @returns the result set as exact JSON text: `[{"result": …}]`, or `[]` when undefined. */
  evaluate(question?: Question): string
  close(): void
}

/** @throws EngineError, among them `unsupported_builtin` */
export async function load(policy: Policy): Promise<Subject> {
  const { wasm, dataText = '{}', builtinErrors = 'undefined' } = policy
  const engine = createEngine({ wasm, dataText, builtinErrors })
  const entrypoint = engine.entrypoints[0] as string

  return {
    evaluate({ inputText, inputTerm } = {}) {
      const input =
        inputTerm !== undefined
          ? { term: writeTerm(readTerm(inputTerm)) }
          : inputText !== undefined
            ? { json: inputText }
            : undefined
      const instant = { nowNs: BigInt(Date.now()) * 1_000_000n, seed: 'conformance' }
      const answer = engine.evaluateWith(entrypoint, input, instant)
      return answer === undefined ? '[]' : `[{"result":${answer}}]`
    },
    close: () => engine.close(),
  }
}
