/**
 * Reload under load: from the last byte of a changed policy to the first request that is decided by it, what
 * requests that come meanwhile wait, and how long the event loop stood still.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { chat } from '../gateway/scenarios.ts'
import { type Ground, type Grown, grow } from './gateway.ts'
import { forgetLag, lagOf } from './lag.ts'

const RELOADS = 100
/** A request every so often, one after the other. */
const PACE_MS = 5
const QUIET_WINDOWS = 30
/** About as long as a reload. */
const WINDOW_REQUESTS = 80
const MOST_REQUESTS = 4000

export async function reloadUnderLoad({ port, upstream }: Ground): Promise<string> {
  const gateway = await grow({}, { port, upstream, lag: true })
  try {
    await pace(gateway, () => false, 1000)
    const quiet: Window[] = []
    for (let number = 1; number <= QUIET_WINDOWS; number++) {
      quiet.push(await observed(gateway, () => pace(gateway, () => false, WINDOW_REQUESTS)))
    }
    const reloads: Window[] = []
    for (let number = 1; number <= RELOADS; number++) {
      const limit = String(1e8 + number)
      reloads.push(
        await observed(gateway, () => {
          change(gateway, limit)
          return pace(gateway, given => given === limit, MOST_REQUESTS)
        }),
      )
      if (number % 10 === 0)
        process.stderr.write(`reload ${number}: ${Math.round(reloads.at(-1)?.ms as number)} ms\n`)
    }
    return `## A changed policy

The reference policy, changed ${RELOADS} times under a request every ${PACE_MS} ms; checked, compiled and loaded each time,
on the same cores as the load.

| ms | median | p99 | worst |
| --- | ---: | ---: | ---: |
| from the last byte written to the first request decided by it | ${row(reloads.map(({ ms }) => ms))} |
| a request, nothing else going on | ${row(quiet.flatMap(({ latencies }) => latencies))} |
| a request, while a policy is reloaded | ${row(reloads.flatMap(({ latencies }) => latencies))} |
| the longest standstill of the event loop, nothing else going on | ${row(quiet.map(({ standstill }) => standstill))} |
| the longest standstill of the event loop in a reload | ${row(reloads.map(({ standstill }) => standstill))} |
`
  } finally {
    await gateway.stop()
  }
}

/** What was seen while something went on, all in ms. */
interface Window {
  readonly ms: number
  readonly latencies: readonly number[]
  readonly standstill: number
}

async function observed(gateway: Grown, run: () => Promise<number[]>): Promise<Window> {
  await forgetLag(gateway)
  const began = performance.now()
  const latencies = await run()
  const ms = performance.now() - began
  return { ms, latencies, standstill: await lagOf(gateway) }
}

/** @param limit - What answers say once it is in force. */
function change({ folder }: Grown, limit: string): void {
  const file = path.join(folder, 'policies/gateway/tables/data.yaml')
  writeFileSync(file, readFileSync(file, 'utf8').replace(/(requests_per_minute: )1\d{8}/g, `$1${limit}`))
}

/** Asks until an answer is as wanted, or so often. @returns How long each took, ms. */
async function pace(
  { port, secret }: Grown,
  wanted: (limit: string | null) => boolean,
  most: number,
): Promise<number[]> {
  const latencies: number[] = []
  const headers = { authorization: `Bearer ${secret}`, 'content-type': 'application/json' }
  while (latencies.length < most) {
    const began = performance.now()
    const response = await fetch(`http://127.0.0.1:${port}/v1/chat/completions`, {
      method: 'POST',
      headers,
      body: chat(1024),
    })
    await response.arrayBuffer()
    latencies.push(performance.now() - began)
    if (wanted(response.headers.get('x-ratelimit-limit-requests'))) return latencies
    await passed(Math.max(0, PACE_MS - (performance.now() - began)))
  }
  return latencies
}

function row(values: readonly number[]): string {
  const sorted = [...values].sort((a, b) => a - b)
  const at = (share: number): number => sorted[Math.floor((sorted.length - 1) * share)] as number
  return [at(0.5), at(0.99), at(1)].map(ms => ms.toFixed(1)).join(' | ')
}

const passed = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))
