/** `identity`: how callers are known. */
import { DURATION_PATTERN } from '../units.ts'
import { duration, section, string, strings } from './words.ts'

/** Never an HMAC: whoever can verify one can sign one. */
const JWT_ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
] as const

const claimPaths = (id: string | readonly string[]) =>
  section('Where the claims hold what: a JSON Pointer, or names joined with dots', {
    id: {
      anyOf: [string, { ...strings, minItems: 1 }],
      description: 'A path, or several of which the first that is there counts',
      default: id,
    },
    kind: { ...string, default: 'kind' },
    roles: { ...string, default: 'roles' },
    team: { ...string, default: 'team' },
  })
const idPrefix = {
  type: 'string',
  description: 'In front of every id, so that two issuers cannot name the same principal',
  default: '',
} as const

const jwtIssuer = section(
  'An issuer of JWTs',
  {
    issuer: { ...string, description: 'The `iss` of its tokens; its keys are found from there' },
    audience: { ...strings, minItems: 1, description: 'One of these must be in `aud`' },
    jwksUri: { ...string, description: 'Where its keys are, if not where its discovery document says' },
    keyFile: { ...string, description: 'Its keys in a file, watched: a JSON Web Key Set, or PEM' },
    algorithms: {
      type: 'array',
      items: { enum: JWT_ALGORITHMS },
      minItems: 1,
      default: ['RS256'],
    },
    types: {
      ...strings,
      minItems: 1,
      description: 'The `typ` that a token may have; one without is a JWT',
      default: ['JWT', 'at+jwt'],
    },
    authorizedParties: {
      ...strings,
      description: 'The clients (`azp`, else `client_id`) that tokens may be issued to; empty: all',
      default: [],
    },
    clockTolerance: { ...duration('5s'), pattern: DURATION_PATTERN },
    keys: section('How its keys are kept', {
      fresh: { ...duration('10m'), description: 'How long they are used without asking again' },
      stale: { ...duration('24h'), description: 'How long they are used while it does not answer' },
      cooldown: { ...duration('5s'), description: 'The least time between two requests for an unknown key' },
      timeout: duration('5s'),
    }),
    idPrefix,
    claims: claimPaths('sub'),
  },
  { required: ['issuer', 'audience'] },
)

const introspection = section(
  'A server that is asked what an opaque token is (RFC 7662)',
  {
    url: string,
    clientId: string,
    clientSecret: string,
    authMethod: { enum: ['client_secret_basic', 'client_secret_post'], default: 'client_secret_basic' },
    cache: { ...duration('10s'), description: 'How long an answer holds, a negative one too' },
    timeout: duration('5s'),
    audience: { ...strings, description: 'One of these must be in `aud`; empty: any', default: [] },
    issuer: { ...string, description: 'What `iss` must be' },
    idPrefix,
    claims: claimPaths(['sub', 'client_id']),
  },
  { required: ['url', 'clientId', 'clientSecret'] },
)

const clientCertificates = section(
  'The principals of client certificates, which listen.tls or a trusted proxy verified',
  {
    id: {
      type: 'string',
      pattern: '^(uri|dns|email|subject)(\\|(uri|dns|email|subject))*$',
      description: 'uri, dns, email or subject; of several, joined with |, the first that is there counts',
      default: 'uri',
    },
    kind: { ...string, default: 'service' },
    roles: { ...strings, default: [] },
    team: string,
  },
  { optional: true },
)

export const identity = section('How callers are known', {
  apiKeys: section('API keys, stored as hashes', {
    file: { ...string, default: 'keys.json' },
    in: { const: 'store', description: 'They are kept in the store, and no file is read' },
  }),
  jwt: { type: 'array', items: jwtIssuer, default: [] },
  introspection: { type: 'array', items: introspection, default: [] },
  clientCertificates,
  anonymous: section(
    'The principal of a request without a credential; absent: such a request is refused',
    {
      id: string,
      kind: { ...string, default: 'anonymous' },
      roles: { ...strings, default: [] },
      team: string,
    },
    { required: ['id'] },
  ),
})

/** JSON Pointers, or names joined with dots. */
export interface ClaimPaths {
  readonly id: string | readonly string[]
  readonly kind: string
  readonly roles: string
  readonly team: string
}

export interface JwtIssuerConfig {
  readonly issuer: string
  readonly audience: readonly string[]
  readonly jwksUri?: string
  readonly keyFile?: string
  readonly algorithms: readonly string[]
  readonly types: readonly string[]
  readonly authorizedParties: readonly string[]
  readonly clockTolerance: string
  readonly keys: {
    readonly fresh: string
    readonly stale: string
    readonly cooldown: string
    readonly timeout: string
  }
  readonly idPrefix: string
  readonly claims: ClaimPaths
}

export interface IntrospectionConfig {
  readonly url: string
  readonly clientId: string
  readonly clientSecret: string
  readonly authMethod: 'client_secret_basic' | 'client_secret_post'
  readonly cache: string
  readonly timeout: string
  readonly audience: readonly string[]
  readonly issuer?: string
  readonly idPrefix: string
  readonly claims: ClaimPaths
}

export interface ClientCertificatesConfig {
  /** Names joined with `|`. */
  readonly id: string
  readonly kind: string
  readonly roles: readonly string[]
  readonly team?: string
}

export interface IdentityConfig {
  readonly apiKeys: { readonly file: string; readonly in?: 'store' }
  readonly jwt: readonly JwtIssuerConfig[]
  readonly introspection: readonly IntrospectionConfig[]
  readonly clientCertificates?: ClientCertificatesConfig
  readonly anonymous?: {
    readonly id: string
    readonly kind: string
    readonly roles: readonly string[]
    readonly team?: string
  }
}
