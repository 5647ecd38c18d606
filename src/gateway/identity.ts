/**
 * The identity providers of a gateway: built from the config, joined to what is known of them by
 * their URL, so that a reload forgets nothing of those it does not change.
 */
import { readFile } from 'node:fs/promises'
import { isDeepStrictEqual } from 'node:util'
import type { IntrospectionConfig, JwtIssuerConfig } from '../contract/config/identity.ts'
import type { GatewayConfig } from '../contract/config.schema.ts'
import { parseDuration } from '../contract/units.ts'
import { type CertificateName, createCertificateMethod } from '../identity/certificate.ts'
import { createClaimsReader } from '../identity/claims.ts'
import type { Methods } from '../identity/identify.ts'
import {
  createIntrospection,
  createIntrospectionMethod,
  type Introspection,
} from '../identity/introspection.ts'
import { readKeysOf } from '../identity/issuer-keys.ts'
import { createJwtIssuer, createJwtMethod, type JwtIssuer, mediaType } from '../identity/jwt.ts'
import { createKeySource, type KeySource } from '../identity/key-source.ts'
import { type AskProvider, askProvider } from '../identity/provider.ts'
import type { OperatorLog } from '../telemetry/operator-log.ts'
import { type Watcher, watchPath } from '../watcher.ts'

export type ProviderMethods = Pick<Methods, 'known' | 'asked' | 'certificate'>

export interface Providers {
  methods(): ProviderMethods
  configure(identity: GatewayConfig['identity']): void
  close(): Promise<void>
}

export interface ProvidersNeeds {
  readonly log: OperatorLog
  now(): number
  readonly ask?: AskProvider
}

interface HeldIssuer {
  readonly config: JwtIssuerConfig
  readonly issuer: JwtIssuer
  readonly source: HeldSource
}

interface HeldSource {
  readonly keys: KeySource
  readonly watcher: Watcher | undefined
  /** Whose remembered tokens were verified with its keys. */
  reader: JwtIssuer | undefined
}

interface HeldServer {
  readonly config: IntrospectionConfig
  readonly server: Introspection
}

export function createProviders({ log, now, ask = askProvider }: ProvidersNeeds): Providers {
  let issuers: readonly HeldIssuer[] = []
  let servers: readonly HeldServer[] = []
  let methods: ProviderMethods = { known: [], asked: [], certificate: undefined }

  function heldIssuer(config: JwtIssuerConfig): HeldIssuer {
    const before = issuers.find(held => held.config.issuer === config.issuer)
    if (before && isDeepStrictEqual(before.config, config)) return before
    const source = before && samePlace(before.config, config) ? before.source : sourceOf(config)
    const issuer = createJwtIssuer(
      {
        issuer: config.issuer,
        audience: config.audience,
        algorithms: config.algorithms,
        toleranceSeconds: parseDuration(config.clockTolerance) / 1000,
        types: config.types.map(mediaType),
        authorizedParties: config.authorizedParties,
        rememberMs: parseDuration(config.keys.fresh),
      },
      source.keys,
      createClaimsReader({ paths: config.claims, idPrefix: config.idPrefix, method: 'jwt' }),
    )
    source.reader = issuer
    return { config, issuer, source }
  }

  function sourceOf(config: JwtIssuerConfig): HeldSource {
    const { issuer, keyFile, keys } = config
    const tell = stateOf(issuer)
    const source = createKeySource({
      name: issuer,
      freshMs: parseDuration(keys.fresh),
      staleMs: parseDuration(keys.stale),
      floorMs: parseDuration(keys.cooldown),
      read: () =>
        readKeysOf(config, {
          ask,
          timeoutMs: parseDuration(keys.timeout),
          readFile: file => readFile(file, 'utf8'),
        }),
      now,
      onChange() {
        held.reader?.forget()
        log.info('identity_keys_loaded', { issuer })
      },
      onState: tell,
    })
    const watcher = keyFile === undefined ? undefined : watchPath(keyFile, () => void source.reload())
    const held: HeldSource = { keys: source, watcher, reader: undefined }
    return held
  }

  function heldServer(config: IntrospectionConfig): HeldServer {
    const before = servers.find(held => isDeepStrictEqual(held.config, config))
    if (before) return before
    const { url, clientId, clientSecret, authMethod, audience } = config
    const server = createIntrospection(
      {
        url,
        clientId,
        clientSecret,
        authMethod,
        audience,
        issuer: config.issuer,
        cacheMs: parseDuration(config.cache),
        timeoutMs: parseDuration(config.timeout),
      },
      {
        ask,
        now,
        read: createClaimsReader({
          paths: config.claims,
          idPrefix: config.idPrefix,
          method: 'introspection',
        }),
        onState: stateOf(url),
      },
    )
    return { config, server }
  }

  function stateOf(provider: string): (ok: boolean, cause?: unknown) => void {
    return (ok, cause) =>
      ok
        ? log.info('identity_provider_back', { provider })
        : log.error('identity_provider_away', { provider, message: String(cause) })
  }

  return {
    methods: () => methods,
    configure(identity) {
      const gone = new Set(issuers.map(held => held.source))
      issuers = identity.jwt.map(heldIssuer)
      for (const { source } of issuers) gone.delete(source)
      for (const { watcher } of gone) void watcher?.close()
      servers = identity.introspection.map(heldServer)
      methods = {
        known: [...issuers.map(held => held.issuer.known), ...servers.map(held => held.server.known)],
        asked: [
          ...(issuers.length > 0 ? [createJwtMethod(issuers.map(held => held.issuer))] : []),
          ...(servers.length > 0 ? [createIntrospectionMethod(servers.map(held => held.server))] : []),
        ],
        certificate: certificateMethodOf(identity),
      }
    },
    async close() {
      await Promise.all(issuers.map(({ source }) => source.watcher?.close()))
    },
  }
}

/** Whether two configs of an issuer find the same keys in the same way. */
function samePlace(one: JwtIssuerConfig, other: JwtIssuerConfig): boolean {
  return (
    one.jwksUri === other.jwksUri && one.keyFile === other.keyFile && isDeepStrictEqual(one.keys, other.keys)
  )
}

function certificateMethodOf({ clientCertificates }: GatewayConfig['identity']): Methods['certificate'] {
  if (!clientCertificates) return undefined
  const { id, kind, roles, team } = clientCertificates
  return createCertificateMethod({
    id: id.split('|') as CertificateName[],
    kind,
    roles,
    team: team ?? null,
  })
}
