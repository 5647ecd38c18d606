/**
 * Rank: what a server tells of itself, as far as it decides who comes first. A model that is in memory
 * beats one that must be loaded, which takes longer than most answers; readings that are too old to be
 * believed count as the worst.
 */
import { freshReading, type Target } from './target.ts'

const READY = 0
const MUST_LOAD = 1
const HAS_NOT_THE_MODEL = 2
const UNKNOWN = 3

/** @returns The lower the better. A server of a kind that tells nothing is taken for ready. */
export function rankOf(target: Target, model: string | null, now: number): number {
  if (target.kind === 'openai') return READY
  const reading = freshReading(target.state, now)
  if (!reading) return UNKNOWN
  if (model === null || !reading.loaded || reading.loaded.has(withTag(model))) return READY
  return reading.known && !reading.known.has(withTag(model)) ? HAS_NOT_THE_MODEL : MUST_LOAD
}

/** Ollama's full name of a model: `tiny` is `tiny:latest`. */
export function withTag(model: string): string {
  return model.includes(':') ? model : `${model}:latest`
}
