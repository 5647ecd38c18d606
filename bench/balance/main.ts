/**
 * `npm run bench:balance`: every balance on every farm at every load, as a table and a drawing in docs/.
 */
import { writeFileSync } from 'node:fs'
import type { BalanceName } from '../../src/contract/config/pools.ts'
import { drawing } from './drawing.ts'
import { type Outcome, simulate } from './simulate.ts'

const BALANCES: readonly BalanceName[] = ['round_robin', 'weighted', 'least_in_flight', 'latency', 'prefix']
const LOADS = [0.5, 0.8, 0.95, 1.2]
const repeated = (count: number, slots: number): number[] => Array<number>(count).fill(slots)
const FARMS: Readonly<Record<string, readonly number[]>> = {
  '4 targets × 1 slot': repeated(4, 1),
  '4 targets × 4 slots': repeated(4, 4),
  '8 targets × 8 slots': repeated(8, 8),
  '16 targets × 2 slots': repeated(16, 2),
  '64 targets × 1, 2, 4 or 8 slots': [
    ...repeated(16, 1),
    ...repeated(16, 2),
    ...repeated(16, 4),
    ...repeated(16, 8),
  ],
}
const REQUESTS = 8000
const SEED = 2026

interface Row extends Outcome {
  readonly farm: string
  readonly load: number
  readonly balance: BalanceName
}

const rows: Row[] = []
for (const [farm, slots] of Object.entries(FARMS)) {
  for (const load of LOADS) {
    for (const balance of BALANCES) {
      const outcome = await simulate({ slots, balance, load, requests: REQUESTS, seed: SEED })
      rows.push({ farm, load, balance, ...outcome })
    }
  }
  process.stderr.write(`${farm}\n`)
}
writeFileSync('docs/balance-table.md', table(rows))
writeFileSync('docs/balance.svg', drawing(rows))

function table(all: readonly Row[]): string {
  const lines = [
    '# Balances, simulated',
    '',
    'Written by `npm run bench:balance`; what it means is in [upstreams.md](upstreams.md#which-balance).',
    '',
    '| farm | load | balance | p50 to first token | p99 | cache hits | refused |',
    '| --- | ---: | --- | ---: | ---: | ---: | ---: |',
    ...all.map(({ farm, load, balance, p50Ms, p99Ms, hitRate, refused }) => {
      const cells = [farm, percent(load), `\`${balance}\``, seconds(p50Ms), seconds(p99Ms), percent(hitRate)]
      return `| ${cells.join(' | ')} | ${refused === 0 ? '0' : `${(refused * 100).toFixed(1)} %`} |`
    }),
  ]
  return `${lines.join('\n')}\n`
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`
}
