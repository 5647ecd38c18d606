/** What is done to the gateway while somebody else is served: each goes on until the process is ended. */
import { connect, type Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'

export interface Aim {
  readonly host: string
  readonly port: number
  /** A good one, of a caller who attacks all the same. */
  readonly key: string
}

type Attack = (aim: Aim) => Promise<void>

function open({ host, port }: Aim): Socket {
  return connect(port, host).on('error', () => {})
}

const closed = (socket: Socket): Promise<void> =>
  new Promise(done => socket.once('close', () => done()).resume())

/** So many at once, each again and again. */
async function many(count: number, once: () => Promise<void>): Promise<void> {
  await Promise.all(
    Array.from({ length: count }, async () => {
      for (;;) {
        await once()
        // A connection that is refused at once is not tried in a tight loop.
        await pause(20)
      }
    }),
  )
}

async function drip(aim: Aim, head: string, drop: string): Promise<void> {
  const socket = open(aim)
  socket.write(head)
  const dripping = setInterval(() => socket.write(drop), 500)
  await closed(socket)
  clearInterval(dripping)
}

const post = (more: string): string => `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n${more}`

export const ATTACKS: Readonly<Record<string, Attack>> = {
  '600 connections that say nothing': aim => many(600, () => closed(open(aim))),
  '300 heads that drip (slowloris)': aim => many(300, () => drip(aim, post(''), 'x-a: b\r\n')),
  '300 bodies that drip': aim =>
    many(300, () => drip(aim, post('authorization: Bearer wrong\r\ncontent-length: 100000\r\n\r\n'), 'x')),
  'wrong keys, as fast as 16 clients can': aim =>
    many(16, async () => {
      const socket = open(aim)
      const request = post('authorization: Bearer wrong\r\ncontent-length: 2\r\n\r\n{}')
      socket.write(request)
      socket.on('data', () => socket.write(request))
      await closed(socket)
    }),
  'bodies of 100 MB, from 16 clients': aim =>
    many(16, async () => {
      const socket = open(aim)
      const part = Buffer.alloc(65_536, 0x20)
      socket.write(post('authorization: Bearer wrong\r\ntransfer-encoding: chunked\r\n\r\n'))
      const send = (): void => {
        while (
          !socket.destroyed &&
          socket.write(Buffer.concat([Buffer.from('10000\r\n'), part, Buffer.from('\r\n')]))
        );
      }
      socket.on('drain', send)
      send()
      await closed(socket)
    }),
  'endless answers that 100 clients with a key do not read': aim =>
    many(100, async () => {
      const socket = open(aim)
      const body = '{"model":"endless","stream":true,"messages":[]}'
      socket.write(post(`authorization: Bearer ${aim.key}\r\ncontent-length: ${body.length}\r\n\r\n${body}`))
      await new Promise<void>(done => socket.once('close', () => done()).pause())
    }),
}
