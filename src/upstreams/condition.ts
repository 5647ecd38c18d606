/**
 * Condition: what failures, answers and checks make of a target, and whether it may be asked.
 *
 * Three things can keep requests away: active checks that fail, an ejection after failures (it
 * grows with each one), and the circuit breaker, which alone is never overruled.
 */
import type { TargetState } from './target.ts'

/** `unreachable`: the connection failed. `failed`: a 5xx, or no answer in time. */
export type FailureKind = 'unreachable' | 'failed'

export interface BreakerSettings {
  /** In a row. */
  readonly failures: number
  readonly openForMs: number
}

export interface CheckThresholds {
  readonly healthyAfter: number
  readonly unhealthyAfter: number
}

const FIRST_EJECTION_MS = 1000
const LONGEST_EJECTION_MS = 30_000
/** Failures in a row after which a target that takes connections is ejected all the same. */
const FAILURES_TO_EJECT = 3
/** One bad answer must not keep a target away for long, whatever it asks for. */
const LONGEST_REST_MS = 60_000
/** How long a target that came back takes to its whole share, and with how little it begins. */
const SLOW_START_MS = 10_000
const FIRST_SHARE = 0.1

export function isOpen({ openUntil, onTrial }: TargetState, now: number): boolean {
  return openUntil > now || (openUntil > 0 && onTrial)
}

/** Whether it takes requests, as far as is known. */
export function isStanding(state: TargetState, now: number): boolean {
  return state.sound && state.ejectedUntil <= now && state.restsUntil <= now && !isOpen(state, now)
}

/** @returns How much of its share a target is given: 1, or less for a while after it came back. */
export function shareOf({ returnedAt, ejectedUntil }: TargetState, now: number): number {
  const since = now - Math.max(returnedAt, ejectedUntil)
  return since >= SLOW_START_MS ? 1 : Math.max(FIRST_SHARE, since / SLOW_START_MS)
}

/**
 * The same for one choice, by chance: while there is little to do, a target that always comes second
 * because of its share would be given nothing at all.
 */
export function drawnShare(state: TargetState, now: number, random: () => number): number {
  const share = shareOf(state, now)
  return share === 1 || random() < share ? 1 : share
}

/** @param spare - Whether enough others would remain; a connection that failed ejects in any case. */
export function countFailure(
  state: TargetState,
  kind: FailureKind,
  breaker: BreakerSettings,
  spare: boolean,
  now: number,
): void {
  state.failures++
  state.unreachable = kind === 'unreachable'
  if (kind === 'unreachable' || (spare && state.failures >= FAILURES_TO_EJECT)) {
    const spell = Math.min(LONGEST_EJECTION_MS, FIRST_EJECTION_MS * 2 ** state.ejections)
    state.ejectedUntil = now + spell
    state.ejections++
  }
  if (state.failures < breaker.failures) return
  state.openUntil = now + breaker.openForMs
  state.onTrial = false
}

export function countAnswer(state: TargetState, now: number): void {
  if (state.failures === 0) return
  if (state.ejections > 0 || state.openUntil > 0) state.returnedAt = now
  forgive(state)
}

function forgive(state: TargetState): void {
  state.failures = 0
  state.ejections = 0
  state.ejectedUntil = 0
  state.openUntil = 0
  state.onTrial = false
  state.unreachable = false
}

/** It answered that it has too much to do: no failure, but it is left alone for a while. */
export function letRest(state: TargetState, forMs: number, now: number): void {
  state.restsUntil = Math.max(state.restsUntil, now + Math.min(forMs, LONGEST_REST_MS))
}

/** The first check decides; after that, only so many in a row that say the opposite. */
export function countCheck(
  state: TargetState,
  passed: boolean,
  thresholds: CheckThresholds,
  now: number,
): void {
  if (passed && state.unreachable) {
    state.returnedAt = now
    forgive(state)
  }
  const first = !state.checked
  state.checked = true
  if (passed === state.sound) {
    state.contradictions = 0
    return
  }
  state.contradictions++
  if (!first && state.contradictions < (passed ? thresholds.healthyAfter : thresholds.unhealthyAfter)) return
  state.sound = passed
  state.contradictions = 0
  if (passed) state.returnedAt = now
}

/** A moving average; an answer counts for less the more there were. */
const NEW_SHARE = 0.3

export function countFirstByte(state: TargetState, ms: number, now: number): void {
  state.firstByteMs =
    state.firstByteMs === undefined ? ms : state.firstByteMs * (1 - NEW_SHARE) + ms * NEW_SHARE
  state.firstByteAt = now
}
