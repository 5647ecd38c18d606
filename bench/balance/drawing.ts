/**
 * The drawing: for each farm, time to first token and cache hits over the load, a line per balance.
 */
interface Drawn {
  readonly farm: string
  readonly load: number
  readonly balance: string
  readonly p50Ms: number
  readonly p99Ms: number
  readonly hitRate: number
}

const COLOURS = ['#9a9a9a', '#c98a1b', '#2f6fb3', '#7b4fb5', '#1f8a4c']
const [WIDTH, HEIGHT, LEFT, TOP, GAP] = [220, 120, 60, 70, 60] as const
const LONGEST_S = 100
const SHORTEST_S = 0.1

interface Panel {
  readonly title: string
  /** From 0, at the bottom, to 1. */
  place(row: Drawn): number
  readonly marks: readonly (readonly [string, number])[]
}

const onLog = (ms: number): number => {
  const share = Math.log(ms / 1000 / SHORTEST_S) / Math.log(LONGEST_S / SHORTEST_S)
  return Math.min(1, Math.max(0, share))
}
const TIMES = [0.1, 1, 10, 100].map(second => [`${second} s`, onLog(second * 1000)] as const)
const SHARES = [0, 0.5, 1].map(share => [`${share * 100} %`, share] as const)

const PANELS: readonly Panel[] = [
  { title: 'p50 to first token', place: ({ p50Ms }) => onLog(p50Ms), marks: TIMES },
  { title: 'p99 to first token', place: ({ p99Ms }) => onLog(p99Ms), marks: TIMES },
  { title: 'cache hits', place: ({ hitRate }) => hitRate, marks: SHARES },
]

export function drawing(rows: readonly Drawn[]): string {
  const farms = [...new Set(rows.map(({ farm }) => farm))]
  const balances = [...new Set(rows.map(({ balance }) => balance))]
  const loads = [...new Set(rows.map(({ load }) => load))]
  const width = LEFT + PANELS.length * (WIDTH + GAP)
  const height = TOP + farms.length * (HEIGHT + GAP)
  const xOf = (load: number): number => (loads.indexOf(load) / (loads.length - 1)) * WIDTH
  const parts: string[] = []

  balances.forEach((balance, index) => {
    const x = LEFT + index * 130
    parts.push(`<rect x="${x}" y="14" width="12" height="12" fill="${COLOURS[index]}"/>`)
    parts.push(text(x + 18, 24, balance))
  })
  farms.forEach((farm, line) => {
    const top = TOP + line * (HEIGHT + GAP)
    parts.push(text(LEFT, top - 12, farm, 'start', 'bold'))
    PANELS.forEach((panel, column) => {
      const left = LEFT + column * (WIDTH + GAP)
      const yOf = (share: number): number => top + HEIGHT * (1 - share)
      parts.push(text(left + WIDTH, top - 12, panel.title, 'end'))
      for (const [label, share] of panel.marks) {
        parts.push(`<path d="M${left} ${yOf(share)}h${WIDTH}" stroke="#ddd"/>`)
        parts.push(text(left - 6, yOf(share) + 4, label, 'end'))
      }
      for (const load of loads)
        parts.push(text(left + xOf(load), top + HEIGHT + 16, `${Math.round(load * 100)} %`, 'middle'))
      balances.forEach((balance, index) => {
        const points = rows
          .filter(row => row.farm === farm && row.balance === balance)
          .map(row => `${(left + xOf(row.load)).toFixed(1)},${yOf(panel.place(row)).toFixed(1)}`)
        parts.push(
          `<polyline points="${points.join(' ')}" fill="none" stroke="${COLOURS[index]}" stroke-width="2"/>`,
        )
      })
    })
  })
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="11" fill="#333">
<title>Time to first token and cache hits, by balance and load</title>
<rect width="${width}" height="${height}" fill="#fff"/>
${parts.join('\n')}
</svg>
`
}

function text(x: number, y: number, words: string, anchor = 'start', weight = 'normal'): string {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}" font-weight="${weight}">${words}</text>`
}
