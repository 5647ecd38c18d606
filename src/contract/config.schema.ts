/**
 * The config, `gateway.config.json`: its schema, with every default, and its types.
 *
 * What is not built yet is not in the schema, so naming it is an error and never ignored.
 */
import { DURATION_PATTERN, POSITIVE_DURATION_PATTERN, SIZE_PATTERN } from './units.ts'

const string = { type: 'string', minLength: 1 } as const
const strings = { type: 'array', items: string } as const
const port = { type: 'integer', minimum: 0, maximum: 65535 } as const
const count = { type: 'integer', minimum: 1 } as const

const duration = (fallback?: string) => ({
  type: 'string' as const,
  pattern: POSITIVE_DURATION_PATTERN,
  description: 'A duration: 250ms, 30s, 5m, 1h, 30d',
  ...(fallback === undefined ? {} : { default: fallback }),
})
const size = (fallback: string) => ({
  type: 'string' as const,
  pattern: SIZE_PATTERN,
  description: 'A size: 64KiB, 1MiB',
  default: fallback,
})

/** An object that refuses unknown keys and, unless told otherwise, is all defaults when absent. */
function section<P extends Record<string, object>>(
  description: string,
  properties: P,
  options: { required?: readonly string[]; optional?: boolean } = {},
) {
  return {
    type: 'object' as const,
    description,
    additionalProperties: false as const,
    ...(options.required ? { required: options.required } : {}),
    ...(options.required || options.optional ? {} : { default: {} }),
    properties,
  }
}

const target = section(
  'One upstream server',
  {
    url: {
      type: 'string',
      pattern: '^https?://[^\\s?#]+$',
      description: "The server's root; the request's path is appended",
    },
    kind: { enum: ['openai'], default: 'openai' },
    weight: { type: 'number', exclusiveMinimum: 0, default: 1 },
    apiKey: { ...string, description: "The target's own credential, sent as Authorization: Bearer" },
    headers: { type: 'object', additionalProperties: { type: 'string' }, default: {} },
  },
  { required: ['url'] },
)

const pool = section(
  'Targets that serve the same models',
  {
    models: { ...strings, minItems: 1, uniqueItems: true },
    targets: { type: 'array', items: target, minItems: 1 },
    balance: { enum: ['least_in_flight'], default: 'least_in_flight' },
    forwardHeaders: {
      ...strings,
      description: 'Request headers that go upstream besides the usual ones',
      default: [],
    },
    upstreamErrors: {
      enum: ['replace', 'pass'],
      description: "Whether a target's 5xx answer reaches the client as it is",
      default: 'replace',
    },
    timeouts: section('How long each part of an upstream call may take', {
      connect: duration('2s'),
      firstByte: duration('120s'),
      idle: duration('60s'),
      total: duration('15m'),
    }),
  },
  { required: ['models', 'targets'] },
)

const fileSink = section(
  'A file of JSON lines',
  {
    type: { const: 'file' },
    path: { ...string, default: 'audit.jsonl' },
    sync: {
      anyOf: [{ enum: ['always', 'never'] }, { type: 'string', pattern: POSITIVE_DURATION_PATTERN }],
      description: 'When records are forced to disk: always, never, or every so often',
      default: '1s',
    },
  },
  { required: ['type'] },
)

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

export const configSchema = {
  $schema: 'http://json-schema.org/draft-07/schema#',
  title: 'Sallyport gateway config',
  type: 'object',
  required: ['pools'],
  additionalProperties: false,
  properties: {
    $schema: { type: 'string' },
    listen: section('The public listener', {
      host: { ...string, default: '127.0.0.1' },
      port: { ...port, default: 8080 },
      drain: {
        ...duration('30s'),
        pattern: DURATION_PATTERN,
        description: 'How long running requests may finish at SIGTERM',
      },
      trustedProxies: {
        ...strings,
        description: 'Addresses or CIDRs of proxies that are believed about who their client is',
        default: [],
      },
      tls: section(
        'TLS; the files are watched',
        {
          certFile: string,
          keyFile: string,
          clientCaFile: {
            ...string,
            description: 'Client certificates are asked for, and verified with these',
          },
        },
        { required: ['certFile', 'keyFile'] },
      ),
    }),
    admin: section('The admin listener: a token is demanded unless it is on loopback', {
      host: { ...string, default: '127.0.0.1' },
      port: { ...port, default: 8081 },
      token: { ...string, minLength: 16 },
    }),
    policy: section('Where the policy comes from and how it is put in force', {
      path: {
        ...string,
        description: "A folder of Rego sources, a bundle file, or a bundle's https URL",
        default: 'policies',
      },
      entrypoint: {
        type: 'string',
        pattern: '^[A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)+$',
        default: 'gateway/decision',
      },
      watch: { type: 'boolean', default: true },
      builtinErrors: { enum: ['refuse', 'undefined'], default: 'refuse' },
      maxMemory: size('64MiB'),
      signature: section('Whose bundles are taken', {
        required: { type: 'boolean', default: false },
        publicKeyFile: {
          description: 'A path or a list of paths: any of them may have signed',
          anyOf: [string, { ...strings, minItems: 1 }],
        },
      }),
      candidate: section(
        'A second policy that is asked beside this one and never obeyed',
        {
          path: {
            ...string,
            description: "A folder of Rego sources, a bundle file, or a bundle's https URL",
          },
        },
        { required: ['path'] },
      ),
      activation: section('What a new policy must pass', {
        tests: { type: 'boolean', default: true },
        maxEvaluation: duration('5ms'),
        replay: section('How many of the latest decisions it may decide differently', {
          last: {
            type: 'integer',
            minimum: 0,
            maximum: 1_000_000,
            description: 'How many of the audit log are decided again; 0: none',
            default: 0,
          },
          maxFlips: { type: 'integer', minimum: 0, default: 0 },
        }),
      }),
    }),
    identity: section('How callers are known', {
      apiKeys: section('API keys, stored as hashes', {
        file: { ...string, default: 'keys.json' },
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
    }),
    pools: {
      type: 'object',
      description: 'Pools of targets, by name',
      minProperties: 1,
      propertyNames: { pattern: '^[A-Za-z0-9_.-]{1,64}$' },
      additionalProperties: pool,
    },
    pricing: {
      type: 'object',
      description: 'What a million tokens of a model cost',
      default: {},
      additionalProperties: {
        type: 'object',
        additionalProperties: false,
        required: ['input', 'output'],
        properties: { input: { type: 'number', minimum: 0 }, output: { type: 'number', minimum: 0 } },
      },
    },
    store: section('Where counters live', {
      engine: { enum: ['memory'], default: 'memory' },
    }),
    audit: section('The audit log', {
      sinks: { type: 'array', items: fileSink, minItems: 1, maxItems: 1, default: [{ type: 'file' }] },
      onFailure: { enum: ['refuse', 'allow'], default: 'refuse' },
      content: { enum: ['none', 'request', 'all'], default: 'none' },
    }),
    limits: section('What is refused before a policy is asked', {
      body: size('1MiB'),
      headers: size('16KiB'),
      connections: { ...count, default: 10000 },
      connectionsPerAddress: { ...count, default: 1000 },
      unauthenticated: {
        description: 'Failed attempts per address; over it, what is not cheap to know good is 429',
        anyOf: [
          { const: false },
          {
            type: 'object',
            additionalProperties: false,
            required: ['limit', 'window'],
            properties: { limit: count, window: duration() },
          },
        ],
        default: { limit: 300, window: '1m' },
      },
    }),
  },
} as const

export interface TargetConfig {
  readonly url: string
  readonly kind: 'openai'
  readonly weight: number
  readonly apiKey?: string
  readonly headers: Readonly<Record<string, string>>
}

export interface PoolConfig {
  readonly models: readonly string[]
  readonly targets: readonly TargetConfig[]
  readonly balance: 'least_in_flight'
  readonly forwardHeaders: readonly string[]
  readonly upstreamErrors: 'replace' | 'pass'
  readonly timeouts: {
    readonly connect: string
    readonly firstByte: string
    readonly idle: string
    readonly total: string
  }
}

export interface TlsConfig {
  readonly certFile: string
  readonly keyFile: string
  readonly clientCaFile?: string
}

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

export interface FileSinkConfig {
  readonly type: 'file'
  readonly path: string
  readonly sync: string
}

/** The config once read: defaults in place, variables resolved, paths absolute. */
export interface GatewayConfig {
  readonly listen: {
    readonly host: string
    readonly port: number
    readonly drain: string
    readonly trustedProxies: readonly string[]
    readonly tls?: TlsConfig
  }
  readonly admin: { readonly host: string; readonly port: number; readonly token?: string }
  readonly policy: {
    readonly path: string
    readonly entrypoint: string
    readonly watch: boolean
    readonly builtinErrors: 'refuse' | 'undefined'
    readonly maxMemory: string
    readonly signature: { readonly required: boolean; readonly publicKeyFile: readonly string[] }
    readonly candidate?: { readonly path: string }
    readonly activation: {
      readonly tests: boolean
      readonly maxEvaluation: string
      readonly replay: { readonly last: number; readonly maxFlips: number }
    }
  }
  readonly identity: {
    readonly apiKeys: { readonly file: string }
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
  readonly pools: Readonly<Record<string, PoolConfig>>
  readonly pricing: Readonly<Record<string, { readonly input: number; readonly output: number }>>
  readonly store: { readonly engine: 'memory' }
  readonly audit: {
    readonly sinks: readonly FileSinkConfig[]
    readonly onFailure: 'refuse' | 'allow'
    readonly content: 'none' | 'request' | 'all'
  }
  readonly limits: {
    readonly body: string
    readonly headers: string
    readonly connections: number
    readonly connectionsPerAddress: number
    readonly unauthenticated: false | { readonly limit: number; readonly window: string }
  }
}
