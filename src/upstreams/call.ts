/**
 * A call to a target, whoever carries it: what goes out, and what comes back.
 */
import type { Origin } from './origin.ts'

export interface UpstreamRequest {
  readonly method: string
  /** Path and query, as they are to stand on the request line. */
  readonly target: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer | undefined
}

export interface UpstreamEvents {
  /** A connection stands, or an old one is used again. */
  onConnected(): void
  onAnswer(answer: Answer): void
  /**
   * There will be no answer.
   * @param reused - The connection had served before: the server may have closed it meanwhile.
   */
  onError(error: NodeJS.ErrnoException, reused: boolean): void
}

export interface UpstreamCall {
  abort(): void
  /**
   * Ends our half of the connection: the server sees that nobody listens any more and stops, and what it
   * had sent by then still comes. @returns False where nothing can come any more: then it was aborted.
   */
  leave(): boolean
}

/** Sends requests to targets. */
export interface Carrier {
  send(origin: Origin, request: UpstreamRequest, events: UpstreamEvents): UpstreamCall
  /** Closes the connections to an origin that nobody uses. */
  closeIdle(origin: Origin): void
  /** Forgets all other origins; what still runs there goes on. */
  keep(origins: readonly Origin[]): void
  close(): void
}

/** An answer whose head has come. */
export interface Answer {
  readonly status: number
  /** Names and values in turn, as they came. */
  readonly rawHeaders: readonly string[]
  /** @param name - In lower case. */
  header(name: string): string | undefined
  /** Gives the body from its first byte on: at once what has come, then what comes. Called once. */
  read(reader: AnswerReader): void
  /** Holds the server back until `resume`. */
  pause(): void
  resume(): void
}

export interface AnswerReader {
  onPart(part: Buffer): void
  /** The answer is whole. */
  onEnd(): void
  /** It broke off. Neither this nor `onEnd` is followed by anything. */
  onBroken(): void
}

/** Lets an answer that nobody wants run out, so that its connection serves again. */
export function discard(answer: Answer): void {
  answer.read({ onPart() {}, onEnd() {}, onBroken() {} })
}

/** @param name - In lower case. @returns The first value of that name. */
export function headerIn(rawHeaders: readonly string[], name: string): string | undefined {
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const each = rawHeaders[index] as string
    if (each.length === name.length && each.toLowerCase() === name) return rawHeaders[index + 1]
  }
  return undefined
}
