/**
 * What it costs to admit a request and to settle it, per store: as a table.
 */

import { type AdmitCost, benchAdmit } from '../../src/toolbox/bench-admit.ts'
import { redisServer, startRedis } from '../../test/support/redis.ts'

const TURNS = 20_000
const ROUNDS = 5

const STORES: Readonly<Record<string, string>> = {
  memory_us: 'in this process',
  sqlite_us: 'a transaction to admit and one to settle',
  redis_us: 'one round trip on loopback to admit; settled off the path',
}

/** A Redis of its own is measured where there is one to start. */
export async function admitTable(): Promise<string> {
  const redis = redisServer() === undefined ? undefined : await startRedis()
  try {
    const costs: AdmitCost[] = []
    const config = redis
      ? ({ engine: 'redis', url: redis.url, onFailure: 'refuse' } as const)
      : ({ engine: 'memory', onFailure: 'refuse' } as const)
    for (let round = 0; round < ROUNDS; round++) costs.push(await benchAdmit(config, TURNS))
    return tableOf(costs)
  } finally {
    await redis?.stop('SIGKILL')
  }
}

function tableOf(costs: readonly AdmitCost[]): string {
  const rows = Object.entries(STORES).flatMap(([store, about]) => {
    const us = costs.flatMap(cost => cost[store] ?? []).sort((a, b) => a - b)
    if (us.length === 0) return []
    const [least, median, most] = [us[0], us[Math.floor(us.length / 2)], us[us.length - 1]]
    return [`| ${store.slice(0, -3)} | ${median} | ${least}–${most} | ${about} |`]
  })
  return [
    '### Admit: three limits taken and settled, one request after the other',
    '',
    '| store | µs | min–max | what it is |',
    '| --- | ---: | ---: | --- |',
    ...rows,
    '',
  ].join('\n')
}
