/**
 * The operator's log: JSON lines on stderr, or something for eyes on a terminal. The one door of `pino`.
 *
 * One line per start, reload and change of state; never one per request. Nothing that a caller
 * sent, and no credential, is ever given to it.
 */
import { Writable } from 'node:stream'
import { pino } from 'pino'

export interface OperatorLog {
  info(event: string, facts?: object): void
  warn(event: string, facts?: object): void
  error(event: string, facts?: object): void
}

/** @param stream - stderr, in production. */
export function createOperatorLog(stream: NodeJS.WriteStream & { readonly fd: number }): OperatorLog {
  const logger = pino(
    {
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: label => ({ level: label }) },
    },
    stream.isTTY ? forEyes(stream) : pino.destination({ dest: stream.fd, sync: true }),
  )
  const at =
    (level: 'info' | 'warn' | 'error') =>
    (event: string, facts: object = {}): void =>
      logger[level]({ event, ...facts })
  return { info: at('info'), warn: at('warn'), error: at('error') }
}

function forEyes(stream: NodeJS.WriteStream): Writable {
  return new Writable({
    write(line, _encoding, done) {
      const { level, time, event, ...facts } = JSON.parse(String(line)) as Record<string, unknown>
      const mark = level === 'info' ? ' ' : level === 'warn' ? '\u001b[33m!\u001b[0m' : '\u001b[31m✗\u001b[0m'
      const told = Object.entries(facts).map(
        ([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
      )
      stream.write(`${String(time).slice(11, 19)} ${mark} ${event} ${told.join(' ')}\n`, done)
    },
  })
}
