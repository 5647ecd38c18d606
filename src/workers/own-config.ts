/**
 * The config as one of several workers has it: its own audit log, and its part of what each counts alone.
 */
import path from 'node:path'
import type { AuditConfig } from '../contract/config/audit.ts'
import type { PoolConfig } from '../contract/config/pools.ts'
import type { GatewayConfig } from '../contract/config.schema.ts'

/** @param file - Of the config's own log. @param worker - From 1. @returns The worker's. */
export type LogOf = (file: string, worker: number) => string

export function ownConfig(
  config: GatewayConfig,
  worker: number,
  workers: number,
  logOf: LogOf,
): GatewayConfig {
  const part = (whole: number): number => Math.ceil(whole / workers)
  const { limits } = config
  return {
    ...config,
    audit: ownAudit(config.audit, worker, logOf),
    limits: {
      ...limits,
      connections: part(limits.connections),
      connectionsPerAddress: part(limits.connectionsPerAddress),
    },
    pools: Object.fromEntries(
      Object.entries(config.pools).map(([name, pool]): [string, PoolConfig] => [
        name,
        { ...pool, queue: { ...pool.queue, max: part(pool.queue.max) } },
      ]),
    ),
  }
}

export function ownAudit(audit: AuditConfig, worker: number, logOf: LogOf): AuditConfig {
  return {
    ...audit,
    sinks: audit.sinks.map(sink => {
      if (sink.type === 'file') return { ...sink, path: logOf(sink.path, worker) }
      if (sink.type !== 'http' || sink.buffer.path === undefined) return sink
      return { ...sink, buffer: { ...sink.buffer, path: path.join(sink.buffer.path, `worker-${worker}`) } }
    }),
  }
}
