/**
 * Where the keys of an issuer are: a file, an address, or what its discovery document says.
 */
import { isSafeUrl } from '../contract/addresses.ts'
import type { AskProvider } from './provider.ts'

export interface KeyPlace {
  readonly issuer: string
  readonly jwksUri?: string
  readonly keyFile?: string
}

export interface KeyPlaceNeeds {
  readonly ask: AskProvider
  readonly timeoutMs: number
  readFile(path: string): Promise<string>
}

/** @returns A key set or PEM. @throws Error when the issuer cannot be asked or is another one. */
export async function readKeysOf(
  { issuer, jwksUri, keyFile }: KeyPlace,
  needs: KeyPlaceNeeds,
): Promise<string> {
  if (keyFile !== undefined) return needs.readFile(keyFile)
  const url = jwksUri ?? (await discovered(issuer, needs))
  return needs.ask({ url, timeoutMs: needs.timeoutMs })
}

/** OpenID Connect Discovery 1.0 §4: the document must name the issuer that was asked. */
async function discovered(issuer: string, { ask, timeoutMs }: KeyPlaceNeeds): Promise<string> {
  const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`
  const document = JSON.parse(await ask({ url, timeoutMs })) as {
    issuer?: unknown
    jwks_uri?: unknown
  } | null
  if (document?.issuer !== issuer) throw new Error(`${url} is about another issuer`)
  const { jwks_uri } = document
  if (typeof jwks_uri !== 'string' || !URL.canParse(jwks_uri) || !isSafeUrl(new URL(jwks_uri)))
    throw new Error(`${url} has no usable jwks_uri`)
  return jwks_uri
}
