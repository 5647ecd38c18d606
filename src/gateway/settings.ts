/**
 * Settings: what a new config changes while the gateway serves.
 */
import type { GatewayConfig } from '../contract/config.schema.ts'
import type { Principal } from '../contract/input.schema.ts'
import { parseDuration, parseSize } from '../contract/units.ts'
import type { Settings } from '../corridor/pipeline.ts'
import type { FailedAttempts } from '../identity/attempts.ts'
import type { Asked } from '../identity/identify.ts'
import type { Providers } from './identity.ts'
import type { Keys } from './keys.ts'

export interface LiveSettings {
  current(): Settings
  apply(config: GatewayConfig): void
}

/** What is counted against a limit in a window, by address or by principal. */
export type AttemptCounter = 'unauthenticated' | 'access'

export type AttemptsOf = (counter: AttemptCounter, limit: number, windowMs: number) => FailedAttempts

export interface LiveSettingsNeeds {
  readonly config: GatewayConfig
  readonly providers: Providers
  readonly keys: Keys
  /** Credentials that are worth one grant. */
  readonly grantTokens: Asked
  readonly attemptsOf: AttemptsOf
}

export function createSettings(needs: LiveSettingsNeeds): LiveSettings {
  const { providers, keys } = needs
  let { config } = needs
  let attempts = attemptsIn(config)
  providers.configure(config.identity)
  let settings = built()

  function built(): Settings {
    const { known, asked, certificate } = providers.methods()
    return {
      maxBodyBytes: parseSize(config.limits.body),
      pricing: config.pricing,
      attempts,
      methods: {
        known: [keys.principalOf, ...known],
        asked: [needs.grantTokens, ...asked],
        certificate,
        anonymous: anonymousOf(config),
      },
    }
  }

  function attemptsIn({ limits }: GatewayConfig): FailedAttempts | undefined {
    const { unauthenticated } = limits
    return unauthenticated
      ? needs.attemptsOf('unauthenticated', unauthenticated.limit, parseDuration(unauthenticated.window))
      : undefined
  }

  return {
    current: () => settings,
    apply(next) {
      const before = JSON.stringify(config.limits.unauthenticated)
      config = next
      // Counts of failed attempts survive a reload that does not touch their limit.
      if (JSON.stringify(next.limits.unauthenticated) !== before) attempts = attemptsIn(next)
      providers.configure(next.identity)
      settings = built()
      void keys.configure(next.identity.apiKeys)
    },
  }
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
