/**
 * Replay: what was decided before, decided again by another policy, at the instant of each record.
 *
 * A flip is a request that would now be let through and was not, or the other way round, or that would be
 * refused with another status or code. Limits, pools, rewrites and messages may differ: they are no flip. A
 * record of which something was left out that the policy may look at is not guessed.
 */
import { GatewayError, REFUSALS } from '../../contract/errors.ts'
import type { Instant } from '../engine/engine.ts'
import { EngineError } from '../engine/engine-error.ts'
import type { Reads } from '../reads.ts'
import type { Decided } from '../revision.ts'
import { pointersIn, type Recorded, readQuickly, readRecorded } from './recorded.ts'

export interface ReplaySummary {
  /** Decisions that were asked of the policy. */
  readonly records: number
  readonly decided: number
  readonly flips: number
  /** Not decided: something that the policy may look at was left out of the record. */
  readonly masked: number
  /** Lines that are no record, such as the last one of a log that is still written. */
  readonly torn: number
  /** The largest first. */
  readonly groups: readonly FlipGroup[]
}

export interface FlipGroup {
  /** The rule that decides now. */
  readonly rule: string
  readonly principal: string
  readonly model: string
  readonly count: number
  readonly example: FlipExample
}

export interface FlipExample {
  readonly decision_id: string
  readonly timestamp: string
  readonly old: Verdict
  readonly new: Verdict
}

export interface Verdict {
  readonly allow: boolean
  readonly rule: string | null
  /** Of a refusal. */
  readonly status: number | null
  readonly code: string | null
  /** Why there is no decision. */
  readonly error?: string
}

export interface ReplayNeeds {
  readonly entrypoint: string
  readonly reads: Reads
  /** @throws GatewayError when the policy has no answer. */
  decide(input: string, instant: Instant): Decided
}

export interface Replay {
  take(line: string): void
  summary(): ReplaySummary
}

/** More would be no summary any more; those beyond are counted together. */
const MOST_GROUPS = 1000
const MOST_REMEMBERED = 1000
const OTHERS = { rule: 'other', principal: 'other', model: 'other' }

export function createReplay({ entrypoint, reads, decide }: ReplayNeeds): Replay {
  const counts = { records: 0, decided: 0, flips: 0, masked: 0, torn: 0 }
  const groups = new Map<string, { -readonly [K in keyof FlipGroup]: FlipGroup[K] }>()
  const isMasked = remembering((erased: string) =>
    pointersIn(erased).some(pointer => pointer.startsWith('/result') || reads.mayDependOn(pointer)),
  )
  const recordedVerdict = remembering(verdictOf)

  function take(line: string): void {
    const quick = readQuickly(line, entrypoint)
    if (quick && again(quick)) return
    const recorded = readRecorded(line, entrypoint)
    if (recorded === 'other') return
    if (recorded === 'torn' || !again(recorded)) counts.torn++
  }

  /** @returns False when the record holds no input that could be asked about. */
  function again(recorded: Recorded): boolean {
    if (recorded.erased !== '[]' && isMasked(recorded.erased)) {
      counts.records++
      counts.masked++
      return true
    }
    const now = decideAgain(recorded)
    if (now === undefined) return false
    counts.records++
    counts.decided++
    // The same text is the same decision; most are.
    if (typeof now === 'string' && recorded.isResult(now)) return true
    const verdict = typeof now === 'string' ? recordedVerdict(now) : now
    const result = recorded.result()
    const before = result === undefined ? NO_DECISION : recordedVerdict(result)
    if (isFlip(before, verdict)) addFlip(recorded, before, verdict)
    return true
  }

  /** @returns The text of the decision, or why there is none; undefined when the record holds no input at all. */
  function decideAgain({ input, nowNs, id }: Recorded): string | Verdict | undefined {
    try {
      return decide(input, { nowNs, seed: id }).text
    } catch (cause) {
      if (!(cause instanceof GatewayError)) throw cause
      if (cause.cause instanceof EngineError && cause.cause.code === 'bad_input') return undefined
      return { allow: false, rule: null, status: cause.status, code: cause.code, error: cause.message }
    }
  }

  function addFlip(recorded: Recorded, old: Verdict, now: Verdict): void {
    counts.flips++
    const named = { rule: now.rule ?? now.code ?? 'none', ...whoAndWhat(recorded.input) }
    const key = JSON.stringify(named)
    const isKnown = groups.has(key) || groups.size < MOST_GROUPS
    const group = groups.get(isKnown ? key : '')
    if (group) group.count++
    else {
      const { id, timestamp } = recorded
      const example = { decision_id: id, timestamp, old, new: now }
      groups.set(isKnown ? key : '', { ...(isKnown ? named : OTHERS), count: 1, example })
    }
  }

  return {
    take,
    summary: () => ({ ...counts, groups: [...groups.values()].sort((a, b) => b.count - a.count) }),
  }
}

/** Decides a batch of lines at once. */
export function replayRecords(lines: Iterable<string>, needs: ReplayNeeds): ReplaySummary {
  const replay = createReplay(needs)
  for (const line of lines) replay.take(line)
  return replay.summary()
}

/** In one line: `allow (rule)`, `403 forbidden (rule)`. */
export function verdictText({ allow, rule, status, code, error }: Verdict): string {
  const what = allow ? 'allow' : `${status} ${code}`
  return `${what}${rule === null ? '' : ` (${rule})`}${error === undefined ? '' : `: ${error}`}`
}

function isFlip(old: Verdict, now: Verdict): boolean {
  if (old.allow !== now.allow) return true
  return !now.allow && (old.status !== now.status || old.code !== now.code)
}

const NO_DECISION: Verdict = {
  allow: false,
  rule: null,
  status: REFUSALS.policy_error.status,
  code: 'policy_error',
}

function verdictOf(text: string): Verdict {
  try {
    return verdictIn(JSON.parse(text))
  } catch {
    return NO_DECISION
  }
}

/** @param result - What a policy answered: a decision, or of another policy true or false. */
export function verdictIn(result: unknown): Verdict {
  const { allow, rule, status, code } = (
    typeof result === 'boolean' ? { allow: result } : (result ?? {})
  ) as Record<string, unknown>
  if (typeof allow !== 'boolean') return NO_DECISION
  const named = typeof rule === 'string' ? rule : null
  if (allow) return { allow, rule: named, status: null, code: null }
  return {
    allow,
    rule: named,
    status: typeof status === 'number' ? status : REFUSALS.forbidden.status,
    code: typeof code === 'string' ? code : 'forbidden',
  }
}

function whoAndWhat(input: string): { principal: string; model: string } {
  const { principal, request } = JSON.parse(input) as {
    principal?: { id?: unknown }
    request?: { model?: unknown }
  }
  const word = (value: unknown): string => (typeof value === 'string' ? value : 'none')
  return { principal: word(principal?.id), model: word(request?.model) }
}

function remembering<T>(of: (text: string) => T): (text: string) => T {
  const known = new Map<string, T>()
  return text => {
    const before = known.get(text)
    if (before !== undefined) return before
    const value = of(text)
    if (known.size >= MOST_REMEMBERED) known.clear()
    known.set(text, value)
    return value
  }
}
