/**
 * What a schema cannot say of how callers are known: whom to believe, and what could never work.
 */
import { isSafeUrl, isUrl, parseNetwork } from '../contract/addresses.ts'
import type { JwtIssuerConfig } from '../contract/config/identity.ts'
import type { GatewayConfig } from '../contract/config.schema.ts'
import { parseDuration } from '../contract/units.ts'
import type { JsonPath } from './document.ts'
import { type Objection, objectIf } from './objection.ts'

/** A longer wait would keep its callers waiting as long. */
const LONGEST_TIMEOUT_MS = 60_000

export function judgeIdentity(config: GatewayConfig): Objection[] {
  return [
    ...proxiesThatAreAddresses(config),
    ...issuersThatCanBeTrusted(config),
    ...introspectionThatCanBeTrusted(config),
    ...certificatesThatCanBePresented(config),
  ]
}

function proxiesThatAreAddresses({ listen }: GatewayConfig): Objection[] {
  return listen.trustedProxies.flatMap((entry, index) =>
    objectIf(
      !parseNetwork(entry),
      'invalid_network',
      ['listen', 'trustedProxies', index],
      'expected an address or a CIDR',
    ),
  )
}

function issuersThatCanBeTrusted({ identity }: GatewayConfig): Objection[] {
  const names = identity.jwt.map(issuer => issuer.issuer)
  return identity.jwt.flatMap((issuer, index) => {
    const at = ['identity', 'jwt', index]
    const again = names.indexOf(issuer.issuer) < index
    return [
      ...objectIf(again, 'duplicate_issuer', [...at, 'issuer'], 'this issuer is named twice'),
      ...keysThatCanBeFound(issuer, at),
      ...timeoutThatEnds(issuer.keys.timeout, [...at, 'keys', 'timeout']),
    ]
  })
}

function keysThatCanBeFound({ issuer, jwksUri, keyFile }: JwtIssuerConfig, at: JsonPath): Objection[] {
  const discovers = jwksUri === undefined && keyFile === undefined
  const both = jwksUri !== undefined && keyFile !== undefined
  return [
    ...objectIf(both, 'two_key_sources', [...at, 'keyFile'], 'expected jwksUri or keyFile, not both'),
    ...(discovers || isUrl(issuer) ? urlThatIsSafe(issuer, [...at, 'issuer']) : []),
    ...(jwksUri === undefined ? [] : urlThatIsSafe(jwksUri, [...at, 'jwksUri'])),
  ]
}

function introspectionThatCanBeTrusted({ identity }: GatewayConfig): Objection[] {
  return identity.introspection.flatMap(({ url, timeout }, index) => {
    const at = ['identity', 'introspection', index]
    return [...urlThatIsSafe(url, [...at, 'url']), ...timeoutThatEnds(timeout, [...at, 'timeout'])]
  })
}

function certificatesThatCanBePresented({ identity, listen }: GatewayConfig): readonly Objection[] {
  const isVerified = listen.tls?.clientCaFile !== undefined || listen.trustedProxies.length > 0
  return objectIf(
    identity.clientCertificates !== undefined && !isVerified,
    'certificates_without_authority',
    ['identity', 'clientCertificates'],
    'needs listen.tls.clientCaFile, or listen.trustedProxies that verify them',
  )
}

/** Over plain http anybody on the way could say who a caller is. */
function urlThatIsSafe(url: string, path: JsonPath): readonly Objection[] {
  if (!isUrl(url) || !URL.canParse(url))
    return objectIf(true, 'invalid_url', path, 'expected a URL such as https://idp.example')
  const parsed = new URL(url)
  if (parsed.username !== '' || parsed.password !== '')
    return objectIf(true, 'invalid_url', path, 'expected a URL without a user or a password')
  const message = 'expected https; plain http is for loopback only'
  return objectIf(!isSafeUrl(parsed), 'insecure_url', path, message)
}

function timeoutThatEnds(timeout: string, path: JsonPath): readonly Objection[] {
  const isTooLong = parseDuration(timeout) > LONGEST_TIMEOUT_MS
  return objectIf(isTooLong, 'timeout_too_long', path, 'expected at most 1m')
}
