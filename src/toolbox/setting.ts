/**
 * The gateway of a config, as a policy sees it when all is well: every target healthy, and nothing to do.
 */
import type { GatewayConfig } from '../contract/config.schema.ts'
import type { PoolFacts } from '../contract/input.schema.ts'
import { parseSize } from '../contract/units.ts'
import type { ScenarioNeeds } from '../policy/scenarios/run.ts'
import { readImagined } from '../server/imagine.ts'

export interface Setting extends ScenarioNeeds {
  readonly entrypoint: string
  readonly builtinErrors: 'refuse' | 'undefined'
  readonly maxMemoryBytes: number
}

/** @param config - Without one, the defaults and no pools. */
export function settingOf(config: GatewayConfig | undefined): Setting {
  const { entrypoint, builtinErrors, maxMemory } = config?.policy ?? DEFAULTS
  const pools = Object.entries(config?.pools ?? {}).map(
    ([name, { models, targets }]): [string, PoolFacts] => [
      name,
      { models, healthy: targets.length, targets: targets.length, in_flight: 0, queued: 0 },
    ],
  )
  return {
    entrypoint,
    builtinErrors,
    maxMemoryBytes: parseSize(maxMemory),
    pools: () => Object.fromEntries(pools),
    readRequest: readImagined,
  }
}

const DEFAULTS = { entrypoint: 'gateway/decision', builtinErrors: 'refuse', maxMemory: '64MiB' } as const
