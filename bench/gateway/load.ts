/**
 * The load: a process of its own that sends the same request over and over on plain sockets, and prints
 * what came of it as JSON. Bounded in time or in count.
 */
import { readFileSync } from 'node:fs'
import net from 'node:net'

export interface LoadOrder {
  readonly port: number
  readonly connections: number
  /** A file with the bytes of one request. */
  readonly request: string
  readonly status: number
  /** Ends after so many seconds, or after so many answers. */
  readonly seconds: number
  readonly answers?: number
}

export interface LoadResult {
  readonly answers: number
  readonly wrong: number
  readonly seconds: number
  /** From the request to the first byte of the body, and to its end, µs. */
  readonly first: Quantiles
  readonly whole: Quantiles
}

export interface Quantiles {
  readonly p50: number
  readonly p99: number
}

/** Of a head, as far as it is needed. */
const HEAD_END = '\r\n\r\n'

async function run(order: LoadOrder): Promise<LoadResult> {
  const request = readFileSync(order.request)
  const first: number[] = []
  const whole: number[] = []
  let wrong = 0
  let left = order.answers ?? Number.POSITIVE_INFINITY
  const began = performance.now()
  const until = began + order.seconds * 1000

  const connection = (): Promise<void> =>
    new Promise(resolve => {
      const socket = net.connect(order.port, '127.0.0.1').setNoDelay()
      let sent = 0
      let text = ''
      let firstAt = 0

      function next(): void {
        if (left <= 0 || performance.now() >= until) {
          socket.destroy()
          resolve()
          return
        }
        left--
        text = ''
        firstAt = 0
        sent = performance.now()
        socket.write(request)
      }

      socket.on('connect', next)
      socket.on('data', part => {
        text += part.toString('latin1')
        const body = text.indexOf(HEAD_END)
        if (body < 0) return
        if (firstAt === 0 && text.length > body + HEAD_END.length) firstAt = performance.now()
        if (!isWhole(text, body)) return
        const at = performance.now()
        if (!text.startsWith(`HTTP/1.1 ${order.status} `)) wrong++
        first.push((firstAt || at) - sent)
        whole.push(at - sent)
        if (/^connection: close/im.test(text.slice(0, body))) {
          socket.destroy()
          connection().then(resolve)
        } else next()
      })
      socket.on('error', () => {
        wrong++
        resolve()
      })
    })

  await Promise.all(Array.from({ length: order.connections }, connection))
  const seconds = (performance.now() - began) / 1000
  return { answers: whole.length, wrong, seconds, first: quantiles(first), whole: quantiles(whole) }
}

function isWhole(text: string, body: number): boolean {
  const head = text.slice(0, body)
  const declared = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1]
  if (declared !== undefined) return text.length >= body + HEAD_END.length + Number(declared)
  return text.endsWith('0\r\n\r\n')
}

function quantiles(ms: number[]): Quantiles {
  ms.sort((a, b) => a - b)
  const at = (share: number): number => Math.round((ms[Math.floor(ms.length * share)] ?? 0) * 1000)
  return { p50: at(0.5), p99: at(0.99) }
}

process.stdout.write(JSON.stringify(await run(JSON.parse(process.argv[2] as string) as LoadOrder)))
