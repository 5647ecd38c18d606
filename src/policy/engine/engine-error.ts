/**
 * EngineError: why an engine could not be made, or did not answer. Each code is a different duty for the
 * caller; the message is for the operator.
 */
export type EngineErrorCode =
  | 'unsupported_builtin'
  | 'builtin_error'
  | 'trap'
  | 'out_of_memory'
  | 'timed_out'
  | 'bad_data'
  | 'bad_input'
  | 'bad_module'

export class EngineError extends Error {
  override readonly name = 'EngineError'
  /** With `unsupported_builtin`: all that the module calls and the engine does not offer. */
  readonly builtins?: string[]
  /** With `builtin_error`: which one failed, and its operands as Rego terms. */
  builtin?: string
  argument?: string
  constructor(
    readonly code: EngineErrorCode,
    message: string,
    details: { builtins?: string[]; builtin?: string; argument?: string; cause?: unknown } = {},
  ) {
    super(message, { cause: details.cause })
    if (details.builtins) this.builtins = details.builtins
    if (details.builtin !== undefined) this.builtin = details.builtin
    if (details.argument !== undefined) this.argument = details.argument
  }
}
