/**
 * A request as it stands once its head was read: facts, before anybody judged it.
 */
import type { Operation } from './input.schema.ts'
import type { EpochMs } from './units.ts'

export interface RequestFacts {
  readonly method: string
  /** Normalised: what the policy sees and what is sent. No query. */
  readonly path: string
  /** `?…` as it came, or empty. */
  readonly search: string
  readonly segments: readonly string[]
  readonly operation: Operation
  /** Lower-case names; several lines of one name joined with `, `. All of them, credentials too. */
  readonly headers: ReadonlyMap<string, string>
  readonly clientIp: string
  readonly tls: boolean
  /** The caller's own, not that of a proxy between. */
  readonly certificate?: PresentedCertificate | undefined
}

/** A client certificate, as it was presented here or to a trusted proxy. */
export interface PresentedCertificate {
  /** Signed by an authority that is trusted with clients. */
  readonly verified: boolean
  /** RFC 4514: `CN=…,O=…`; empty when it has none. */
  readonly subject: string
  readonly uris: readonly string[]
  readonly dns: readonly string[]
  readonly emails: readonly string[]
  /** Null, as the rest, where a proxy did not say. */
  readonly issuer: string | null
  readonly serial: string | null
  /** SHA-256, lower-case hex. */
  readonly fingerprint: string | null
  readonly notBefore: EpochMs | null
  readonly notAfter: EpochMs | null
}

/** A body as it came, and what it says. */
export interface RequestBody {
  /** Goes upstream as it is unless the policy rewrote something. */
  readonly bytes: Buffer
  readonly text: string
  /** JSON of any kind. */
  readonly value: unknown
  /** Where the values of the outermost object's members stand in `text`; none when it is no object. */
  readonly members: ReadonlyMap<string, TextRange>
}

/** `[start, end)`, in characters. */
export interface TextRange {
  readonly start: number
  readonly end: number
}

/** Headers that can carry a credential; a policy, a record and an upstream never see them. */
export const CREDENTIAL_HEADERS: ReadonlySet<string> = new Set([
  'authorization',
  'proxy-authorization',
  'cookie',
  'set-cookie',
  'x-api-key',
  'api-key',
  'x-goog-api-key',
  'x-auth-token',
  'x-access-token',
  'x-csrf-token',
  'x-amz-security-token',
  'x-forwarded-client-cert',
])

/** Headers that belong to one connection and never to the next (RFC 9110 §7.6.1). */
export const HOP_BY_HOP_HEADERS: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
])
