/**
 * Settings: what a new config, or a new key file, changes while the gateway serves.
 */
import type { GatewayConfig } from '../contract/config.schema.ts'
import type { Principal } from '../contract/input.schema.ts'
import { parseDuration, parseSize } from '../contract/units.ts'
import type { Settings } from '../corridor/pipeline.ts'
import { createFailedAttempts, type FailedAttempts } from '../identity/attempts.ts'
import type { Asked } from '../identity/identify.ts'
import { readKeyFile } from '../identity/key-file.ts'
import { createKeyring, type Keyring } from '../identity/keyring.ts'
import type { OperatorLog } from '../telemetry/operator-log.ts'
import type { Providers } from './identity.ts'

export interface LiveSettings {
  current(): Settings
  apply(config: GatewayConfig): void
  /** Reads the key file again; one that cannot be read changes nothing. */
  reloadKeys(): void
}

export interface LiveSettingsNeeds {
  readonly config: GatewayConfig
  readonly log: OperatorLog
  readonly providers: Providers
  /** Credentials that are worth one grant. */
  readonly grantTokens: Asked
  now(): number
}

export function createSettings(needs: LiveSettingsNeeds): LiveSettings {
  const { log, now, providers } = needs
  let { config } = needs
  let keyring: Keyring = createKeyring([])
  let keysSeen: string | undefined
  let attempts = attemptsOf(config)
  providers.configure(config.identity)
  let settings = built()

  function built(): Settings {
    const { known, asked, certificate } = providers.methods()
    return {
      maxBodyBytes: parseSize(config.limits.body),
      pricing: config.pricing,
      attempts,
      methods: {
        known: [keyring.principalOf, ...known],
        asked: [needs.grantTokens, ...asked],
        certificate,
        anonymous: anonymousOf(config),
      },
    }
  }

  function reloadKeys(): void {
    const { file } = config.identity.apiKeys
    try {
      const records = readKeyFile(file)
      const seen = JSON.stringify(records)
      if (seen === keysSeen) return
      keysSeen = seen
      keyring = createKeyring(records)
      settings = built()
      log.info('keys_loaded', { keys: keyring.size(now()) })
    } catch (error) {
      const seen = (error as Error).message
      if (seen === keysSeen) return
      keysSeen = seen
      log.error('keys_refused', { message: seen })
    }
  }

  reloadKeys()
  return {
    current: () => settings,
    reloadKeys,
    apply(next) {
      const before = JSON.stringify(config.limits.unauthenticated)
      config = next
      // Counts of failed attempts survive a reload that does not touch their limit.
      if (JSON.stringify(next.limits.unauthenticated) !== before) attempts = attemptsOf(next)
      providers.configure(next.identity)
      settings = built()
      reloadKeys()
    },
  }
}

function attemptsOf({ limits }: GatewayConfig): FailedAttempts | undefined {
  const { unauthenticated } = limits
  return unauthenticated
    ? createFailedAttempts(unauthenticated.limit, parseDuration(unauthenticated.window))
    : undefined
}

function anonymousOf({ identity: { anonymous } }: GatewayConfig): Principal | undefined {
  if (!anonymous) return undefined
  const { id, kind, roles, team } = anonymous
  return {
    id,
    kind,
    roles,
    team: team ?? null,
    authenticated: false,
    method: 'anonymous',
    key_id: null,
    claims: {},
    expires_at: null,
  }
}
