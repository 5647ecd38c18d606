/**
 * Activation: how a change on disk becomes the policy in force.
 *
 * The new revision is built beside the old one and swapped in with one assignment; whatever
 * fails on the way leaves the old one in force. Attempts do not overlap: a change that comes
 * while one runs is looked at right after it.
 */
import type { Finding } from '../contract/findings.ts'
import type { EpochMs } from '../contract/units.ts'
import type { Revision } from './revision.ts'

export interface Activation {
  /** The revision in force; read once, at the door. */
  current(): Revision | undefined
  /** When the source was last seen to be what is in force; undefined before the first success. */
  confirmedAt(): EpochMs | undefined
  /** Looks at the source and, if it changed, tries to put it in force. Never rejects. */
  refresh(): Promise<void>
  status(): PolicyStatus
  close(): void
}

export interface PolicyStatus {
  readonly revision: string | null
  readonly activated_at: string | null
  /** When a change was last seen, whatever became of it. */
  readonly changed_at: string | null
  readonly checked_at: string | null
  /** The latest first, ten at most. */
  readonly attempts: readonly Attempt[]
}

export interface Attempt {
  readonly at: string
  readonly outcome: 'activated' | 'refused'
  readonly revision: string | null
  readonly steps: readonly Step[]
  readonly diagnostics: readonly Finding[]
}

export interface Step {
  readonly name: string
  readonly ms: number
}

/** What a source is at one moment, by digest, and how to make a revision of it. */
export interface Edition {
  readonly digest: string
  /** Runs every step, timing each with `step`. @throws Refused with findings */
  build(step: <T>(name: string, work: () => T | Promise<T>) => Promise<T>): Promise<Revision>
}

/** The source cannot be put in force as it stands. */
export class Refused extends Error {
  override readonly name = 'Refused'
  readonly code = 'policy_refused'
  constructor(readonly findings: readonly Finding[]) {
    super(findings[0]?.message ?? 'refused')
  }
}

export interface ActivationNeeds {
  /** @throws when the source cannot be read at all. */
  look(): Edition
  /** Milliseconds since the epoch. */
  now(): EpochMs
  /** What is said of a source that cannot be read. */
  unreadable(cause: unknown): Finding
  onAttempt(attempt: Attempt): void
}

const KEPT_ATTEMPTS = 10
/** Requests that began under the old revision may still ask it. */
const GRACE_MS = 60_000

export function createActivation({ look, now, unreadable, onAttempt }: ActivationNeeds): Activation {
  let inForce: Revision | undefined
  /** Digest of the source that was last tried, whatever the outcome. */
  let tried: string | undefined
  let inForceDigest: string | undefined
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
  }

  async function refreshOnce(): Promise<void> {
    checkedAt = now()
    let edition: Edition
    try {
      edition = look()
    } catch (cause) {
      const finding = unreadable(cause)
      if (tried !== finding.message) changed(finding.message, refusal([], [finding]))
      return
    }
    if (edition.digest === inForceDigest) confirmedAt = checkedAt
    if (edition.digest === tried) return
    await attempt(edition)
  }

  async function attempt(edition: Edition): Promise<void> {
    const steps: Step[] = []
    const step = async <T>(name: string, work: () => T | Promise<T>): Promise<T> => {
      const began = performance.now()
      try {
        return await work()
      } finally {
        steps.push({ name, ms: Math.round((performance.now() - began) * 1000) / 1000 })
      }
    }
    try {
      const revision = await edition.build(step)
      // Only what stands in the source now may be put in force: it may have moved on meanwhile.
      if (stillIs(edition.digest)) put(revision, edition.digest, steps)
      else {
        revision.close()
        again = true
      }
    } catch (cause) {
      const findings = cause instanceof Refused ? cause.findings : [unreadable(cause)]
      // A fault that is not the source's own, such as a full disk, is tried again at the next look.
      changed(cause instanceof Refused ? edition.digest : undefined, refusal(steps, findings))
    }
  }

  function stillIs(digest: string): boolean {
    try {
      return look().digest === digest
    } catch {
      return false
    }
  }

  function put(revision: Revision, digest: string, steps: readonly Step[]): void {
    const old = inForce
    inForce = revision
    inForceDigest = digest
    activatedAt = confirmedAt = now()
    if (old) setTimeout(() => old.close(), GRACE_MS).unref()
    changed(digest, { at: iso(now()), outcome: 'activated', revision: revision.id, steps, diagnostics: [] })
  }

  function refusal(steps: readonly Step[], diagnostics: readonly Finding[]): Attempt {
    return { at: iso(now()), outcome: 'refused', revision: null, steps, diagnostics }
  }

  function changed(digest: string | undefined, attempt: Attempt): void {
    tried = digest
    changedAt = now()
    attempts.unshift(attempt)
    attempts.length = Math.min(attempts.length, KEPT_ATTEMPTS)
    onAttempt(attempt)
  }

  return {
    current: () => inForce,
    confirmedAt: () => confirmedAt,
    refresh,
    status: () => ({
      revision: inForce?.id ?? null,
      activated_at: iso(activatedAt),
      changed_at: iso(changedAt),
      checked_at: iso(checkedAt),
      attempts: [...attempts],
    }),
    close: () => inForce?.close(),
  }
}

function iso(at: EpochMs): string
function iso(at: EpochMs | undefined): string | null
function iso(at: EpochMs | undefined): string | null {
  return at === undefined ? null : new Date(at).toISOString()
}
