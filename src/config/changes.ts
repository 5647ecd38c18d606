/**
 * What a new config changes, and which of it can take effect while the gateway serves.
 */
import { isDeepStrictEqual } from 'node:util'
import type { GatewayConfig } from '../contract/config.schema.ts'

export interface ConfigChanges {
  /** Sections that take effect at once. */
  readonly live: readonly string[]
  /** Paths whose new values need a restart. */
  readonly restart: readonly string[]
}

const LIVE_SECTIONS: ReadonlySet<string> = new Set(['pools', 'pricing', 'limits', 'identity'])
/** Inside a live section, what sockets were opened with. */
const FIXED_PATHS = [['limits', 'headers']] as const

export function changesBetween(before: GatewayConfig, after: GatewayConfig): ConfigChanges {
  const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])].filter(key => key !== '$schema')
  // Of two pools that serve a model the first is taken, so their order counts; no other does.
  const reordered = differ(Object.keys(before.pools), Object.keys(after.pools))
  const changed = keys.filter(
    key => differ(section(before, key), section(after, key)) || (key === 'pools' && reordered),
  )
  const fixed = FIXED_PATHS.filter(([top, key]) =>
    differ(section(section(before, top), key), section(section(after, top), key)),
  )
  return {
    live: changed.filter(key => LIVE_SECTIONS.has(key)),
    restart: [...changed.filter(key => !LIVE_SECTIONS.has(key)), ...fixed.map(path => path.join('.'))],
  }
}

function section(value: unknown, key: string): unknown {
  return (value as Readonly<Record<string, unknown>> | undefined)?.[key]
}

function differ(one: unknown, other: unknown): boolean {
  return !isDeepStrictEqual(one, other)
}
