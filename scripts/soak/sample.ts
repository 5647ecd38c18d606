/** One look at a gateway from outside: what the kernel counts of its process, and what it says of itself. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import type { RunningGateway } from '../../test/support/gateway.ts'

export interface Sample {
  readonly seconds: number
  readonly rss_mib: number
  readonly cpu_seconds: number
  readonly fds: number
  readonly sockets: number
  /** Heap in use, as it happens to be: before or after a collection. */
  readonly heap_mib: number
  /** What keeps the process awake, as Node counts it, timers first. */
  readonly timers: number
  readonly resources: number
  readonly in_flight: number
  readonly queued: number
  /** Requests of the one principal with a limit of concurrency, as the store counts them. */
  readonly leases: number
  readonly grants: number
}

export const STREAMS = 100
const MIB = 2 ** 20
const TICKS_PER_SECOND = 100

export async function sample(gateway: RunningGateway, startedAt: number): Promise<Sample> {
  const { pid } = gateway.process
  const folder = `/proc/${pid}`
  const descriptors = readdirSync(`${folder}/fd`).map(name => linkOf(`${folder}/fd/${name}`))
  const times = readFileSync(`${folder}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  const text = await (await fetch(`${gateway.adminUrl}/metrics`)).text()
  const sum = (name: string, label = ''): number => sumOf(text, name, label)
  return {
    seconds: Math.round((Date.now() - startedAt) / 1000),
    rss_mib: round(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`${folder}/status`, 'utf8'))?.[1]) / 1024),
    cpu_seconds: (Number(times[11]) + Number(times[12])) / TICKS_PER_SECOND,
    fds: descriptors.length,
    sockets: descriptors.filter(link => link.startsWith('socket:')).length,
    heap_mib: round(sum('nodejs_heap_size_used_bytes') / MIB),
    timers: sum('nodejs_active_resources', 'type="Timeout"'),
    resources: sum('nodejs_active_resources'),
    in_flight: sum('sallyport_target_in_flight'),
    queued: sum('sallyport_queue_depth'),
    leases: await leasesOf(gateway),
    grants: sum('sallyport_grants_active'),
  }
}

async function leasesOf(gateway: RunningGateway): Promise<number> {
  const answer = await fetch(`${gateway.url}/-/whoami`, {
    headers: { authorization: `Bearer ${gateway.keys.dev}` },
  })
  const { limits = [] } = (await answer.json()) as { limits?: { name: string; remaining: number }[] }
  return STREAMS - (limits.find(({ name }) => name === 'streams')?.remaining ?? STREAMS)
}

/** Of all series of a name, or of those with a label. */
function sumOf(text: string, name: string, label: string): number {
  let sum = 0
  for (const line of text.split('\n'))
    if ((line.startsWith(`${name}{`) || line.startsWith(`${name} `)) && line.includes(label))
      sum += Number(line.slice(line.lastIndexOf(' ')))
  return sum
}

/** A descriptor may be gone by the time it is looked at. */
function linkOf(file: string): string {
  try {
    return readlinkSync(file)
  } catch {
    return ''
  }
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}
