/**
 * The step of an activation that decides the latest requests again: a policy that would answer them
 * differently than they were answered is not put in force.
 */
import { setImmediate } from 'node:timers/promises'
import type { Finding } from '../../contract/findings.ts'
import { createReplay, type FlipGroup, type ReplayNeeds, verdictText } from '../replay/replay.ts'
import { Refused } from './activation.ts'

export interface ReplayGate {
  readonly maxFlips: number
  /** The lines of the latest decisions, oldest first. */
  lines(): Promise<readonly string[]>
}

/** Requests are served meanwhile: so many are decided in one turn. */
const AT_ONCE = 50
const MOST_TOLD = 20

/** @throws Refused `too_many_flips` */
export async function tryReplay(
  gate: ReplayGate,
  needs: ReplayNeeds & { readonly shown: string },
): Promise<void> {
  const replay = createReplay(needs)
  for (const [index, line] of (await gate.lines()).entries()) {
    replay.take(line)
    if (index % AT_ONCE === AT_ONCE - 1) await setImmediate()
  }
  const { flips, decided, groups } = replay.summary()
  if (flips <= gate.maxFlips) return
  const total = `${flips} of the last ${decided} decisions flip; ${gate.maxFlips} may`
  throw new Refused([total, ...groups.slice(0, MOST_TOLD).map(groupText)].map(finding(needs.shown)))
}

function finding(shown: string): (message: string) => Finding {
  return message => ({
    severity: 'error',
    code: 'too_many_flips',
    message,
    file: shown,
    line: 0,
    column: 0,
  })
}

function groupText({ rule, principal, model, count, example }: FlipGroup): string {
  const flip = `${verdictText(example.old)} becomes ${verdictText(example.new)}`
  return `${count} of ${principal} for ${model}, by ${rule}: ${flip}, such as ${example.decision_id}`
}
