/**
 * `top`: what a running gateway is doing, drawn again and again in the terminal; once where there is none.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { parseDuration } from '../contract/units.ts'
import { type AdminOptions, askAdmin } from './admin-client.ts'
import { CommandFailure, EXIT, print, printJson } from './output.ts'
import { type Sight, sightText } from './sight.ts'

export interface TopOptions extends AdminOptions {
  readonly interval: string
  readonly once?: boolean
}

const SHORTEST_MS = 100
const HOME = '\u001b[H'
const CLEAR_LINE = '\u001b[K'
const CLEAR_BELOW = '\u001b[J'
/** Another screen, so that what was there comes back, without a cursor. */
const ENTER = '\u001b[?1049h\u001b[?25l'
const LEAVE = '\u001b[?25h\u001b[?1049l'

export async function top(options: TopOptions): Promise<void> {
  const { stdout } = process
  if (options.format === 'json') return printJson(await look(options))
  if (options.once || !stdout.isTTY) return print(sightText(await look(options), stdout.columns ?? 100))
  const first = await look(options)
  const left = new AbortController()
  const leave = (): void => left.abort()
  process.once('SIGINT', leave)
  process.once('SIGTERM', leave)
  stdout.write(ENTER)
  try {
    await drawUntil(left.signal, first, options)
  } finally {
    stdout.write(LEAVE)
  }
}

async function drawUntil(left: AbortSignal, first: Sight, options: TopOptions): Promise<void> {
  const every = Math.max(SHORTEST_MS, parseDuration(options.interval))
  let sight = first
  let trouble = ''
  while (!left.aborted) {
    const { columns = 100, rows = 40 } = process.stdout
    const lines = [...sightText(sight, columns).split('\n'), '', trouble || 'Ctrl-C ends it.'].slice(
      0,
      rows - 1,
    )
    process.stdout.write(`${HOME}${lines.map(line => `${line}${CLEAR_LINE}`).join('\n')}${CLEAR_BELOW}`)
    await sleep(every, undefined, { signal: left }).catch(() => {})
    try {
      if (!left.aborted) sight = await look(options)
      trouble = ''
    } catch (error) {
      // A gateway that restarts comes back; what was seen last stays until then.
      trouble = (error as Error).message
    }
  }
}

async function look(options: AdminOptions): Promise<Sight> {
  const [status, live, limits] = await Promise.all(
    ['/status', '/live', '/limits'].map(async path => {
      const answer = await askAdmin(options, 'GET', path)
      if (answer.status !== 200)
        throw new CommandFailure(EXIT.failure, `the gateway answered ${answer.status} to ${path}`)
      return answer.body
    }),
  )
  return { status, ...(live as object), ...(limits as object) } as Sight
}
