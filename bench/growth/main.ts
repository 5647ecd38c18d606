/**
 * Growth: what a request costs as one thing after the other becomes larger, what an open stream takes, and
 * how long a changed policy takes to be in force.
 *
 *     npm run bench:growth -- [--only principals,reload] [--seconds 3] [--write]
 */
import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { cpus, release, type } from 'node:os'
import path from 'node:path'
import { parseArgs, promisify } from 'node:util'
import type { LoadOrder, LoadResult } from '../gateway/load.ts'
import { pinned, start, takenBy } from '../gateway/processes.ts'
import { chat, requestText } from '../gateway/scenarios.ts'
import { type Ground, type Grown, grow, type Shape } from './gateway.ts'
import { reloadUnderLoad } from './reload.ts'
import { holdStreams } from './streams.ts'

const execute = promisify(execFile)
const { values } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    seconds: { type: 'string', default: '3' },
    port: { type: 'string', default: '18400' },
    write: { type: 'boolean', default: false },
  },
})
const HERE = import.meta.dirname
const [LOAD_CORE, SYSTEM_CORE] = cpus().length > 1 ? [0, 1] : [0, 0]
const base = Number(values.port)
const ground: Ground = { port: base + 10, upstream: base, core: SYSTEM_CORE }
const MB = 1_000_000

interface Curve {
  readonly name: string
  readonly about: string
  /** Why it is as it is. */
  readonly why: string
  readonly points: readonly { readonly at: string; readonly shape: Shape }[]
}

const points = (
  sizes: readonly number[],
  shapeOf: (size: number) => Shape,
  shown = (size: number) => size.toLocaleString('en'),
): Curve['points'] => sizes.map(size => ({ at: shown(size), shape: shapeOf(size) }))

const bytes = (size: number): string => (size < MB ? `${size / 1000} KB` : `${size / MB} MB`)

const CURVES: readonly Curve[] = [
  {
    name: 'principals',
    about: 'Principals with a key',
    why: `A key is looked up by its id in a table in memory, and only its own digest is compared; each takes some 2 KB. What a
hundred thousand add is the collector's: the larger the heap, the more garbage it lets lie, and the more it moves.`,
    points: points([10, 1000, 100_000], principals => ({ principals })),
  },
  {
    name: 'data',
    about: "Policy data beside the policy's own",
    why: `A decision costs what it looks at, not what there is. But data is laid out in the module's memory by the thread
that serves: requests wait some 30 ms for each MB when such a policy is activated.`,
    points: points([10_000, MB, 10 * MB, 50 * MB], dataBytes => ({ dataBytes }), bytes),
  },
  {
    name: 'limits',
    about: 'Limits of a decision',
    why: `Each limit is counted, told in the answer's headers and written into the record.`,
    points: points([0, 1, 3, 10], limits => ({ limits })),
  },
  {
    name: 'targets',
    about: 'Targets of a pool',
    why: `Up to eight targets are compared, of more two are drawn; each has connections of its own.`,
    points: points([1, 4, 16, 64], targets => ({ targets })),
  },
  {
    name: 'audit',
    about: 'Audit log that is there already',
    why: `The log is only added to. At a start what is not rotated away is read once, for requests that were left open.`,
    points: points([0, 100 * MB, 1000 * MB], auditBytes => ({ auditBytes }), bytes),
  },
]

const STREAMS = [1, 100, 1000, 5000]
/** Of fewer, what the process takes and gives back by itself is more. */
const FEWEST_WEIGHED = 100
const STREAM_INTERVAL_MS = 1000
const STREAMS_WHY = `Of the process's memory, so with what is not collected yet; of few streams little is seen, as the heap had room, and
what a chunk costs is mostly what the process does anyhow. What ends up alive is some 19 KiB a stream, four fifths of it
sockets, parsers and Node's own objects. The more streams, the more chunks are read and written in one turn.`

const wanted = (name: string): boolean => values.only === '' || values.only.split(',').includes(name)
const sections: string[] = []
const upstream = await start([
  pinned(
    {
      command: process.execPath,
      args: [
        '--import',
        'tsx',
        path.join(HERE, '../gateway/upstream.ts'),
        String(base),
        '600',
        String(STREAM_INTERVAL_MS),
      ],
      port: base,
    },
    LOAD_CORE,
  ),
])
try {
  for (const curve of CURVES) if (wanted(curve.name)) sections.push(await drawn(curve))
  if (wanted('streams')) sections.push(await streams())
  if (wanted('reload')) sections.push(await reloadUnderLoad(ground))
} finally {
  await upstream.stop()
}
const page = `# Growth

What a request costs as one thing after the other becomes larger: CPU time of the gateway for each answer to a chat of
1 KB, over 32 connections, everything on, each request decided anew, as its caller's role has opening hours. One gateway
for each row, warmed, the median of three measurements; rows are minutes apart, so a tenth more or less is the
machine's. Written by \`npm run bench:growth -- --write\`.

- Node ${process.versions.node}, ${type()} ${release()}, ${cpus().length} × ${cpus()[0]?.model.trim()}

${sections.join('\n')}`
console.log(page)
if (values.write) writeFileSync(path.join(HERE, '../../docs/growth.md'), page)

async function drawn({ about, points, why }: Curve): Promise<string> {
  const rows: string[] = []
  for (const { at, shape } of points) {
    const gateway = await grow(shape, ground)
    try {
      await load(gateway)
      const costs = [await load(gateway), await load(gateway), await load(gateway)].sort((a, b) => a - b)
      const memory = takenBy(gateway.running.pids).memoryBytes / 2 ** 20
      rows.push(
        `| ${at} | ${Math.round(costs[1] as number)} | ${Math.round(memory)} | ${gateway.startSeconds.toFixed(1)} |`,
      )
      process.stderr.write(`${about} ${rows.at(-1)}\n`)
    } finally {
      await gateway.stop()
    }
  }
  return `## ${about}\n\n| | CPU µs/answer | MiB | s until it listens |\n| --- | ---: | ---: | ---: |\n${rows.join('\n')}\n\n${why}\n`
}

/** @returns CPU µs for each answer. */
async function load({ port, folder, running, secret }: Grown): Promise<number> {
  const request = path.join(folder, 'request')
  writeFileSync(request, requestText({ body: chat(1024) }, { authorization: `Bearer ${secret}` }))
  const order: LoadOrder = { port, connections: 32, request, status: 200, seconds: Number(values.seconds) }
  const before = takenBy(running.pids).cpu
  const { command, args } = pinned(
    {
      command: process.execPath,
      args: ['--import', 'tsx', path.join(HERE, '../gateway/load.ts'), JSON.stringify(order)],
    },
    LOAD_CORE,
  )
  const { stdout } = await execute(command, [...args], { timeout: 120_000 })
  const { answers, wrong } = JSON.parse(stdout) as LoadResult
  if (wrong > 0 || answers === 0) throw new Error(`${wrong} of ${answers} answers were wrong`)
  return (takenBy(running.pids).cpu - before) / answers
}

async function streams(): Promise<string> {
  const rows: string[] = []
  for (const count of STREAMS) {
    const gateway = await grow({}, ground)
    try {
      await load(gateway)
      const { bytesPerStream, cpuPerChunk } = await holdStreams(gateway, count, STREAM_INTERVAL_MS)
      const taken = count < FEWEST_WEIGHED ? '–' : (bytesPerStream / 1024).toFixed(1)
      rows.push(`| ${count.toLocaleString('en')} | ${taken} | ${Math.round(cpuPerChunk)} |`)
      process.stderr.write(`streams ${rows.at(-1)}\n`)
    } finally {
      await gateway.stop()
    }
  }
  return `## Streams at the same time\n\nEach with a chunk a second, its two connections included.\n\n| | KiB a stream | CPU µs/chunk |\n| --- | ---: | ---: |\n${rows.join('\n')}\n\n${STREAMS_WHY}\n`
}
