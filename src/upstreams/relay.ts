/**
 * Relay: passes an answer on as it comes, with back-pressure both ways, and holds back its last
 * byte until the outcome is on record.
 *
 * Whoever ends first ends the other: a client that leaves ends the upstream call at once, though what
 * the server had sent by then is still counted; and an answer that breaks off is ended in the client's
 * own protocol, so that an SDK raises instead of taking half an answer for a whole one.
 */
import type { ServerResponse } from 'node:http'
import type { Head } from './attempt.ts'
import type { Answer, AnswerReader } from './call.ts'
import type { Deadlines, Watched } from './deadlines.ts'
import { linger } from './linger.ts'
import type { Timeouts } from './pools.ts'
import { endingOf, protocolOf } from './stream-protocol.ts'

export type RelayEnd = 'completed' | 'client_closed' | 'upstream_failed' | StopReason

/** Why others end an answer that runs. */
export type StopReason = 'expired' | 'revoked' | 'drained'

export interface Relayed {
  readonly end: RelayEnd
  /** It was the target that broke off or fell silent, and no cap of ours or a client that does not read. */
  readonly faulty: boolean
  readonly bytesOut: number
  /** Sends what was held back. */
  finish(): void
  /** Ends without it: the client must not take the answer for whole. */
  cut(): void
}

export interface RelayNeeds {
  readonly deadlines: Deadlines
  now(): number
  readonly timeouts: Timeouts
  /** When the whole call must be over. */
  readonly totalBy: number
  /** An answer that is longer is ended; Infinity if none is. */
  readonly maxBytes: number
  /** When the right to this answer ends, and what is asked then; Infinity if never. */
  readonly stop: StopHandle
  /** Sees each part as it passes, and says what of it goes on. */
  pass(part: Buffer): Buffer
  /** Sees what came and is not passed on: the server had sent it before it knew that it is not wanted. */
  count(part: Buffer): void
  /** What was held back of the last part. */
  rest(): Buffer
}

/** Lets others end a running answer: expiry, revocation, draining. */
export interface StopHandle {
  stop: ((why: StopReason) => void) | undefined
}

/** @param response - Its head was written. @returns When the answer is over but for its last byte. */
export function relay(head: Head, response: ServerResponse, needs: RelayNeeds): Promise<Relayed> {
  return new Promise(resolve => new Relay(head, response, needs, resolve).begin())
}

class Relay implements Watched, AnswerReader, Relayed {
  seat: number | undefined = undefined
  dueAt: number
  end: RelayEnd = 'completed'
  faulty = false
  bytesOut = 0
  readonly #protocol: ReturnType<typeof protocolOf>
  readonly #length: number | undefined
  /** Its length is not known, and nobody can use a part of it: each part waits for the next, the last one for the record. */
  readonly #isDocument: boolean
  #held: Buffer | undefined = undefined
  #atBoundary = true
  #over = false
  #closed = false
  #paused = false
  /** Reads in our place what is only counted. */
  #counter: AnswerReader | undefined = undefined

  constructor(
    private readonly head: Head,
    private readonly response: ServerResponse,
    private readonly needs: RelayNeeds,
    private readonly done: (relayed: Relayed) => void,
  ) {
    this.#protocol = protocolOf(head.answer)
    this.#length = lengthOf(head.answer)
    this.#isDocument = this.#length === undefined && JSON_TYPE.test(head.answer.header('content-type') ?? '')
    this.dueAt = this.#idleUntil()
  }

  begin(): void {
    const { needs, response } = this
    needs.stop.stop = why => this.#stop(why)
    needs.deadlines.watch(this)
    response.on('close', () => this.#stop('client_closed'))
    this.head.answer.read(this)
    if (response.destroyed) this.#stop('client_closed')
  }

  onDue(at: number): void {
    if (at >= this.needs.totalBy) this.#stop('upstream_failed')
    else if (this.#paused) this.#stop('client_closed')
    else {
      this.head.call.abort()
      this.onBroken()
    }
  }

  onPart(part: Buffer): void {
    if (this.#counter) this.#counter.onPart(part)
    else if (!this.#over) this.#pass(part)
  }

  onEnd(): void {
    if (this.#counter) {
      this.#counter.onEnd()
      return
    }
    this.#close('completed')
  }

  onBroken(): void {
    if (this.#counter) {
      this.#counter.onBroken()
      return
    }
    this.faulty = true
    this.#close('upstream_failed')
  }

  finish(): void {
    const { end, response } = this
    if (end === 'completed') response.end(this.#held ?? this.needs.rest())
    else if (end === 'client_closed') response.destroy()
    else {
      const ending = endingOf(this.#protocol, end, this.#atBoundary)
      // Without a protocol for it, a broken connection is the only honest ending.
      if (ending === undefined || this.#length !== undefined) response.destroy()
      else response.end(ending)
    }
  }

  cut(): void {
    this.response.destroy()
  }

  /** @returns The part before. Some clients take what came before a connection broke for all there is. */
  #inTurn(part: Buffer): Buffer | undefined {
    const before = this.#held
    this.#held = part
    return before
  }

  #idleUntil(): number {
    const { needs } = this
    return Math.min(needs.now() + needs.timeouts.idle, needs.totalBy)
  }

  /** What was on its way is read first, so that it is in the record. */
  #stop(how: RelayEnd): void {
    if (this.#over) return
    this.#settle()
    const { deadlines, now, count } = this.needs
    const onOver = (): void => this.#close(how)
    linger(this.head, { deadlines, now, count, onOver }, counter => {
      this.#counter = counter
    })
  }

  #close(how: RelayEnd): void {
    this.#settle()
    if (this.#closed) return
    this.#closed = true
    this.end = how
    if (how !== 'completed') this.bytesOut -= this.#held?.length ?? 0
    this.done(this)
  }

  /** Nothing more is passed on. */
  #settle(): void {
    this.#over = true
    this.needs.deadlines.forget(this)
    this.needs.stop.stop = undefined
  }

  #pass(came: Buffer): void {
    const { needs, response } = this
    this.dueAt = this.#idleUntil()
    const passed = needs.pass(came)
    if (passed.length === 0) return
    if (this.bytesOut + passed.length > needs.maxBytes) {
      this.#stop('upstream_failed')
      return
    }
    this.bytesOut += passed.length
    const part = this.#isDocument ? this.#inTurn(passed) : passed
    if (part === undefined) return
    if (this.#length !== undefined && this.bytesOut >= this.#length) {
      this.#held = this.#held ? Buffer.concat([this.#held, part]) : part
      return
    }
    if (this.#protocol !== undefined) this.#atBoundary = part[part.length - 1] === LINE_FEED
    if (!response.write(part)) {
      this.#paused = true
      this.head.answer.pause()
      response.once('drain', () => {
        this.#paused = false
        this.head.answer.resume()
      })
    }
  }
}

const LINE_FEED = 0x0a
const JSON_TYPE = /^application\/(?:[a-z0-9.-]+\+)?json\b/i

function lengthOf(answer: Answer): number | undefined {
  const declared = answer.header('content-length')
  return declared === undefined ? undefined : Number(declared)
}
