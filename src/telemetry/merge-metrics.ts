/**
 * The metrics of several processes as those of one: what is counted is added up, and of what is measured it
 * depends on what it says.
 */

/** A metric with its series, as the exposition format of Prometheus has them. */
export interface Family {
  readonly head: string
  readonly type: string
  /** By name and labels. */
  readonly series: ReadonlyMap<string, number>
}

export type Families = ReadonlyMap<string, Family>

type Join = (one: number, other: number) => number

const sum: Join = (one, other) => one + other
const most: Join = Math.max
const least: Join = Math.min

/** Of other gauges the sum says what all of them do together, such as what is in flight. */
const JOINS: readonly (readonly [RegExp, Join])[] = [
  [/^sallyport_store_up$/, least],
  [
    /^sallyport_(target_(up|slots|breaker_open)|policy_info|grants_active|limit_used_ratio|store_mode)$/,
    most,
  ],
  [/^process_start_time_seconds$/, least],
  [/^process_max_fds$/, least],
  [/^nodejs_(eventloop_lag|version_info)/, most],
]

/** @param text - As it is scraped. */
export function readFamilies(text: string): Families {
  const families = new Map<string, { head: string; type: string; series: Map<string, number> }>()
  let family: { head: string; type: string; series: Map<string, number> } | undefined
  for (const line of text.split('\n')) {
    const [, what, name = '', rest = ''] = HEAD.exec(line) ?? []
    if (what !== undefined) {
      family = families.get(name) ?? { head: '', type: '', series: new Map() }
      families.set(name, family)
      family.head += `${line}\n`
      if (what === 'TYPE') family.type = rest
    } else if (family && line !== '') {
      const end = line.lastIndexOf(' ')
      family.series.set(line.slice(0, end), Number(line.slice(end + 1)))
    }
  }
  return families
}

const HEAD = /^# (HELP|TYPE) (\S+) (.*)$/

export function mergeFamilies(all: readonly Families[]): Families {
  const merged = new Map<string, { head: string; type: string; series: Map<string, number> }>()
  for (const families of all) {
    for (const [name, { head, type, series }] of families) {
      const family = merged.get(name) ?? { head, type, series: new Map<string, number>() }
      merged.set(name, family)
      const join = joinOf(name, type)
      for (const [key, value] of series) {
        const before = family.series.get(key)
        family.series.set(key, before === undefined ? value : join(before, value))
      }
    }
  }
  return merged
}

function joinOf(name: string, type: string): Join {
  if (type !== 'gauge') return sum
  return JOINS.find(([names]) => names.test(name))?.[1] ?? sum
}

/** What only grows, and has to be there still when the process that counted it is gone. */
export function countedIn(families: Families): Families {
  return new Map([...families].filter(([, { type }]) => type === 'counter' || type === 'histogram'))
}

export function familiesText(families: Families): string {
  let text = ''
  for (const { head, series } of families.values()) {
    text += head
    for (const [key, value] of series) text += `${key} ${value}\n`
  }
  return text
}
