/** The drawing of a soak: memory over time, and under it what was open. */
import type { Sample } from './sample.ts'

interface Line {
  readonly name: string
  readonly colour: string
  readonly values: readonly (readonly [seconds: number, value: number])[]
}

const [WIDTH, HEIGHT, LEFT, TOP, GAP] = [640, 160, 60, 50, 56] as const
/** More points than pixels tell nobody more. */
const MOST_POINTS = 320

export function drawing(samples: readonly Sample[], heap: Line['values']): string {
  const thin = samples.filter((_, index) => index % Math.ceil(samples.length / MOST_POINTS) === 0)
  const of = (member: 'rss_mib' | 'fds' | 'in_flight'): Line['values'] =>
    thin.map(one => [one.seconds, one[member]])
  const last = samples.at(-1)?.seconds ?? 0
  const rss = samples.map(({ rss_mib }) => rss_mib)
  const parts = [
    ...panel(TOP, 'MiB', last, [
      { name: 'resident memory', colour: '#2f6fb3', values: of('rss_mib') },
      { name: 'heap in use after a full collection', colour: '#1f8a4c', values: heap },
    ]),
    ...panel(TOP + HEIGHT + GAP, 'open', last, [
      { name: 'file descriptors', colour: '#7b4fb5', values: of('fds') },
      { name: 'requests in flight', colour: '#c98a1b', values: of('in_flight') },
    ]),
  ]
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${LEFT + WIDTH + 30} ${TOP + 2 * (HEIGHT + GAP)}" font-family="sans-serif" font-size="11" fill="#333" role="img">
<title>Memory and open things during ${Math.round(last / 60)} minutes of mixed load</title>
<desc>Resident memory stays between ${Math.round(Math.min(...rss))} and ${Math.round(Math.max(...rss))} MiB; file descriptors and requests in flight return to where they were.</desc>
<rect width="100%" height="100%" fill="#fff"/>
${parts.join('\n')}
</svg>
`
}

function panel(top: number, unit: string, seconds: number, lines: readonly Line[]): string[] {
  const highest = ceiling(Math.max(1, ...lines.flatMap(({ values }) => values.map(([, value]) => value))))
  const xOf = (at: number): number => LEFT + (at / Math.max(1, seconds)) * WIDTH
  const yOf = (value: number): number => top + HEIGHT * (1 - value / highest)
  const parts: string[] = []
  for (const share of [0, 0.5, 1]) {
    parts.push(`<path d="M${LEFT} ${yOf(share * highest)}h${WIDTH}" stroke="#ddd"/>`)
    parts.push(text(LEFT - 6, yOf(share * highest) + 4, `${share * highest}`, 'end'))
  }
  parts.push(text(LEFT - 6, top - 14, unit, 'end'))
  for (let part = 0; part <= 6; part++) {
    const at = (seconds * part) / 6
    parts.push(text(xOf(at), top + HEIGHT + 16, `${Math.round(at / 60)} min`, 'middle'))
  }
  lines.forEach(({ name, colour, values }, index) => {
    const points = values.map(([at, value]) => `${xOf(at).toFixed(1)},${yOf(value).toFixed(1)}`).join(' ')
    parts.push(`<polyline points="${points}" fill="none" stroke="${colour}" stroke-width="1.5"/>`)
    parts.push(`<rect x="${LEFT + index * 240}" y="${top - 24}" width="12" height="12" fill="${colour}"/>`)
    parts.push(text(LEFT + index * 240 + 18, top - 14, name, 'start'))
  })
  return parts
}

/** The next of 1, 2, 5, 10, 20, … that holds it. */
function ceiling(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value))
  return power * ([1, 2, 3, 4, 5, 6, 8].find(times => times * power >= value) ?? 10)
}

function text(x: number, y: number, words: string, anchor: string): string {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}">${words}</text>`
}
