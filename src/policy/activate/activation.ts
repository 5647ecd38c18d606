/**
 * Activation: how a change on disk becomes the policy in force.
 *
 * The new revision is built beside the old one and swapped in with one assignment; whatever
 * fails on the way leaves the old one in force. Attempts do not overlap: a change that comes
 * while one runs is looked at right after it. An operator may put an earlier revision back; it
 * stays until the source changes again.
 */

import type { Finding } from '../../contract/findings.ts'
import type { Attempt, PolicyStatus, Step } from '../../contract/seen.ts'
import type { EpochMs } from '../../contract/units.ts'
import type { Revision } from '../revision.ts'
import { createHeld } from './held.ts'

export interface Activation {
  /** The revision in force; read once, at the door. */
  current(): Revision | undefined
  /** When the source was last seen to be what is in force; undefined before the first success. */
  confirmedAt(): EpochMs | undefined
  /** Looks at the source and, if it changed, tries to put it in force. Never rejects. */
  refresh(): Promise<void>
  /**
   * Puts an earlier revision in force that is still held.
   *
   * @param id - Without one: what was in force before.
   * @throws NotHeld
   * @throws Refused when the revision no longer passes the samples.
   */
  rollback(id?: string): { readonly revision: string; readonly from: string }
  status(): PolicyStatus
  close(): void
}

/** What a source is at one moment, by digest, and how to make a revision of it. */
export interface Edition {
  readonly digest: string
  /** When the source was last known to be this, if not now. */
  readonly confirmedAt?: EpochMs
  /** Runs every step, timing each with `step`. @throws Refused with findings */
  build(step: <T>(name: string, work: () => T | Promise<T>) => Promise<T>): Promise<Revision>
  /** Told once it is in force, and each time that the source is seen to hold it still. */
  accepted?(): void
  confirmed?(at: EpochMs): void
}

/** The source cannot be put in force as it stands. */
export class Refused extends Error {
  override readonly name = 'Refused'
  readonly code = 'policy_refused'
  constructor(readonly findings: readonly Finding[]) {
    super(findings[0]?.message ?? 'refused')
  }
}

/** There is no such revision to go back to. */
export class NotHeld extends Error {
  override readonly name = 'NotHeld'
  readonly code = 'unknown_revision'
  constructor(
    wanted: string | undefined,
    readonly held: readonly string[],
  ) {
    const what = wanted === undefined ? 'no earlier revision is held' : `the revision ${wanted} is not held`
    super(`${what}; held: ${held.join(', ') || 'none'}`)
  }
}

export interface ActivationNeeds {
  /** @throws when the source cannot be read at all. */
  look(): Edition
  /** What was in force before the start, when the source cannot be put in force. Asked once. */
  lastGood?(): Edition | undefined
  /** Whether a revision that is put back still answers. @throws Refused */
  prove?(revision: Revision): void
  /** Milliseconds since the epoch. */
  now(): EpochMs
  /** What is said of a source that cannot be read. */
  unreadable(cause: unknown): Finding
  onAttempt(attempt: Attempt): void
}

const KEPT_ATTEMPTS = 10

export function createActivation(needs: ActivationNeeds): Activation {
  const { look, now, unreadable, onAttempt } = needs
  const held = createHeld()
  /** Digest of the source that was last tried, whatever the outcome. */
  let tried: string | undefined
  /** Digest of the source that what is in force answers to: its own, or the one that was rolled back. */
  let answered: string | undefined
  /** Why the source cannot be read at all; told once. */
  let unseen: string | undefined
  let rolledBackFrom: string | undefined
  let askedLastGood = false
  let activatedAt: EpochMs | undefined
  let changedAt: EpochMs | undefined
  let checkedAt: EpochMs | undefined
  let confirmedAt: EpochMs | undefined
  const attempts: Attempt[] = []
  let running: Promise<void> | undefined
  let again = false

  function refresh(): Promise<void> {
    if (running) again = true
    running ??= refreshUntilQuiet().finally(() => {
      running = undefined
    })
    return running
  }

  async function refreshUntilQuiet(): Promise<void> {
    do {
      again = false
      await refreshOnce()
    } while (again)
    if (!held.inForce() && !askedLastGood) await useLastGood()
  }

  async function refreshOnce(): Promise<void> {
    checkedAt = now()
    let edition: Edition
    try {
      edition = look()
    } catch (cause) {
      const finding = unreadable(cause)
      if (unseen !== finding.message) report(refusal([], [finding]))
      unseen = finding.message
      return
    }
    unseen = undefined
    if (edition.digest === answered) {
      confirmedAt = edition.confirmedAt ?? checkedAt
      edition.confirmed?.(confirmedAt)
    }
    if (edition.digest !== tried) await attempt(edition)
  }

  async function useLastGood(): Promise<void> {
    askedLastGood = true
    const edition = needs.lastGood?.()
    if (edition) await attempt(edition, { from: 'last_good' })
  }

  async function attempt(edition: Edition, origin: Pick<Attempt, 'from'> = {}): Promise<void> {
    const steps: Step[] = []
    const ofSource = origin.from === undefined
    try {
      const revision = await edition.build(timing(steps))
      // Only what stands in the source now may be put in force: it may have moved on meanwhile.
      if (!ofSource || stillIs(edition.digest)) put(revision, edition, ofSource)
      else {
        revision.close()
        again = true
        return
      }
      report({
        at: iso(now()),
        outcome: 'activated',
        revision: revision.id,
        steps,
        diagnostics: [],
        ...origin,
      })
    } catch (cause) {
      const findings = cause instanceof Refused ? cause.findings : [unreadable(cause)]
      // A fault that is not the source's own, such as a full disk, is tried again at the next look.
      if (ofSource) tried = cause instanceof Refused ? edition.digest : undefined
      report({ ...refusal(steps, findings), ...origin })
    }
  }

  function stillIs(digest: string): boolean {
    try {
      return look().digest === digest
    } catch {
      return false
    }
  }

  function put(revision: Revision, edition: Edition, ofSource: boolean): void {
    held.put(revision)
    answered = edition.digest
    if (ofSource || tried === undefined) tried = edition.digest
    rolledBackFrom = undefined
    activatedAt = now()
    confirmedAt = edition.confirmedAt ?? activatedAt
    edition.accepted?.()
  }

  function rollback(id?: string): { revision: string; from: string } {
    const from = held.inForce()
    const revision = held.earlier(id)
    if (!from || !revision) throw new NotHeld(id, held.ids())
    needs.prove?.(revision)
    held.putBack(revision)
    rolledBackFrom ??= from.id
    if (rolledBackFrom === revision.id) rolledBackFrom = undefined
    activatedAt = now()
    return { revision: revision.id, from: from.id }
  }

  function refusal(steps: readonly Step[], diagnostics: readonly Finding[]): Attempt {
    return { at: iso(now()), outcome: 'refused', revision: null, steps, diagnostics }
  }

  function report(attempt: Attempt): void {
    changedAt = now()
    attempts.unshift(attempt)
    attempts.length = Math.min(attempts.length, KEPT_ATTEMPTS)
    onAttempt(attempt)
  }

  return {
    current: held.inForce,
    confirmedAt: () => confirmedAt,
    refresh,
    rollback,
    status: () => ({
      revision: held.inForce()?.id ?? null,
      activated_at: iso(activatedAt),
      changed_at: iso(changedAt),
      checked_at: iso(checkedAt),
      confirmed_at: iso(confirmedAt),
      rolled_back_from: rolledBackFrom ?? null,
      held: held.ids(),
      attempts: [...attempts],
    }),
    close: held.close,
  }
}

/** @returns what runs a step and adds how long it took. */
function timing(steps: Step[]) {
  return async <T>(name: string, work: () => T | Promise<T>): Promise<T> => {
    const began = performance.now()
    const taken = { name, ms: 0 }
    steps.push(taken)
    try {
      return await work()
    } finally {
      taken.ms = Math.round((performance.now() - began) * 1000) / 1000
    }
  }
}

function iso(at: EpochMs): string
function iso(at: EpochMs | undefined): string | null
function iso(at: EpochMs | undefined): string | null {
  return at === undefined ? null : new Date(at).toISOString()
}
