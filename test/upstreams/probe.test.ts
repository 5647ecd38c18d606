import { once } from 'node:events'
import http, { type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import type { Deadlines, Watched } from '../../src/upstreams/deadlines.ts'
import { createProbe } from '../../src/upstreams/probe.ts'

const servers: http.Server[] = []
afterEach(() => {
  for (const server of servers.splice(0)) server.close().closeAllConnections()
})

async function serve(listener: RequestListener) {
  const server = http.createServer(listener).listen(0, '127.0.0.1')
  servers.push(server)
  await once(server, 'listening')
  const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  return { url, tls: undefined, headers: {} }
}

/** A clock that a test turns. */
function handTurned() {
  let at = 0
  const watching = new Set<Watched>()
  const deadlines: Deadlines = {
    watch: watched => void watching.add(watched),
    forget: watched => void watching.delete(watched),
  }
  return {
    watching,
    probe: createProbe({ deadlines, now: () => at }),
    turnTo(time: number) {
      at = time
      for (const watched of watching) if (watched.dueAt <= at) watched.onDue(at)
    },
  }
}

describe('probe', () => {
  it('tells what was answered, and is no longer timed then', async () => {
    const { probe, watching } = handTurned()
    const target = await serve((request, response) => response.writeHead(207).end(`at ${request.url}`))
    await expect(probe(target, '/health', 2000)).resolves.toEqual({ status: 207, text: 'at /health' })
    await expect.poll(() => watching.size).toBe(0)
  })

  it.each<[string, RequestListener]>([
    ['does not answer', () => {}],
    ['answers without an end', (_, response) => void response.writeHead(200).write('so far')],
  ])('fails when its time is over and the server %s', async (_, listener) => {
    const { probe, watching, turnTo } = handTurned()
    const target = await serve(listener)
    const reached = once(servers[0] as http.Server, 'request')
    const asked = probe(target, '/health', 2000)
    const failed = expect(asked).rejects.toThrow()
    await reached
    turnTo(1999)
    expect(watching.size).toBe(1)
    turnTo(2000)
    await failed
    await expect.poll(() => watching.size).toBe(0)
  })

  it('fails where nobody listens', async () => {
    const { probe, watching } = handTurned()
    const target = await serve(() => {})
    servers.pop()?.close()
    await expect(probe(target, '/health', 2000)).rejects.toThrow('ECONNREFUSED')
    await expect.poll(() => watching.size).toBe(0)
  })
})
