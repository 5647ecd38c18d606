/**
 * llama.cpp: `/slots` says how many slots there are and which are at work; where it is switched off
 * (`--no-slots`), `/props` tells their number, and `/metrics`, where it is switched on, the work.
 */
import { gauges } from './prometheus-text.ts'
import type { Ask, Told } from './read.ts'

export async function readLlamaCpp(ask: Ask): Promise<Told | undefined> {
  const slots = slotsIn(await ask('/slots'))
  const metrics = gauges((await ask('/metrics')) ?? '')
  const waiting = metrics.get('llamacpp:requests_deferred') ?? 0
  if (slots) return told(slots.filter(isAtWork).length + waiting, slots.length, metrics)
  const total = totalIn(await ask('/props'))
  const working = metrics.get('llamacpp:requests_processing')
  if (total === undefined && working === undefined) return undefined
  return told((working ?? 0) + waiting, total, metrics)
}

function told(busy: number, slots: number | undefined, metrics: ReadonlyMap<string, number>): Told {
  return {
    busy,
    slots,
    loaded: undefined,
    known: undefined,
    cacheUse: metrics.get('llamacpp:kv_cache_usage_ratio'),
  }
}

/** Older servers say `state`, which is 0 for idle. */
interface Slot {
  readonly is_processing?: boolean
  readonly state?: number
}

function isAtWork({ is_processing, state }: Slot): boolean {
  return is_processing ?? (state ?? 0) !== 0
}

function slotsIn(text: string | undefined): readonly Slot[] | undefined {
  const value: unknown = text === undefined ? undefined : JSON.parse(text)
  return Array.isArray(value) && value.length > 0 ? (value as Slot[]) : undefined
}

function totalIn(text: string | undefined): number | undefined {
  const total = text === undefined ? undefined : (JSON.parse(text) as { total_slots?: unknown }).total_slots
  return typeof total === 'number' && total > 0 ? total : undefined
}
