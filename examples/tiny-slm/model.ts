/**
 * Model: an n-gram language model, trained on one text, that counts and samples real tokens.
 *
 * Small enough to train while a process starts, and honest where it matters to a gateway:
 * what it reports as usage is what it read and wrote.
 */

/** Why a generation ended: the model (or a stop string) ended it, or the ceiling did. */
export type FinishReason = 'stop' | 'length'

/** What one step wrote. `text` is empty while it may still turn out to begin a stop string. */
export interface Piece {
  readonly text: string
  readonly tokens: 0 | 1
}

export interface Sampling {
  readonly maxTokens: number
  /** 0 always takes the likeliest token. */
  readonly temperature: number
  readonly seed: number
  readonly stop: readonly string[]
  /** Go on past the end of a paragraph until `maxTokens`, as llama.cpp's and vLLM's `ignore_eos`. */
  readonly ignoreEnd: boolean
  /** `continue` the prompt's last words, or `answer` with a sentence that shares a word with it. */
  readonly mode: 'continue' | 'answer'
}

export interface Model {
  readonly vocabularySize: number
  /** One number per token; a word that was not in the text costs several, all `UNKNOWN`. */
  encode(text: string): number[]
  generate(prompt: readonly number[], sampling: Sampling): Generator<Piece, FinishReason>
}

export const UNKNOWN = -1

const END = 0
const END_TEXT = '\n\n'
const ORDER = 3
/** How often a context with a single known continuation is kept, rather than a shorter, freer one. */
const LOYALTY = 0.6
/** An unknown word is spelt in pieces of this many characters. */
const SPELLING = 3
const TOKEN = / ?\p{L}+(?:['’]\p{L}+)?| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+/gu

/** What followed a context, and how often. */
interface Continuations {
  readonly tokens: number[]
  readonly counts: number[]
}

/** Train a model on paragraphs separated by empty lines. */
export function train(corpus: string): Model {
  const words = [END_TEXT]
  const ids = new Map([[END_TEXT, END]])
  const stream = readCorpus(corpus, word => {
    const known = ids.get(word)
    if (known !== undefined) return known
    ids.set(word, words.length)
    return words.push(word) - 1
  })
  const contexts = countContexts(stream)
  const openings = indexSentences(stream, words)

  function encode(text: string): number[] {
    const tokens: number[] = []
    for (const [piece] of leadingSpace(text).matchAll(TOKEN)) {
      const id = ids.get(piece)
      if (id !== undefined) tokens.push(id)
      else for (let at = 0; at < piece.length; at += SPELLING) tokens.push(UNKNOWN)
    }
    return tokens
  }

  /** The beginning of a sentence with the rarest word of the prompt, up to that word. */
  function opening(prompt: readonly number[], random: () => number): number[] {
    let about = UNKNOWN
    for (const token of prompt) {
      const rarer = sentences(token).length < sentences(about).length || sentences(about).length === 0
      if (sentences(token).length > 0 && rarer) about = token
    }
    const start = sentences(about)[Math.floor(random() * sentences(about).length)]
    if (start === undefined) return []
    const word = topic(words[about] ?? '')
    let end = start
    while (topic(words[at(stream, end)] ?? '') !== word) end++
    return stream.slice(start, end + 1)
  }

  function sentences(token: number): readonly number[] {
    return openings.get(topic(words[token] ?? '')) ?? []
  }

  function* generate(prompt: readonly number[], sampling: Sampling): Generator<Piece, FinishReason> {
    const random = chance(sampling.seed)
    const text = withholding(sampling.stop)
    const follows = sampling.mode === 'continue' && contexts.has(String(prompt.at(-1)))
    const context = follows ? prompt.slice(-ORDER) : [END]
    const given = follows ? [] : opening(prompt, random)
    let previous = follows ? UNKNOWN : END

    for (let written = 0; written < sampling.maxTokens; written++) {
      const token = given.shift() ?? sample(contexts, context, sampling.temperature, random)
      if (token === END && !sampling.ignoreEnd) {
        yield { text: text.rest(), tokens: 0 }
        return 'stop'
      }
      const word = words[token] ?? ''
      const { ready, stopped } = text.add(previous === END ? word.trimStart() || word : word)
      yield { text: ready, tokens: 1 }
      if (stopped) return 'stop'
      context.push(token)
      if (context.length > ORDER) context.shift()
      previous = token
    }
    yield { text: text.rest(), tokens: 0 }
    return 'length'
  }

  return { vocabularySize: words.length, encode, generate }
}

/** The corpus as one ring of tokens: paragraphs, each followed by the end token. */
function readCorpus(corpus: string, intern: (word: string) => number): number[] {
  const stream: number[] = []
  for (const paragraph of corpus.trim().split(/\n\s*\n/)) {
    for (const [word] of leadingSpace(paragraph.replace(/\s+/g, ' ')).matchAll(TOKEN))
      stream.push(intern(word))
    stream.push(END)
  }
  return stream
}

function countContexts(stream: readonly number[]): Map<string, Continuations> {
  const contexts = new Map<string, Continuations>()
  for (let end = 0; end < stream.length; end++) {
    const token = at(stream, end)
    for (let order = 1; order <= ORDER; order++) {
      const before: number[] = []
      for (let back = order; back > 0; back--) before.push(at(stream, end - back))
      const seen = contexts.get(before.join()) ?? { tokens: [], counts: [] }
      contexts.set(before.join(), seen)
      const index = seen.tokens.indexOf(token)
      if (index < 0) {
        seen.tokens.push(token)
        seen.counts.push(1)
      } else seen.counts[index] = (seen.counts[index] ?? 0) + 1
    }
  }
  return contexts
}

/** Word → where the sentences that hold it begin. */
function indexSentences(stream: readonly number[], words: readonly string[]): Map<string, number[]> {
  const sentences = new Map<string, number[]>()
  let start = 0
  for (const [position, token] of stream.entries()) {
    const word = topic(words[token] ?? '')
    if (word) {
      const starts = sentences.get(word) ?? []
      if (starts.at(-1) !== start) starts.push(start)
      sentences.set(word, starts)
    }
    if (token === END || words[token] === '.') start = position + (at(stream, position + 1) === END ? 2 : 1)
  }
  return sentences
}

/** The next token, from the longest context that was seen in training. */
function sample(
  contexts: ReadonlyMap<string, Continuations>,
  context: readonly number[],
  temperature: number,
  random: () => number,
): number {
  for (let order = Math.min(ORDER, context.length); order > 0; order--) {
    const seen = contexts.get(context.slice(-order).join())
    if (!seen) continue
    const free = seen.tokens.length > 1 || order === 1 || temperature === 0
    if (free || random() < LOYALTY) return pick(seen, temperature, random)
  }
  return END
}

function pick({ tokens, counts }: Continuations, temperature: number, random: () => number): number {
  if (temperature === 0) return at(tokens, counts.indexOf(Math.max(...counts)))
  const highest = Math.max(...counts)
  const weights = counts.map(count => (count / highest) ** (1 / temperature))
  let left = random() * weights.reduce((sum, weight) => sum + weight, 0)
  for (const [index, weight] of weights.entries()) {
    left -= weight
    if (left < 0) return at(tokens, index)
  }
  return at(tokens, -1)
}

/** Holds back text that may be the beginning of a stop string, and cuts at the first whole one. */
function withholding(stop: readonly string[]) {
  let held = ''
  return {
    add(text: string): { ready: string; stopped: boolean } {
      held += text
      const found = stop.map(end => held.indexOf(end)).filter(index => index >= 0)
      if (found.length > 0) return { ready: held.slice(0, Math.min(...found)), stopped: true }
      const keep = Math.max(0, ...stop.map(end => overlap(held, end)))
      const ready = held.slice(0, held.length - keep)
      held = held.slice(held.length - keep)
      return { ready, stopped: false }
    },
    rest: () => held,
  }
}

/** How many characters at the end of `text` begin `end`. */
function overlap(text: string, end: string): number {
  for (let length = Math.min(text.length, end.length - 1); length > 0; length--) {
    if (end.startsWith(text.slice(-length))) return length
  }
  return 0
}

/** A small seeded generator (mulberry32): the same seed gives the same answer, on any machine. */
function chance(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** A word at the start of a text is the same token as inside it. */
function leadingSpace(text: string): string {
  return /^\p{L}/u.test(text) ? ` ${text}` : text
}

function topic(word: string): string {
  return /\p{L}/u.test(word) ? word.trim().toLowerCase() : ''
}

/** Reads a list as a ring. */
function at(ring: readonly number[], index: number): number {
  return ring[((index % ring.length) + ring.length) % ring.length] ?? END
}
