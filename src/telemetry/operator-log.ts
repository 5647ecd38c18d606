/**
 * The operator's log: JSON lines on stderr, or something for eyes on a terminal. The one door of `pino`.
 *
 * One line per start, reload and change of state; one per request at level `debug` only. Nothing that a
 * caller sent, and no credential, is ever given to it.
 */
import { Writable } from 'node:stream'
import { pino } from 'pino'

export interface OperatorLog {
  /** Undefined unless the level is `debug`, so that nothing is put together in vain. */
  readonly debug?: Tell
  readonly info: Tell
  readonly warn: Tell
  readonly error: Tell
}

export type Tell = (event: string, facts?: object) => void

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

/** @param stream - stderr, in production. @param facts - Of every line. */
export function createOperatorLog(
  stream: NodeJS.WriteStream & { readonly fd: number },
  level: LogLevel = 'info',
  facts?: Readonly<Record<string, unknown>>,
): OperatorLog {
  const logger = pino(
    {
      level,
      base: facts ?? null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: label => ({ level: label }) },
    },
    stream.isTTY ? forEyes(stream) : pino.destination({ dest: stream.fd, sync: true }),
  )
  const at =
    (level: LogLevel): Tell =>
    (event, facts = {}) =>
      logger[level]({ event, ...facts })
  const told = { info: at('info'), warn: at('warn'), error: at('error') }
  return level === 'debug' ? { ...told, debug: at('debug') } : told
}

const MARKS: Readonly<Record<string, string>> = {
  debug: '\u001b[2m·\u001b[0m',
  info: ' ',
  warn: '\u001b[33m!\u001b[0m',
  error: '\u001b[31m✗\u001b[0m',
}

function forEyes(stream: NodeJS.WriteStream): Writable {
  return new Writable({
    write(line, _encoding, done) {
      const { level, time, event, ...facts } = JSON.parse(String(line)) as Record<string, unknown>
      const told = Object.entries(facts).map(
        ([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
      )
      stream.write(`${String(time).slice(11, 19)} ${MARKS[String(level)]} ${event} ${told.join(' ')}\n`, done)
    },
  })
}
