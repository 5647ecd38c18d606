/**
 * `bench`: what deciding costs with this policy on this machine, and admitting with each store.
 */
import { GatewayError } from '../contract/errors.ts'
import { findOpa } from '../policy/compile/opa-command.ts'
import type { Revision } from '../policy/revision.ts'
import { SAMPLE_INSTANT, sampleInputs } from '../policy/samples.ts'
import { benchAdmit } from './bench-admit.ts'
import { configFor } from './config.ts'
import { type Format, print, printJson, table } from './output.ts'
import { openPolicy } from './policy.ts'
import { settingOf } from './setting.ts'

export interface BenchOptions {
  readonly config: string
  readonly format: Format
  readonly policy?: string
  readonly decisions: number
}

/** The compiler of the machine needs some before it knows what is hot. */
const WARM_UP = 2000
/** Each is a few microseconds, or a round trip. */
const MOST_ADMITTED = 5000

export async function bench({ config: file, format, policy: given, decisions }: BenchOptions): Promise<void> {
  const config = configFor(file, format)
  const before = process.memoryUsage().rss
  const policy = await openPolicy(config, given)
  try {
    const models = Object.values(config.pools).flatMap(pool => pool.models)
    const inputs = sampleInputs(models, settingOf(config).pools())
    decideEach(policy.revision, inputs, Math.min(WARM_UP, decisions))
    const us = decideEach(policy.revision, inputs, decisions).sort()
    const result = {
      median_us: rounded(at(us, 0.5)),
      p99_us: rounded(at(us, 0.99)),
      decisions,
      memory_bytes: { before, after: process.memoryUsage().rss },
      admit: await benchAdmit(config.store, Math.min(MOST_ADMITTED, decisions)),
      revision: policy.revision.id,
      opa: (await findOpa()?.version()) ?? null,
    }
    if (format === 'json') printJson(result)
    else
      print(
        table([
          ['revision', result.revision],
          ['opa', result.opa ?? 'none'],
          ['decisions', String(decisions)],
          ['median', `${result.median_us} µs`],
          ['99th percentile', `${result.p99_us} µs`],
          ...Object.entries(result.admit).map(([store, us]) => [`admit, ${store.slice(0, -3)}`, `${us} µs`]),
          ['memory before', mebibytes(before)],
          ['memory after', mebibytes(result.memory_bytes.after)],
        ]),
      )
  } finally {
    policy.close()
  }
}

/** @returns How long each took, in microseconds. Samples take turns, as callers do. */
function decideEach({ decide }: Revision, inputs: readonly string[], decisions: number): Float64Array {
  const us = new Float64Array(decisions)
  for (let turn = 0; turn < decisions; turn++) {
    const input = inputs[turn % inputs.length] as string
    const began = performance.now()
    try {
      decide(input, SAMPLE_INSTANT)
    } catch (error) {
      // A policy may have nothing to say of a sample.
      if (!(error instanceof GatewayError)) throw error
    }
    us[turn] = (performance.now() - began) * 1000
  }
  return us
}

function at(sorted: Float64Array, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
}

function rounded(us: number): number {
  return Math.round(us * 100) / 100
}

function mebibytes(bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(1)} MiB`
}
