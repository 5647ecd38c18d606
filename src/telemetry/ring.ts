/**
 * Ring: the latest texts that fit, as bytes in one piece of memory. As strings they would outlive the
 * requests that they tell of, and the collector of garbage would copy each of them, twice.
 */
export interface Ring {
  /** The number of the oldest text that is kept; equal to `next` where there is none. */
  readonly first: number
  /** The number of the next text that comes; they are counted from 0. */
  readonly next: number
  /** Forgets the oldest texts as far as there is no room. @returns Whether it could be kept: at most a quarter of the ring is one text. */
  put(text: string): boolean
  /** Undefined for one that is no longer kept. */
  text(number: number): string | undefined
  /** Some bytes of a text that is kept, as one character each. */
  bytes(number: number, from: number, to: number): string
}

export interface RingNeeds {
  readonly mostTexts: number
  readonly mostBytes: number
}

export function createRing({ mostTexts, mostBytes }: RingNeeds): Ring {
  const memory = Buffer.allocUnsafeSlow(mostBytes)
  const starts = new Uint32Array(mostTexts)
  const ends = new Uint32Array(mostTexts)
  let first = 0
  let next = 0
  /** Where the latest text ends. */
  let tail = 0

  const oldestStart = (): number => starts[first % mostTexts] as number

  /** Where so many bytes are free: behind the latest text or, where they do not fit there, at the beginning. */
  function room(size: number): number {
    if (next - first === mostTexts) first++
    let start = tail
    if (tail + size > mostBytes) {
      while (first < next && oldestStart() >= tail) first++
      start = 0
    }
    while (first < next && oldestStart() >= start && oldestStart() < start + size) first++
    return start
  }

  const isKept = (number: number): boolean => number >= first && number < next

  return {
    get first() {
      return first
    },
    get next() {
      return next
    },
    put(text) {
      const size = Buffer.byteLength(text)
      if (size > mostBytes / 4) return false
      const start = room(size)
      memory.write(text, start, 'utf8')
      tail = start + size
      starts[next % mostTexts] = start
      ends[next % mostTexts] = tail
      next++
      return true
    },
    text(number) {
      if (!isKept(number)) return undefined
      return memory.toString('utf8', starts[number % mostTexts], ends[number % mostTexts])
    },
    bytes(number, from, to) {
      const start = starts[number % mostTexts] as number
      return memory.toString('latin1', start + from, start + to)
    },
  }
}
