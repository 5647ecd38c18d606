/**
 * Tallies: counters and histograms that a request can afford, in Prometheus' text form.
 *
 * A request touches a dozen of them. With prom-client, which hashes an object of labels each time, that takes
 * 30 µs; here, where labels are a list in a known order, it takes 3.
 */
export interface Tally {
  /** @param labels - In the order of their names; an empty one is left out. */
  add(labels: readonly string[], by?: number): void
  text(): string
}

export interface TallyNeeds {
  readonly name: string
  readonly help: string
  readonly labels: readonly string[]
}

export function createCounter({ name, help, labels }: TallyNeeds): Tally {
  const series = createSeries(labels, () => ({ value: 0 }))
  if (labels.length === 0) series.of([])
  return {
    add(values, by = 1) {
      series.of(values).value += by
    },
    text() {
      let text = headOf(name, help, 'counter')
      for (const [label, { value }] of series.all) text += `${name}${braced(label)} ${value}\n`
      return text
    },
  }
}

/** @param buckets - Their upper ends, ascending. */
export function createHistogram({ name, help, labels }: TallyNeeds, buckets: readonly number[]): Tally {
  const series = createSeries(labels, () => ({ counts: new Float64Array(buckets.length + 1), sum: 0 }))
  if (labels.length === 0) series.of([])
  return {
    add(values, observed = 1) {
      const one = series.of(values)
      let bucket = 0
      while (bucket < buckets.length && observed > (buckets[bucket] as number)) bucket++
      one.counts[bucket] = (one.counts[bucket] as number) + 1
      one.sum += observed
    },
    text() {
      let text = headOf(name, help, 'histogram')
      for (const [label, { counts, sum }] of series.all) {
        const others = label && `,${label}`
        let below = 0
        for (let bucket = 0; bucket < buckets.length; bucket++) {
          below += counts[bucket] as number
          text += `${name}_bucket{le="${buckets[bucket]}"${others}} ${below}\n`
        }
        below += counts[buckets.length] as number
        text += `${name}_bucket{le="+Inf"${others}} ${below}\n`
        text += `${name}_sum${braced(label)} ${sum}\n${name}_count${braced(label)} ${below}\n`
      }
      return text
    },
  }
}

interface Series<T> {
  of(values: readonly string[]): T
  /** By the text of their labels, in the order in which they came. */
  readonly all: readonly (readonly [label: string, one: T])[]
}

/** The values of the labels lead to it one by one: nothing is put together for that, and nothing hashed anew. */
interface Branch<T> {
  readonly next: Map<string, Branch<T>>
  one: T | undefined
}

function createSeries<T>(labels: readonly string[], make: () => T): Series<T> {
  const root: Branch<T> = { next: new Map(), one: undefined }
  const all: [string, T][] = []

  function branchOf(values: readonly string[]): Branch<T> {
    let branch = root
    for (const value of values) {
      let next = branch.next.get(value)
      if (!next) {
        next = { next: new Map(), one: undefined }
        branch.next.set(value, next)
      }
      branch = next
    }
    return branch
  }

  return {
    of(values) {
      const branch = branchOf(values)
      if (branch.one === undefined) {
        branch.one = make()
        all.push([labelText(labels, values), branch.one])
      }
      return branch.one
    },
    all,
  }
}

function headOf(name: string, help: string, type: string): string {
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`
}

function braced(label: string): string {
  return label === '' ? '' : `{${label}}`
}

function labelText(names: readonly string[], values: readonly string[]): string {
  return names
    .map((name, index) => [name, values[index] ?? ''] as const)
    .filter(([, value]) => value !== '')
    .map(([name, value]) => `${name}="${escaped(value)}"`)
    .join()
}

function escaped(value: string): string {
  return value.replace(/[\\"\n]/g, found => (found === '\n' ? '\\n' : `\\${found}`))
}
