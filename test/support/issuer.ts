/**
 * An issuer of tokens under a test's control: its keys, what it publishes, and whether it is there.
 */
import { createHmac, generateKeyPairSync, type JsonWebKey, type KeyObject, sign } from 'node:crypto'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface SigningKey {
  readonly alg: 'RS256' | 'ES256'
  readonly kid: string | undefined
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
  readonly jwk: JsonWebKey
}

let made = 0

export function signingKey(
  alg: 'RS256' | 'ES256' = 'RS256',
  kid: string | undefined = `key-${++made}`,
): SigningKey {
  const { privateKey, publicKey } =
    alg === 'RS256'
      ? generateKeyPairSync('rsa', { modulusLength: 2048 })
      : generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const named = kid === undefined ? {} : { kid }
  return { alg, kid, privateKey, publicKey, jwk: { ...publicKey.export({ format: 'jwk' }), ...named, alg } }
}

export const encoded = (value: unknown): string =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')

/** @param header - Merged over what is right for the key. */
export function signJwt(key: SigningKey, claims: unknown, header: object = {}): string {
  const head = { alg: key.alg, typ: 'JWT', ...(key.kid === undefined ? {} : { kid: key.kid }), ...header }
  const input = `${encoded(head)}.${encoded(claims)}`
  const signature = sign('sha256', Buffer.from(input), { key: key.privateKey, dsaEncoding: 'ieee-p1363' })
  return `${input}.${signature.toString('base64url')}`
}

/** Signed with what everybody has: the attack on verifiers that let a token choose its algorithm. */
export function signHmac(secret: string | Buffer, claims: unknown, header: object = {}): string {
  const input = `${encoded({ alg: 'HS256', typ: 'JWT', ...header })}.${encoded(claims)}`
  return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`
}

export interface TestIssuer {
  readonly url: string
  readonly port: number
  /** What its key set holds. */
  keys: readonly JsonWebKey[]
  /** Requests, by path. */
  readonly asked: Record<string, number>
  /** Answers 503 to everything. */
  away: boolean
  /** Tokens and what is said of them at `/introspect`. */
  readonly tokens: Map<string, object>
  /** What came to `/introspect`. */
  readonly introspected: { authorization: string | undefined; body: URLSearchParams }[]
  /** Answers wait for it. */
  gate: Promise<void>
  /** Merged over the discovery document. */
  discovery: object
  claims(own?: object): Record<string, unknown>
  close(): Promise<void>
}

export async function startIssuer(keys: readonly SigningKey[], port = 0): Promise<TestIssuer> {
  const server: Server = createServer((request, response) => {
    void answer(request).then(({ status, body }) => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(body)
    })
  })

  async function answer(request: IncomingMessage): Promise<{ status: number; body: string }> {
    const path = request.url ?? ''
    issuer.asked[path] = (issuer.asked[path] ?? 0) + 1
    let body = ''
    for await (const part of request) body += part
    await issuer.gate
    if (issuer.away) return { status: 503, body: '{}' }
    if (path === '/.well-known/openid-configuration')
      return ok({ issuer: issuer.url, jwks_uri: `${issuer.url}/jwks`, ...issuer.discovery })
    if (path === '/jwks') return ok({ keys: issuer.keys })
    if (path === '/introspect') {
      const form = new URLSearchParams(body)
      issuer.introspected.push({ authorization: request.headers.authorization, body: form })
      return ok(issuer.tokens.get(form.get('token') ?? '') ?? { active: false })
    }
    return { status: 404, body: '{}' }
  }

  await new Promise<void>(resolve => server.listen(port, '127.0.0.1', resolve))
  const bound = (server.address() as AddressInfo).port
  const issuer: TestIssuer = {
    url: `http://127.0.0.1:${bound}`,
    port: bound,
    keys: keys.map(key => key.jwk),
    asked: {},
    away: false,
    tokens: new Map(),
    introspected: [],
    gate: Promise.resolve(),
    discovery: {},
    claims: own => {
      const now = Math.floor(Date.now() / 1000)
      return { iss: issuer.url, aud: 'sallyport', sub: 'ana', iat: now, exp: now + 600, ...own }
    },
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
  return issuer
}

function ok(value: object): { status: number; body: string } {
  return { status: 200, body: JSON.stringify(value) }
}
