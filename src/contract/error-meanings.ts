/**
 * What lies behind each code that a caller can be told, and what helps: for the reference.
 *
 * A code of a policy's own is explained by that policy.
 */
import type { RefusalCode } from './errors.ts'

export const MEANINGS: Readonly<Record<RefusalCode, string>> = {
  invalid_request:
    'The request could be read in more than one way, or in none: its framing, path, query, headers or body. The `message` says which, where that helps. A body must be JSON in UTF-8 without duplicate keys, a byte order mark, numbers beyond a double, anything behind the value, or more than 64 levels; compressed bodies, upgrades, CONNECT and TRACE are not taken. The status is 408 when the head or the body took too long to come.',
  unauthenticated:
    'No credential was presented, or it is unknown, revoked, expired or mistyped. Which of these is in the audit record, and is not told to callers.',
  forbidden: 'The policy said no, without a code of its own. The `message` is the policy’s.',
  outside_hours: 'The policy allows this at another time. `Retry-After` says when, if the policy does.',
  access_required: 'The policy would allow this with a grant. `error.access` says what can be asked for.',
  not_found:
    'The gateway has no such call of its own. Everything under `/-/` is answered here and never forwarded.',
  conflict:
    'What was asked for cannot be done to what is there by now: a request that somebody else has decided or is deciding at this moment, an approval that was given before, a grant that is over. `message` says which.',
  model_not_found:
    'The policy allowed the request, and no pool serves the model; or the list of models was asked about one that this caller may not call.',
  payload_too_large: 'The body is larger than `limits.body`. It was not read to its end.',
  headers_too_large: 'The request line and the headers are larger than `limits.headers`.',
  rate_limited:
    'A limit of the policy in requests or concurrency is reached, or too many attempts to authenticate failed from this address (`limits.unauthenticated`), or a principal has too many requests for access open or calls `/-/access` too often. `Retry-After` says when it is worth trying again.',
  quota_exceeded:
    'A limit of the policy in tokens or cost is reached. `Retry-After` and `x-ratelimit-reset-*` say when it begins anew.',
  overloaded:
    'There are more connections, or more requests on one connection, than are served; the queue of the pool is full; or the gateway is stopping. Another try, at another gateway or a moment later, may pass.',
  upstream_unavailable:
    'No target of the pool could be reached, or the one that was answered with a server error or with what is no HTTP. Which, is in the audit record.',
  upstream_timeout: 'The target took the request, and did not begin to answer within `timeouts.firstByte`.',
  policy_error:
    'The policy could not be asked, or answered nothing, or something that is no decision: the gateway fails closed. With status 503 no policy is in force; `/status` says why. Else the audit record has the builtin, the line or the shape that was wrong.',
  identity_unavailable:
    'The identity provider or the introspection server that knows this credential does not answer. It is not said that the credential is bad.',
  audit_unavailable:
    'The decision cannot be written to the audit log, so nothing is done. See `audit.onFailure`.',
}

/** Codes that are told in no answer of their own. */
export const OTHER_MEANINGS: Readonly<Record<string, string>> = {
  expired:
    'The last event of a stream that was ended because the right to it had: `expires_at` of the decision, the end of a grant, or a refusal when the policy was asked again.',
  revoked:
    'The last event of a stream that was ended because the grant it stood on was revoked or given back.',
  client_closed: 'In the audit log and the metrics: the client left before it was answered. Status 499.',
  method_not_allowed: 'Of the admin listener, status 405: `Allow` has the methods that there are.',
  server_error: 'Of the admin listener, status 500: the gateway failed; its log says how.',
}
