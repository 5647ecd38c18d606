/**
 * What a server tells of itself, by its kind.
 */
import type { TargetKind } from '../../contract/config/pools.ts'
import type { Reading } from '../target.ts'
import { readLlamaCpp } from './llama-cpp.ts'
import { readOllama } from './ollama.ts'
import { readVllm } from './vllm.ts'

export interface Told extends Omit<Reading, 'staleAt' | 'foreign'> {
  /** Requests that it works on or holds back, wherever they came from; 0 where it does not say. */
  readonly busy: number
}

/** @returns The body of an answer with status 200, undefined for any other. */
export type Ask = (path: string) => Promise<string | undefined>

/** @returns undefined when it tells nothing that can be read. @throws Error when it does not answer, or not sense. */
export function readTarget(kind: TargetKind, ask: Ask): Promise<Told | undefined> {
  switch (kind) {
    case 'llama.cpp':
      return readLlamaCpp(ask)
    case 'ollama':
      return readOllama(ask)
    case 'vllm':
      return readVllm(ask)
    case 'openai':
      return Promise.resolve(undefined)
  }
}
