/**
 * vLLM: `/metrics` says how many requests run and wait, and how full the KV cache is, under one name in
 * its first engine and another in its second.
 */
import { gauges } from './prometheus-text.ts'
import type { Ask, Told } from './read.ts'

export async function readVllm(ask: Ask): Promise<Told | undefined> {
  const metrics = gauges((await ask('/metrics')) ?? '')
  const running = metrics.get('vllm:num_requests_running')
  const waiting = metrics.get('vllm:num_requests_waiting')
  if (running === undefined && waiting === undefined) return undefined
  return {
    busy: (running ?? 0) + (waiting ?? 0),
    slots: undefined,
    loaded: undefined,
    known: undefined,
    cacheUse: metrics.get('vllm:kv_cache_usage_perc') ?? metrics.get('vllm:gpu_cache_usage_perc'),
  }
}
