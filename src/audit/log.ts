/**
 * The audit log: takes records, chains them, and says when they are written.
 *
 * Records of one turn of the event loop are written together, in the order they came. Each sink has a chain
 * of its own, since what it is given may be masked for it. A batch that a sink cannot take leaves its chain
 * where it was, and every record of it is told.
 */

import { GatewayError } from '../contract/errors.ts'
import type { AuditState } from '../contract/seen.ts'
import { createBatch } from './batch.ts'
import type { Link } from './chain.ts'
import type { Signer } from './checkpoint.ts'

export interface AuditLog {
  /**
   * @param record - The text of a JSON object.
   * @param masker - Makes of it what a sink may see; every sink sees all unless given.
   * @returns A promise that resolves when every deciding sink has the line.
   * @throws GatewayError `audit_unavailable` when one could not take it and `onFailure` is `refuse`.
   */
  write(record: string, masker?: Masker): Promise<void>
  state(): AuditState
  /** Writes what waits, then closes the sinks. */
  close(): Promise<void>
}

export interface Masker {
  /** Never throws: what it cannot mask it leaves out. */
  mask(record: string, sink: SinkName): string
}

export interface SinkName {
  readonly type: string
  readonly name: string
}

export interface Sink {
  /** Takes whole lines or throws and takes none. @param lines - Theirs until it returns. */
  append(lines: Buffer, link: Link): void
  close(): Promise<void>
  /** What `/status` says of it besides. */
  facts?(): { readonly ok?: boolean; readonly [fact: string]: unknown }
}

export interface Channel extends SinkName {
  readonly sink: Sink
  /** The last link already in it. */
  readonly from: Link
  /** A record counts as written when every deciding sink has it. */
  readonly decides: boolean
}

export interface Checkpoints {
  readonly signer: Signer
  readonly every: number
  readonly intervalMs: number
}

export interface AuditLogNeeds {
  readonly channels: readonly Channel[]
  readonly onFailure: 'refuse' | 'allow'
  readonly checkpoints?: Checkpoints | undefined
  /** Milliseconds since the epoch. */
  now(): number
  /** A record that what it tells of may go on with, as the first sink was given it. */
  onAccepted?(record: string): void
  onRecords(sink: string, count: number, outcome: 'written' | 'failed'): void
  onStateChange(sink: string, ok: boolean, cause?: unknown): void
}

interface Waiting {
  /** One text for all channels, or one for each. */
  readonly record: string | readonly string[]
  resolve(): void
  reject(error: GatewayError): void
}

interface Chained extends Channel {
  link: Link
  ok: boolean
  failed: number
  /** Records since its last checkpoint. */
  unsigned: number
}

export function createAuditLog(needs: AuditLogNeeds): AuditLog {
  const { onFailure, checkpoints, now, onAccepted, onRecords, onStateChange } = needs
  const channels: Chained[] = needs.channels.map(channel => ({
    ...channel,
    link: channel.from,
    ok: true,
    failed: 0,
    // How many an earlier run left unsigned is not known: the first record brings a checkpoint.
    unsigned: channel.from.seq > 0 ? (checkpoints?.every ?? 0) : 0,
  }))
  let lost = 0
  let waiting: Waiting[] = []
  const lines = createBatch()
  const timer = checkpoints && setInterval(signAll, checkpoints.intervalMs).unref()

  function write(record: string, masker?: Masker): Promise<void> {
    const text = masker ? channels.map(channel => masker.mask(record, channel)) : record
    return new Promise((resolve, reject) => {
      if (waiting.push({ record: text, resolve, reject }) === 1) setImmediate(flush)
    })
  }

  function flush(): void {
    const batch = waiting
    if (batch.length === 0) return
    waiting = []
    let failure: { readonly cause: unknown } | undefined
    for (const [index, channel] of channels.entries()) {
      const taken = give(channel, batch, index)
      if (taken !== true && channel.decides) failure ??= taken
    }
    if (failure && onFailure === 'refuse') {
      refuse(batch, failure.cause)
      return
    }
    if (failure) lost += batch.length
    for (const { record, resolve } of batch) {
      onAccepted?.(typeof record === 'string' ? record : (record[0] ?? ''))
      resolve()
    }
  }

  /** @returns True, or why the channel did not take it. */
  function give(channel: Chained, batch: readonly Waiting[], index: number): true | { cause: unknown } {
    try {
      chain(channel, batch, index)
    } catch (cause) {
      settle(channel, false, cause)
      channel.failed += batch.length
      onRecords(channel.name, batch.length, 'failed')
      return { cause }
    }
    settle(channel, true)
    onRecords(channel.name, batch.length, 'written')
    return true
  }

  function chain(channel: Chained, batch: readonly Waiting[], index: number): void {
    let last = channel.link
    let { unsigned } = channel
    lines.clear()
    for (const { record } of batch) {
      last = lines.add(typeof record === 'string' ? record : (record[index] as string), last)
      if (checkpoints && ++unsigned >= checkpoints.every) {
        last = lines.add(checkpoints.signer.checkpoint(last, now()), last)
        unsigned = 0
      }
    }
    channel.sink.append(lines.bytes(), last)
    channel.link = last
    channel.unsigned = unsigned
  }

  function signAll(): void {
    if (!checkpoints) return
    for (const channel of channels) {
      if (channel.unsigned === 0 || channel.link === channel.from) continue
      try {
        lines.clear()
        const link = lines.add(checkpoints.signer.checkpoint(channel.link, now()), channel.link)
        channel.sink.append(lines.bytes(), link)
        channel.link = link
        channel.unsigned = 0
        settle(channel, true)
      } catch (cause) {
        // Tried again with the next record or the next interval.
        settle(channel, false, cause)
      }
    }
  }

  function refuse(batch: readonly Waiting[], cause: unknown): void {
    for (const { reject } of batch)
      reject(
        new GatewayError('audit_unavailable', 'the audit record was not written', {
          cause,
          retryAfterSeconds: 5,
        }),
      )
  }

  function settle(channel: Chained, good: boolean, cause?: unknown): void {
    if (good === channel.ok) return
    channel.ok = good
    onStateChange(channel.name, good, cause)
  }

  return {
    write,
    state: () => ({
      ok: channels.every(({ ok, decides }) => ok || !decides),
      seq: channels[0]?.link.seq ?? 0,
      lost,
      sinks: channels.map(({ type, name, ok, link, failed, sink }) => {
        const { ok: sound = true, ...facts } = sink.facts?.() ?? {}
        return { type, name, ok: ok && sound, seq: link.seq, failed, ...facts }
      }),
    }),
    async close() {
      clearInterval(timer)
      flush()
      signAll()
      await Promise.all(channels.map(({ sink }) => sink.close()))
    },
  }
}
