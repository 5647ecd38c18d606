/**
 * Raw sockets, for what no client library will send.
 */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

export interface RawAnswer {
  /** 0 when the connection ended without one. */
  readonly status: number
  readonly text: string
}

export async function openSocket(url: string): Promise<Socket> {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  await once(socket, 'connect')
  return socket
}

/** Sends bytes as they are, and reads until the first answer is whole or the connection ends. */
export async function sendRaw(url: string, bytes: string | Buffer): Promise<RawAnswer> {
  const socket = await openSocket(url)
  socket.on('error', () => {})
  socket.write(bytes)
  const answer = await readAnswer(socket)
  socket.destroy()
  return answer
}

export async function readAnswer(socket: Socket): Promise<RawAnswer> {
  let text = ''
  for await (const part of socket) {
    text += (part as Buffer).toString('latin1')
    if (isWhole(text)) break
  }
  return { status: Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? 0), text }
}

function isWhole(text: string): boolean {
  const head = text.indexOf('\r\n\r\n')
  if (head < 0 || /^HTTP\/1\.1 1\d\d/.test(text)) return false
  const length = /\r\ncontent-length: (\d+)/i.exec(text.slice(0, head + 2))?.[1]
  return length === undefined ? text.endsWith('0\r\n\r\n') : text.length >= head + 4 + Number(length)
}
