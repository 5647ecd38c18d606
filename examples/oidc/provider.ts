/**
 * A real OpenID provider for the story: `oidc-provider`, with two people, two clients that get
 * tokens and one, the gateway, that may ask what a token is.
 *
 * Everything is kept in memory, and anybody may log in as anybody: it is for trying things out.
 */
import { generateKeyPairSync, type JsonWebKey } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import Provider from 'oidc-provider'

export interface OidcProvider {
  readonly issuer: string
  /** How often each path was asked for. */
  readonly asked: Readonly<Record<string, number>>
  /** Signs with a new key; the old ones stay published unless told otherwise. */
  rotate(options?: { withdraw?: boolean }): void
  close(): Promise<void>
}

/** What the provider says of who a token is for. */
const CLAIMS: Readonly<Record<string, object>> = {
  'ci-bot': { roles: ['developer'], team: 'search', kind: 'service' },
  ana: { roles: ['analyst'], team: 'research', kind: 'user' },
  bob: { roles: [], team: 'sales', kind: 'user' },
}

/** Tokens for the first are JWTs; those for the second mean nothing to who cannot ask. */
export const JWT_RESOURCE = 'urn:sallyport:jwt'
export const OPAQUE_RESOURCE = 'urn:sallyport:opaque'

export const CLIENTS = {
  service: { id: 'ci-bot', secret: 'ci-bot-secret' },
  gateway: { id: 'gateway', secret: 'gateway-secret' },
  app: { id: 'app', redirectUri: 'http://127.0.0.1:9/callback' },
} as const

let made = 0

function newKey(): JsonWebKey {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  return { ...privateKey.export({ format: 'jwk' }), kid: `story-${++made}`, alg: 'RS256', use: 'sig' }
}

export async function startProvider(port = 0): Promise<OidcProvider> {
  let keys = [newKey()]
  let handle: (request: IncomingMessage, response: ServerResponse) => void = () => {}
  const asked: Record<string, number> = {}
  const server = createServer((request, response) => {
    const path = (request.url ?? '').split('?', 1)[0] as string
    asked[path] = (asked[path] ?? 0) + 1
    handle(request, response)
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', resolve)
  })
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const serve = (): void => {
    handle = quietly(() => new Provider(issuer, configuration(keys)).callback())
  }
  serve()
  return {
    issuer,
    asked,
    rotate({ withdraw = false } = {}) {
      keys = [newKey(), ...(withdraw ? [] : keys)]
      serve()
    },
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function configuration(keys: readonly JsonWebKey[]): object {
  return {
    jwks: { keys },
    cookies: { keys: ['only-for-this-story'] },
    scopes: ['openid', 'chat'],
    pkce: { methods: ['S256'], required: () => true },
    clients: [
      {
        client_id: CLIENTS.service.id,
        client_secret: CLIENTS.service.secret,
        grant_types: ['client_credentials'],
        redirect_uris: [],
        response_types: [],
      },
      {
        client_id: CLIENTS.gateway.id,
        client_secret: CLIENTS.gateway.secret,
        grant_types: [],
        redirect_uris: [],
        response_types: [],
      },
      {
        client_id: CLIENTS.app.id,
        application_type: 'native',
        token_endpoint_auth_method: 'none',
        grant_types: ['authorization_code'],
        redirect_uris: [CLIENTS.app.redirectUri],
      },
    ],
    findAccount: (_context: unknown, sub: string) => ({
      accountId: sub,
      claims: async () => ({ sub, ...CLAIMS[sub] }),
    }),
    extraTokenClaims: (_context: unknown, token: { accountId?: string; clientId?: string }) =>
      CLAIMS[token.accountId ?? token.clientId ?? ''],
    ttl: {
      AccessToken: 3600,
      ClientCredentials: 3600,
      Grant: 3600,
      IdToken: 3600,
      Interaction: 600,
      Session: 3600,
    },
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: true },
      introspection: {
        enabled: true,
        allowedPolicy: (_context: unknown, client: { clientId: string }) =>
          client.clientId === CLIENTS.gateway.id,
      },
      revocation: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => JWT_RESOURCE,
        useGrantedResource: () => true,
        getResourceServerInfo: (_context: unknown, resource: string) => ({
          scope: 'chat',
          audience: 'sallyport',
          accessTokenTTL: 3600,
          accessTokenFormat: resource === OPAQUE_RESOURCE ? 'opaque' : 'jwt',
          jwt: { sign: { alg: 'RS256' } },
        }),
      },
    },
  }
}

/** It warns at length that it is set up for trying things out. */
function quietly<T>(work: () => T): T {
  const { warn, info } = console
  Object.assign(console, { warn() {}, info() {} })
  try {
    return work()
  } finally {
    Object.assign(console, { warn, info })
  }
}
