/**
 * The audit log: takes records, chains them, and says when they are written.
 *
 * Records of one turn of the event loop are written together, in the order they came. A batch
 * that cannot be written leaves the chain where it was, and every record of it is told.
 */
import { GatewayError } from '../contract/errors.ts'
import { type Link, seal } from './chain.ts'

export interface AuditLog {
  /**
   * @param record - The text of a JSON object.
   * @returns A promise that resolves when the operating system has the line.
   * @throws GatewayError `audit_unavailable` when it cannot be written and `onFailure` is `refuse`.
   */
  write(record: string): Promise<void>
  state(): AuditState
  /** Writes what waits, then closes the sink. */
  close(): void
}

export interface AuditState {
  readonly ok: boolean
  readonly seq: number
  /** Records that were answered for without being written (`onFailure: "allow"`). */
  readonly lost: number
}

export interface AuditLogNeeds {
  readonly sink: { append(lines: string, link: Link): void; close(): void }
  /** The last link already in the log. */
  readonly from: Link
  readonly onFailure: 'refuse' | 'allow'
  onRecords(count: number, outcome: 'written' | 'failed'): void
  onStateChange(ok: boolean, cause?: unknown): void
}

interface Waiting {
  readonly record: string
  resolve(): void
  reject(error: GatewayError): void
}

export function createAuditLog({ sink, from, onFailure, onRecords, onStateChange }: AuditLogNeeds): AuditLog {
  let link = from
  let ok = true
  let lost = 0
  let waiting: Waiting[] = []

  function write(record: string): Promise<void> {
    return new Promise((resolve, reject) => {
      if (waiting.push({ record, resolve, reject }) === 1) setImmediate(flush)
    })
  }

  function flush(): void {
    const batch = waiting
    if (batch.length === 0) return
    waiting = []
    try {
      let lines = ''
      let last = link
      for (const { record } of batch) {
        const sealed = seal(record, last)
        lines += `${sealed.line}\n`
        last = sealed.link
      }
      sink.append(lines, last)
      link = last
      settle(true)
      onRecords(batch.length, 'written')
      for (const { resolve } of batch) resolve()
    } catch (cause) {
      settle(false, cause)
      onRecords(batch.length, 'failed')
      fail(batch, cause)
    }
  }

  function fail(batch: readonly Waiting[], cause: unknown): void {
    if (onFailure === 'allow') lost += batch.length
    for (const { resolve, reject } of batch) {
      if (onFailure === 'allow') resolve()
      else
        reject(
          new GatewayError('audit_unavailable', 'the audit record was not written', {
            cause,
            retryAfterSeconds: 5,
          }),
        )
    }
  }

  function settle(good: boolean, cause?: unknown): void {
    if (good === ok) return
    ok = good
    onStateChange(ok, cause)
  }

  return {
    write,
    state: () => ({ ok, seq: link.seq, lost }),
    close() {
      flush()
      sink.close()
    },
  }
}
