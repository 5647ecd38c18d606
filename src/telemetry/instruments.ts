/**
 * Instruments: counters, histograms and gauges, and their text for Prometheus. The one door of
 * `prom-client`.
 */
import { collectDefaultMetrics, Gauge, Registry } from 'prom-client'
import { createCounter, createHistogram, type Tally } from './tally.ts'

export interface MetricFamily {
  readonly name: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly labels: readonly string[]
  readonly help: string
}

type Labels = Readonly<Record<string, string>>

export interface Level {
  set(labels: Labels, value: number): void
  reset(): void
}

export interface Instruments {
  counter(name: string, help: string, labels?: readonly string[]): Tally
  histogram(name: string, help: string, labels: readonly string[], buckets: readonly number[]): Tally
  gauge(name: string, help: string, labels: readonly string[]): Level
  /** A gauge that is read when it is asked for; what cannot be read then is left out. */
  reading(
    name: string,
    help: string,
    labels: readonly string[],
    read: () => Promise<readonly (readonly [Labels, number])[]>,
  ): void
  /** What there is, besides what Prometheus knows of any process. */
  readonly families: readonly MetricFamily[]
  /** In the exposition format of Prometheus. */
  text(): Promise<string>
  readonly contentType: string
}

/** Gauges that are named as counters are. */
const MISNAMED = ['active_handles', 'active_requests', 'active_resources'].map(what => `nodejs_${what}_total`)

export function createInstruments(): Instruments {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  for (const name of MISNAMED) registry.removeSingleMetric(name)
  const tallies: Tally[] = []
  const families: MetricFamily[] = []

  function kept(tally: Tally, family: MetricFamily): Tally {
    tallies.push(tally)
    families.push(family)
    return tally
  }

  function gauge(
    name: string,
    help: string,
    labels: readonly string[],
    collect?: (this: Gauge) => Promise<void>,
  ): Gauge {
    families.push({ name, type: 'gauge', labels, help })
    const needs = { name, help, labelNames: [...labels], registers: [registry] }
    return new Gauge({ ...needs, ...(collect ? { collect } : {}) })
  }

  return {
    counter: (name, help, labels = []) =>
      kept(createCounter({ name, help, labels }), { name, type: 'counter', labels, help }),
    histogram: (name, help, labels, buckets) =>
      kept(createHistogram({ name, help, labels }, buckets), { name, type: 'histogram', labels, help }),
    gauge: (name, help, labels) => gauge(name, help, labels),
    reading(name, help, labels, read) {
      gauge(name, help, labels, async function () {
        this.reset()
        // What cannot be read now, such as a limit in a store that is away, is left out, and nothing else is.
        const values = await read().catch(() => [])
        for (const [of, value] of values) this.set(of, value)
      })
    },
    families,
    text: async () => tallies.map(tally => tally.text()).join('') + (await registry.metrics()),
    contentType: registry.contentType,
  }
}
