/**
 * The config, `gateway.config.json`: its schema, with every default, and its types.
 *
 * What is not built yet is not in the schema, so naming it is an error and never ignored.
 */
import { type AccessConfig, access } from './config/access.ts'
import { type AuditConfig, audit } from './config/audit.ts'
import { type IdentityConfig, identity } from './config/identity.ts'
import { type LimitsConfig, limits, type PricingConfig, pricing } from './config/limits.ts'
import { type AdminConfig, admin, type ListenConfig, listen } from './config/listeners.ts'
import { type PolicyConfig, policy } from './config/policy.ts'
import { type PoolConfig, pools } from './config/pools.ts'
import { type StoreConfig, store } from './config/store.ts'
import { type TelemetryConfig, telemetry } from './config/telemetry.ts'

export const configSchema = {
  $schema: 'http://json-schema.org/draft-07/schema#',
  title: 'Sallyport gateway config',
  type: 'object',
  required: ['pools'],
  additionalProperties: false,
  properties: {
    $schema: { type: 'string' },
    listen,
    admin,
    policy,
    identity,
    pools,
    pricing,
    store,
    audit,
    limits,
    telemetry,
    access,
  },
} as const

/** The config once read: defaults in place, variables resolved, paths absolute. */
export interface GatewayConfig {
  readonly listen: ListenConfig
  readonly admin: AdminConfig
  readonly policy: PolicyConfig
  readonly identity: IdentityConfig
  readonly pools: Readonly<Record<string, PoolConfig>>
  readonly pricing: PricingConfig
  readonly store: StoreConfig
  readonly audit: AuditConfig
  readonly limits: LimitsConfig
  readonly telemetry: TelemetryConfig
  readonly access: AccessConfig
}
