/**
 * Probe: asks a target something small, over a connection of its own.
 */
import http from 'node:http'
import https from 'node:https'
import type { Deadlines, Watched } from './deadlines.ts'
import { type Origin, tlsOptions } from './origin.ts'
import type { Target } from './target.ts'

/** @throws Error when there is no answer in time. */
export type Probe = (
  target: Origin & Pick<Target, 'headers'>,
  path: string,
  timeoutMs: number,
) => Promise<ProbeAnswer>

export interface ProbeAnswer {
  readonly status: number
  readonly text: string
}

/** Of an answer no more than this is read; metrics of a busy server are about a tenth of it. */
const MOST_READ_BYTES = 1024 * 1024

export interface ProbeNeeds {
  readonly deadlines: Deadlines
  /** Milliseconds on the clock of the deadlines. */
  now(): number
}

export function createProbe({ deadlines, now }: ProbeNeeds): Probe {
  return ({ url, tls, headers }, path, timeoutMs) =>
    new Promise((resolve, reject) => {
      const secure = url.protocol === 'https:'
      const asked = (secure ? https : http).request(
        new URL(url.origin + url.pathname.replace(/\/+$/, '') + path),
        {
          agent: false,
          headers: { accept: '*/*', 'user-agent': 'sallyport-health', ...headers, host: url.host },
          ...(secure ? tlsOptions(tls) : {}),
        },
        answer => {
          const parts: Buffer[] = []
          let size = 0
          answer.on('data', (part: Buffer) => {
            parts.push(part)
            size += part.length
            if (size > MOST_READ_BYTES) answer.destroy(new Error('the answer is too long'))
          })
          answer.once('error', reject)
          answer.once('end', () =>
            resolve({ status: answer.statusCode ?? 0, text: Buffer.concat(parts).toString('utf8') }),
          )
        },
      )
      const late: Watched = {
        dueAt: now() + timeoutMs,
        onDue: () => void asked.destroy(new Error('no answer in time')),
      }
      deadlines.watch(late)
      asked.once('close', () => deadlines.forget(late))
      asked.once('error', reject)
      asked.end()
    })
}
