/**
 * A model server, as far as it matters here: a few slots, a cache of the conversations that it had last
 * (llama.cpp keeps their KV states in memory, vLLM their blocks), and a price for every token of a
 * prompt that is not in it.
 */
export interface Prompt {
  readonly conversation: number
  /** Instructions that many conversations share. */
  readonly app: number
  readonly instructionTokens: number
  /** The whole of it, instructions included. */
  readonly tokens: number
}

export interface ModelServer {
  /** @returns What the answer will take. */
  begin(prompt: Prompt, answerTokens: number): Work
}

export interface Work {
  readonly firstTokenMs: number
  readonly totalMs: number
  readonly cachedTokens: number
}

/** Of a small model on a good CPU or a small GPU. */
export const PROMPT_TOKENS_PER_S = 400
export const ANSWER_TOKENS_PER_S = 40

/** Conversations that are remembered for each slot. */
const REMEMBERED_PER_SLOT = 4

export function createModelServer(slots: number): ModelServer {
  /** By conversation, the one that was used longest ago first. */
  const held = new Map<number, Prompt>()

  /** The last token is always read again: its answer is what is wanted. */
  function cached(prompt: Prompt): number {
    const own = held.get(prompt.conversation)
    if (own) return Math.min(own.tokens, prompt.tokens - 1)
    for (const { app } of held.values()) if (app === prompt.app) return prompt.instructionTokens
    return 0
  }

  function remember(prompt: Prompt): void {
    held.delete(prompt.conversation)
    held.set(prompt.conversation, prompt)
    if (held.size <= slots * REMEMBERED_PER_SLOT) return
    const [oldest] = held.keys()
    if (oldest !== undefined) held.delete(oldest)
  }

  return {
    begin(prompt, answerTokens) {
      const cachedTokens = cached(prompt)
      remember({ ...prompt, tokens: prompt.tokens + answerTokens })
      const promptMs = ((prompt.tokens - cachedTokens) / PROMPT_TOKENS_PER_S) * 1000
      const tokenMs = 1000 / ANSWER_TOKENS_PER_S
      return {
        cachedTokens,
        firstTokenMs: promptMs + tokenMs,
        totalMs: promptMs + answerTokens * tokenMs,
      }
    },
  }
}
