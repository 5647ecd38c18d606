/**
 * Connections: how many there may be, and what each of them is busy with.
 *
 * One over a limit is answered 503 while few are, and dropped without a word where there is a flood.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { addressGroup, normaliseAddress } from '../contract/addresses.ts'

export interface ConnectionLimits {
  readonly total: number
  /** Of IPv6, per /64: one subscriber holds it whole. */
  readonly perAddress: number
}

export interface Connections {
  /** A connection was made; not yet encrypted, if it will be. */
  opened(socket: Socket): void
  /** A request came. @returns False when it is to be turned away: over a limit, or too many at once. */
  began(request: IncomingMessage, response: ServerResponse): boolean
  /** What was begun last on a connection, until its answer is out. */
  unfinished(socket: Socket): Exchange | undefined
  limit(limits: ConnectionLimits): void
  /** Closes what says nothing, and from now on what has said what it had to. */
  closeQuiet(): void
  closeAll(): void
}

export interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
}

export interface ConnectionsNeeds {
  readonly limits: ConnectionLimits
  /** Many callers come from one of these, so its connections are not counted. */
  readonly proxies: { has(address: string): boolean }
}

/** Connections over a limit that are told so at one time. */
export const MOST_TURNED_AWAY = 128
/** How long one of them has to say what it wants. */
const TURNED_AWAY_MS = 5000
/** Requests that one connection may have sent before the answer to the first is out. */
const MOST_PIPELINED = 64

interface Latest extends Exchange {
  /** How many came one after the other while an answer was still under way. */
  readonly depth: number
}

export function createConnections({ limits: first, proxies }: ConnectionsNeeds): Connections {
  let limits = first
  const open = new Set<Socket>()
  const perGroup = new Map<string, number>()
  /** By the client's address and port: one that is encrypted has two sockets here. */
  const turnedAway = new Set<string>()
  const latest = new WeakMap<Socket, Latest>()
  /** Those that requests come on. */
  const speaking = new Set<Socket>()
  let closing = false

  function turnAway(socket: Socket): void {
    if (turnedAway.size >= MOST_TURNED_AWAY) return void socket.destroy()
    const name = nameOf(socket)
    turnedAway.add(name)
    const timer = setTimeout(() => socket.destroy(), TURNED_AWAY_MS)
    socket.once('close', () => {
      clearTimeout(timer)
      turnedAway.delete(name)
    })
  }

  function unfinished(socket: Socket): Exchange | undefined {
    const last = latest.get(socket)
    return last === undefined || last.response.writableFinished || last.response.destroyed ? undefined : last
  }

  return {
    opened(socket) {
      const address = normaliseAddress(socket.remoteAddress ?? '')
      const group = addressGroup(address)
      const count = (perGroup.get(group) ?? 0) + 1
      perGroup.set(group, count)
      open.add(socket)
      socket.on('close', () => {
        open.delete(socket)
        const left = (perGroup.get(group) ?? 1) - 1
        if (left > 0) perGroup.set(group, left)
        else perGroup.delete(group)
      })
      const tooMany = open.size - turnedAway.size > limits.total
      if (tooMany || (count > limits.perAddress && !proxies.has(address))) turnAway(socket)
    },
    began(request, response) {
      const { socket } = request
      const before = latest.get(socket)
      if (before === undefined) {
        speaking.add(socket)
        socket.on('close', () => speaking.delete(socket))
      }
      const depth = before === undefined || before.response.writableFinished ? 0 : before.depth + 1
      latest.set(socket, { request, response, depth })
      if (closing) response.setHeader('connection', 'close')
      return depth < MOST_PIPELINED && (turnedAway.size === 0 || !turnedAway.has(nameOf(socket)))
    },
    unfinished,
    limit(next) {
      limits = next
    },
    closeQuiet() {
      closing = true
      for (const socket of speaking) {
        const exchange = unfinished(socket)
        if (exchange) exchange.response.once('finish', () => socket.end())
        else socket.end()
      }
      const spoken = new Set([...speaking].map(nameOf))
      for (const socket of open) if (!spoken.has(nameOf(socket))) socket.destroy()
    },
    closeAll() {
      // One that is still in its handshake is nobody's connection yet.
      for (const socket of open) socket.destroy()
    },
  }
}

function nameOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`
}
