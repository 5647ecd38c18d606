/**
 * The announcer: tells receivers what happened, at least once, off the path of any request.
 *
 * What is to be told is in the store until it was, so that it is told after a crash too. Before each
 * attempt it is claimed there, so that of gateways that share the store one sends.
 */
import type { WebhookConfig } from '../contract/config/access.ts'
import type { Kept, Shelf } from '../contract/shelf.ts'
import type { EpochMs } from '../contract/units.ts'
import type { AccessEvent } from './events.ts'
import { type Announcement, bodyOf, signedHeaders } from './webhook.ts'

export interface Announcer {
  /** Sends what was left behind, from now on. */
  open(): Promise<void>
  /** Resolves when it is in the store; never rejects, and waits for no receiver. */
  announce(event: AccessEvent): Promise<void>
  close(): void
}

/** What is kept until it was told. */
export interface Untold {
  readonly hook: string
  readonly announcement: Announcement
  readonly createdAt: EpochMs
  readonly attempts: number
  /** When it is tried again; whoever finds it long overdue may. */
  readonly dueAt: EpochMs
}

export interface AnnouncerNeeds {
  readonly hooks: readonly WebhookConfig[]
  readonly outbox: Shelf<Untold>
  now(): EpochMs
  newId(prefix: string): string
  /** From 0 to 1. */
  random(): number
  /** @returns The status. @throws when there is no answer in time. */
  send(url: string, headers: Readonly<Record<string, string>>, body: string): Promise<number>
  after(ms: number, work: () => void): { close(): void }
  onDropped(url: string, why: string): void
}

/** What waits for one receiver, at most; beyond it the newest is not told. */
const MOST_WAITING = 1000
const FIRST_RETRY_MS = 1000
const LONGEST_RETRY_MS = 300_000
const GIVE_UP_MS = 86_400_000
/** A sender that is this late is gone, and another takes over. */
const LATE_MS = 10_000
const LOOK_MS = 20_000

export function createAnnouncer(needs: AnnouncerNeeds): Announcer {
  const { hooks, outbox, now, after, onDropped } = needs
  const byUrl = new Map(hooks.map(hook => [hook.url, hook]))
  const waiting = new Map<string, number>()
  const mine = new Set<string>()
  const timers = new Set<{ close(): void }>()
  let closed = false

  async function announce({ event, facts }: AccessEvent): Promise<void> {
    const at = now()
    const announcement = { type: event, timestamp: new Date(at).toISOString(), data: { ...facts } }
    for (const { url, events } of hooks) {
      if (!events.some(name => name === event)) continue
      if ((waiting.get(url) ?? 0) >= MOST_WAITING) onDropped(url, 'too many wait already')
      else await put({ hook: url, announcement, createdAt: at, attempts: 0, dueAt: at })
    }
  }

  async function put(untold: Untold): Promise<void> {
    try {
      const kept = await outbox.put(needs.newId('msg_'), untold, 0, untold.createdAt + GIVE_UP_MS)
      if (kept) take(kept, kept.value.dueAt)
    } catch (error) {
      onDropped(untold.hook, String(error))
    }
  }

  function take(kept: Kept<Untold>, at: EpochMs): void {
    mine.add(kept.id)
    waiting.set(kept.value.hook, (waiting.get(kept.value.hook) ?? 0) + 1)
    later(Math.max(0, at - now()), () => void attempt(kept))
  }

  function release({ id, value }: Kept<Untold>): void {
    mine.delete(id)
    waiting.set(value.hook, (waiting.get(value.hook) ?? 1) - 1)
  }

  function later(ms: number, work: () => void): void {
    if (closed) return
    const timer = after(ms, () => {
      timers.delete(timer)
      work()
    })
    timers.add(timer)
  }

  async function attempt(kept: Kept<Untold>): Promise<void> {
    const { id, value } = kept
    try {
      const hook = byUrl.get(value.hook)
      if (!hook || now() - value.createdAt > GIVE_UP_MS) {
        onDropped(value.hook, hook ? 'nobody took it for a day' : 'no longer configured')
        release(kept)
        await outbox.remove(id, kept.version)
        return
      }
      const wait = backOff(value.attempts)
      const next = { ...value, attempts: value.attempts + 1, dueAt: now() + wait }
      const claimed = await outbox.put(id, next, kept.version, value.createdAt + GIVE_UP_MS)
      if (!claimed) return release(kept)
      if (await delivered(id, value, hook)) {
        release(kept)
        await outbox.remove(id, claimed.version)
      } else later(wait, () => void attempt(claimed))
    } catch {
      // The store does not answer: what it keeps is found again when it does.
      release(kept)
    }
  }

  async function delivered(id: string, { announcement }: Untold, hook: WebhookConfig): Promise<boolean> {
    const body = bodyOf(announcement, hook.format)
    try {
      const status = await needs.send(hook.url, signedHeaders(id, now(), body, hook.secret), body)
      return status >= 200 && status < 300
    } catch {
      return false
    }
  }

  function backOff(attempts: number): number {
    return Math.min(FIRST_RETRY_MS * 2 ** attempts, LONGEST_RETRY_MS) * (0.75 + needs.random() / 2)
  }

  /** What others are to send, of this gateway before it was stopped too: whose sender is late by then. */
  async function adopt(): Promise<void> {
    for (const kept of await outbox.all()) {
      if (!mine.has(kept.id)) take(kept, kept.value.dueAt + LATE_MS)
    }
  }

  function look(): void {
    adopt().catch(() => {})
    later(LOOK_MS, look)
  }

  return {
    async open() {
      if (hooks.length === 0) return
      later(LOOK_MS, look)
      await adopt()
    },
    announce,
    close() {
      closed = true
      for (const timer of timers) timer.close()
    },
  }
}
