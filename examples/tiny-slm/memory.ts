/**
 * Memory: the prompts that were read last, as a server's KV cache holds them. What a prompt shares with
 * one of them from its beginning need not be read again.
 */
export interface Memory {
  /**
   * @param tokens - How many the whole prompt has.
   * @returns How many of them were read before; from now on all of them were.
   */
  known(prompt: string, tokens: number): number
}

/** @param size - How many prompts are held; the one that was used longest ago goes first. */
export function createMemory(size: number): Memory {
  const held: string[] = []
  return {
    known(prompt, tokens) {
      let shared = 0
      for (const text of held) shared = Math.max(shared, sharedLength(text, prompt))
      // A longer prompt of the same conversation takes the place of the shorter one.
      const before = held.findIndex(text => prompt.startsWith(withoutEnd(text)))
      if (before >= 0) held.splice(before, 1)
      held.push(prompt)
      if (held.length > size) held.shift()
      return prompt.length === 0 ? 0 : Math.floor((shared / prompt.length) * tokens)
    },
  }
}

/** The last words of a chat only ask for an answer, and stand elsewhere in its next turn. */
function withoutEnd(prompt: string): string {
  return prompt.replace(/assistant:$/, '')
}

function sharedLength(one: string, other: string): number {
  const most = Math.min(one.length, other.length)
  let length = 0
  while (length < most && one.charCodeAt(length) === other.charCodeAt(length)) length++
  return length
}
