/**
 * Refusals: every way in which the gateway says no, in two voices.
 *
 * The table maps a code to what the caller is told; the message and the cause of a
 * `GatewayError` are for the operator and never leave the process.
 */

interface Refusal {
  readonly status: number
  /** OpenAI's `error.type`, which its SDKs show. */
  readonly type: string
  /** The sentence that the caller reads. */
  readonly title: string
}

export const REFUSALS = {
  invalid_request: { status: 400, type: 'invalid_request_error', title: 'The request is malformed' },
  unauthenticated: {
    status: 401,
    type: 'authentication_error',
    title: 'No valid credential was presented',
  },
  forbidden: { status: 403, type: 'permission_error', title: 'The policy does not allow this request' },
  outside_hours: {
    status: 403,
    type: 'permission_error',
    title: 'Outside the hours this policy allows',
  },
  access_required: {
    status: 403,
    type: 'permission_error',
    title: 'This needs a grant',
  },
  not_found: { status: 404, type: 'invalid_request_error', title: 'There is nothing at this address' },
  conflict: { status: 409, type: 'invalid_request_error', title: 'This is decided already' },
  model_not_found: { status: 404, type: 'invalid_request_error', title: 'The model does not exist' },
  payload_too_large: { status: 413, type: 'invalid_request_error', title: 'The body is too large' },
  headers_too_large: { status: 431, type: 'invalid_request_error', title: 'The headers are too large' },
  rate_limited: { status: 429, type: 'rate_limit_error', title: 'Too many requests' },
  quota_exceeded: { status: 429, type: 'insufficient_quota', title: 'A quota is used up' },
  overloaded: { status: 503, type: 'server_error', title: 'The gateway is at its limit; try again' },
  upstream_unavailable: { status: 502, type: 'server_error', title: 'No model server could answer' },
  upstream_timeout: { status: 504, type: 'server_error', title: 'The model server took too long' },
  policy_error: { status: 500, type: 'server_error', title: 'The gateway could not decide' },
  identity_unavailable: {
    status: 503,
    type: 'server_error',
    title: 'The identity provider does not answer; try again',
  },
  audit_unavailable: { status: 503, type: 'server_error', title: 'The audit log cannot be written' },
} as const satisfies Record<string, Refusal>

export type RefusalCode = keyof typeof REFUSALS

export interface RefusalOptions {
  readonly cause?: unknown
  /** Replaces the table's status, where one code has two (`policy_error` is 503 without a policy). */
  readonly status?: number
  /** Replaces the table's title; must be fit for a caller to read. */
  readonly title?: string
  readonly retryAfterSeconds?: number
  readonly headers?: Readonly<Record<string, string>>
}

/**
 * An error that says all there is to say. Where it was made tells nobody anything, and to find that out costs
 * more than the refusal: it has no stack.
 */
export class PlainError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    const { stackTraceLimit } = Error
    Error.stackTraceLimit = 0
    super(message, options)
    Error.stackTraceLimit = stackTraceLimit
  }
}

/** `title` is for the caller; `message` and `cause` never leave the process. */
export class GatewayError extends PlainError {
  override readonly name = 'GatewayError'
  readonly status: number
  readonly title: string
  readonly retryAfterSeconds: number | undefined
  readonly headers: Readonly<Record<string, string>>

  constructor(
    readonly code: RefusalCode,
    message: string,
    options: RefusalOptions = {},
  ) {
    super(message, { cause: options.cause })
    this.status = options.status ?? REFUSALS[code].status
    this.title = options.title ?? REFUSALS[code].title
    this.retryAfterSeconds = options.retryAfterSeconds
    this.headers = options.headers ?? {}
  }
}

/** OpenAI's `error.type` for a status, where a policy chose the code. */
export function errorType(code: string, status: number): string {
  if (Object.hasOwn(REFUSALS, code)) return REFUSALS[code as RefusalCode].type
  if (status === 401) return 'authentication_error'
  if (status === 403) return 'permission_error'
  if (status === 429) return 'rate_limit_error'
  return status >= 500 ? 'server_error' : 'invalid_request_error'
}

/** The body of an error in OpenAI's form, so that its SDKs raise their own typed errors. */
export function errorBody(code: string, status: number, message: string, extra: object = {}): string {
  return JSON.stringify({ error: { message, type: errorType(code, status), code, param: null, ...extra } })
}
