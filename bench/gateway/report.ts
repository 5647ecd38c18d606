/**
 * What the benchmark found, as tables for a terminal and a page, and as a picture.
 */
import { writeFileSync } from 'node:fs'
import { cpus, release, type } from 'node:os'
import path from 'node:path'
import { findOpa } from '../../src/policy/compile/opa-command.ts'
import { VERSION } from '../../src/version.ts'
import type { LoadResult } from './load.ts'
import type { Scenario } from './scenarios.ts'
import { SYSTEMS } from './systems.ts'

export interface Round extends LoadResult {
  /** µs of all processes of the system. */
  readonly cpuPerAnswer: number
  readonly memoryBytes: number
}

export interface Measured {
  readonly scenario: Scenario
  /** By the name of the system. */
  readonly rounds: ReadonlyMap<string, readonly Round[]>
}

/** What ours is compared with, where it was measured. */
const REFERENCES = ['sallyport', 'express-hpm', 'hpm', 'nginx+opa', 'portkey']
const DOCS = path.resolve(import.meta.dirname, '../../docs')

export async function report(
  measured: readonly Measured[],
  { write, seconds, warm, admit }: { write: boolean; seconds: number; warm: number; admit: string },
): Promise<void> {
  const tables = [...measured.map(tableOf), admit].join('\n')
  console.log(tables)
  if (!write) return
  writeFileSync(path.join(DOCS, 'performance.svg'), pictureOf(measured))
  writeFileSync(path.join(DOCS, 'performance.md'), await pageOf(measured, tables, seconds, warm))
}

function tableOf({ scenario, rounds }: Measured): string {
  const references = REFERENCES.filter(name => rounds.has(name))
  const head = [
    'system',
    'CPU µs/answer',
    'min–max',
    'answers/s',
    'first byte p50 µs',
    'whole p50',
    'p99',
    'MiB',
    ...references.map(name => `CPU / ${name}`),
  ]
  const lines = [...rounds].map(([name, own]) => {
    const cpu = own.map(({ cpuPerAnswer }) => cpuPerAnswer)
    const of = (read: (round: Round) => number): string => String(Math.round(median(own.map(read))))
    return [
      name,
      String(Math.round(median(cpu))),
      `${Math.round(Math.min(...cpu))}–${Math.round(Math.max(...cpu))}`,
      of(round => round.answers / round.seconds),
      of(round => round.first.p50),
      of(round => round.whole.p50),
      of(round => round.whole.p99),
      of(round => round.memoryBytes / 2 ** 20),
      ...references.map(reference => ratioOf(own, rounds.get(reference) as readonly Round[])),
    ]
  })
  const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  return [
    `### ${scenario.name}: ${scenario.about}`,
    '',
    row(head),
    row(head.map((_, index) => (index === 0 ? '---' : '---:'))),
    ...lines.map(row),
    '',
  ].join('\n')
}

/** Round by round, as they were measured one after the other; the median of that. */
function ratioOf(own: readonly Round[], reference: readonly Round[]): string {
  return median(
    own.map((round, index) => round.cpuPerAnswer / (reference[index] as Round).cpuPerAnswer),
  ).toFixed(2)
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}

async function pageOf(
  measured: readonly Measured[],
  tables: string,
  seconds: number,
  warm: number,
): Promise<string> {
  const names = new Set(measured.flatMap(({ rounds }) => [...rounds.keys()]))
  const systems = SYSTEMS.filter(({ name }) => names.has(name)).map(
    ({ name, about }) => `- **${name}**: ${about}`,
  )
  const rounds = Math.max(...measured.flatMap(each => [...each.rounds.values()].map(({ length }) => length)))
  return `# Performance

What being guarded costs, in CPU time for each answer: user and system time of all processes of a system, as the
kernel counts it, divided by the answers it gave. Written by \`npm run bench -- --write\`; run it on your machine.

- Sallyport ${VERSION}, Node ${process.versions.node}, OPA ${(await findOpa()?.version()) ?? 'not there'}
- ${type()} ${release()}, ${cpus().length} × ${cpus()[0]?.model.trim()}
- each system on one core, the load and the model server on another; ${warm} rounds to
  warm up, then ${rounds} rounds of ${seconds} s in turn, medians

${systems.join('\n')}

![CPU time for each answer, by scenario and system](performance.svg)

${tables}
A ratio is the median of the ratios of each round. First byte: of the body, from when the request was sent, over 32
connections that are always busy, so it holds the time in line. The limits of these figures: one machine, loopback,
a model server that answers at once.

How cost grows with what there is, what an open stream takes and what a reload costs: [growth.md](growth.md). What a
second process is worth: [workers.md](workers.md#what-it-is-worth). Memory over an hour of mixed load:
[reliability.md](reliability.md#an-hour-of-everything-at-once).
`
}

const BAR = 18
const LEFT = 170
const WIDTH = 760

function pictureOf(measured: readonly Measured[]): string {
  const parts: string[] = []
  let y = 10
  for (const { scenario, rounds } of measured) {
    const values = [...rounds].map(
      ([name, own]) => [name, median(own.map(({ cpuPerAnswer }) => cpuPerAnswer))] as const,
    )
    const most = Math.max(...values.map(([, value]) => value))
    y += 20
    parts.push(`<text x="10" y="${y}" class="t">${escaped(`${scenario.name}: ${scenario.about}`)}</text>`)
    y += 8
    for (const [name, value] of values) {
      const width = Math.max(1, Math.round(((WIDTH - LEFT - 90) * value) / most))
      parts.push(
        `<text x="${LEFT - 8}" y="${y + 13}" text-anchor="end">${escaped(name)}</text>`,
        `<rect x="${LEFT}" y="${y}" width="${width}" height="${BAR - 4}" class="${name.startsWith('sallyport') ? 'o' : 'b'}"/>`,
        `<text x="${LEFT + width + 6}" y="${y + 13}">${Math.round(value)} µs</text>`,
      )
      y += BAR
    }
    y += 10
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y}" font-family="system-ui, sans-serif" font-size="12" role="img">
<title>CPU time for each answer, by scenario and system</title>
<style>text{fill:#333}.t{font-weight:600;font-size:13px}.o{fill:#1f6feb}.b{fill:#9aa4b2}@media(prefers-color-scheme:dark){text{fill:#ddd}.b{fill:#57606a}}</style>
${parts.join('\n')}
</svg>
`
}

function escaped(text: string): string {
  return text.replace(/[&<>]/g, character => `&#${character.charCodeAt(0)};`)
}
