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
  const { answer, abort } = head
  const protocol = protocolOf(answer)
  const length = lengthOf(answer)
  let bytesOut = 0
  let held: Buffer | undefined
  let atBoundary = true

  return new Promise(resolve => {
    let over = false
    let faulty = false
    let paused = false
    let reader: AnswerReader = { onPart: pass, onEnd: () => close('completed'), onBroken: broken }
    const watched: Watched = {
      dueAt: Math.min(needs.now() + needs.timeouts.idle, needs.totalBy),
      onDue(at) {
        if (at >= needs.totalBy) end('upstream_failed')
        else if (paused) end('client_closed')
        else silent()
      },
    }

    function silent(): void {
      abort()
      broken()
    }

    function broken(): void {
      faulty = true
      close('upstream_failed')
    }

    /** What was on its way is read first, so that it is in the record. */
    function end(how: RelayEnd): void {
      if (over) return
      settle()
      const needed = { ...needs, onOver: () => close(how) }
      linger(head, needed, rest => {
        reader = rest
      })
    }

    function close(how: RelayEnd): void {
      settle()
      resolve({ end: how, faulty, bytesOut, finish: () => finish(how), cut: () => response.destroy() })
    }

    /** Nothing more is passed on. */
    function settle(): void {
      over = true
      needs.deadlines.forget(watched)
      needs.stop.stop = undefined
    }

    function finish(how: RelayEnd): void {
      if (how === 'completed') response.end(held ?? needs.rest())
      else if (how === 'client_closed') response.destroy()
      else {
        const ending = endingOf(protocol, how, atBoundary)
        // Without a protocol for it, a broken connection is the only honest ending.
        if (ending === undefined || length !== undefined) response.destroy()
        else response.end(ending)
      }
    }

    function pass(came: Buffer): void {
      if (over) return
      watched.dueAt = Math.min(needs.now() + needs.timeouts.idle, needs.totalBy)
      const part = needs.pass(came)
      if (part.length === 0) return
      if (bytesOut + part.length > needs.maxBytes) {
        end('upstream_failed')
        return
      }
      bytesOut += part.length
      if (length !== undefined && bytesOut >= length) {
        held = held ? Buffer.concat([held, part]) : part
        return
      }
      if (protocol !== undefined) atBoundary = part[part.length - 1] === LINE_FEED
      if (!response.write(part)) {
        paused = true
        answer.pause()
        response.once('drain', () => {
          paused = false
          answer.resume()
        })
      }
    }

    needs.stop.stop = end
    needs.deadlines.watch(watched)
    response.once('close', () => end('client_closed'))
    answer.read({
      onPart: part => reader.onPart(part),
      onEnd: () => reader.onEnd(),
      onBroken: () => reader.onBroken(),
    })
    if (response.destroyed) end('client_closed')
  })
}

const LINE_FEED = 0x0a

function lengthOf(answer: Answer): number | undefined {
  const declared = answer.header('content-length')
  return declared === undefined ? undefined : Number(declared)
}
