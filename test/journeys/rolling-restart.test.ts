import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { startTinySlm, type TinySlm } from '../../examples/tiny-slm/server.ts'
import {
  type GatewayOptions,
  newFolder,
  type RunningGateway,
  startGateway,
  stopAll,
} from '../support/gateway.ts'
import { openSocket } from '../support/raw.ts'
import { startUpstream } from '../support/upstream.ts'
import { startWitness } from '../support/witness.ts'

describe('stopping', () => {
  let model: TinySlm
  beforeAll(async () => {
    model = await startTinySlm({ tokensPerSecond: 400 })
  })
  afterEach(stopAll)
  afterAll(() => model.close())

  interface Asked {
    readonly status: number
    readonly text: string
  }

  /** @throws when the connection fails before an answer is whole. */
  function ask(gateway: RunningGateway, agent: Agent, key: string, stream: boolean): Promise<Asked> {
    return new Promise((resolve, reject) => {
      const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' }
      const sent = request(
        `${gateway.url}/v1/chat/completions`,
        { method: 'POST', agent, headers },
        answer => {
          let text = ''
          answer.on('data', part => {
            text += String(part)
          })
          answer.on('error', reject)
          answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text }))
        },
      )
      sent.on('error', reject)
      const messages = [{ role: 'user', content: 'x' }]
      sent.end(JSON.stringify({ model: 'tiny', stream, max_tokens: 10, ignore_eos: true, messages }))
    })
  }

  /**
   * Two gateways behind clients that know both, and try the other one when a connection fails before there
   * is an answer: what a load balancer does. Each is restarted in turn while four clients ask on.
   */
  it('one of two after the other loses no request', { timeout: 120_000 }, async () => {
    const folders = [newFolder(), newFolder()]
    const options: GatewayOptions = { targets: [model.url], config: { listen: { drain: '10s' } } }
    const gateways = await Promise.all(
      folders.map(folder => startGateway({ ...options, folder, keys: [{ principal: 'dev' }] })),
    )
    const keys = new Map(gateways.map(({ folder, keys: { dev } }) => [folder, String(dev)]))
    const agent = new Agent({ keepAlive: true })
    const lost: unknown[] = []
    let whole = 0
    let over = false

    async function askSome(turn: number): Promise<void> {
      const stream = turn % 2 === 0
      for (let attempt = 0; attempt < 8; attempt++) {
        const gateway = gateways[(turn + attempt) % 2] as RunningGateway
        try {
          const { status, text } = await ask(gateway, agent, String(keys.get(gateway.folder)), stream)
          const good = status === 200 && text.includes(stream ? '[DONE]' : '"usage"')
          if (good) whole++
          else lost.push([status, text.slice(-200)])
          return
        } catch {
          // It had gone, or was about to: the other one is asked.
        }
      }
      lost.push('nobody answered')
    }

    const clients = Array.from({ length: 4 }, async (_, client) => {
      for (let turn = client; !over; turn++) {
        await askSome(turn)
      }
    })
    /** Both are asked while neither is restarted. */
    const answered = (more: number): Promise<void> => {
      const wanted = whole + more
      return expect.poll(() => whole).toBeGreaterThan(wanted)
    }
    await answered(20)
    for (const index of [0, 1, 0, 1]) {
      const old = gateways[index] as RunningGateway
      expect(await old.stop()).toBe(0)
      gateways[index] = await startGateway({ ...options, folder: old.folder })
      await answered(20)
    }
    over = true
    await Promise.all(clients)
    agent.destroy()
    const errors = gateways.flatMap(gateway => gateway.audit().map(({ error }) => error)).filter(Boolean)
    expect([lost, errors]).toEqual([[], []])
    expect(whole).toBeGreaterThan(50)
    for (const gateway of gateways) {
      const cut = gateway.audit().filter(({ outcome }) => outcome === 'drained' || outcome === 'interrupted')
      expect(cut).toEqual([])
      expect((await gateway.command('audit', 'verify')).code).toBe(0)
    }
  })

  it('waits for a client that reads slowly: what was answered arrives whole', async () => {
    const body = JSON.stringify('x'.repeat(8_000_000))
    const witness = await startWitness(
      () =>
        `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    )
    const gateway = await startGateway({ targets: [witness.url], config: { listen: { drain: '20s' } } })
    const socket = await openSocket(gateway.url)
    socket.write(`GET /v1/x HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${gateway.keys.dev}\r\n\r\n`)
    await once(socket, 'readable')
    const stopped = gateway.stop()
    await gateway.logged('stopping')
    let bytes = 0
    for await (const part of socket) {
      bytes += (part as Buffer).length
    }
    expect(bytes).toBeGreaterThan(body.length)
    expect(await stopped).toBe(0)
    await witness.close()
  })

  it('first takes readiness away and refuses connections, then ends what runs, and says stopped', async () => {
    const upstream = await startUpstream()
    const gateway = await startGateway({ targets: [upstream.url] })
    const agent = new Agent({ keepAlive: true })
    const running = ask(gateway, agent, String(gateway.keys.dev), true)
    await upstream.came(1)
    const stream = upstream.calls[0]?.response.writeHead(200, { 'content-type': 'text/event-stream' })
    stream?.write('data: {"choices":[{"delta":{"content":"so far"}}]}\n\n')
    const stopped = gateway.stop()
    await gateway.logged('stopping')
    expect((await fetch(`${gateway.adminUrl}/readyz`)).status).toBe(503)
    await expect(openSocket(gateway.url)).rejects.toThrow()
    expect(gateway.log().at(-1)?.event).not.toBe('stopped')
    stream?.end('data: [DONE]\n\n')
    expect((await running).text).toContain('[DONE]')
    expect(await stopped).toBe(0)
    expect(gateway.log().at(-1)?.event).toBe('stopped')
    agent.destroy()
    await upstream.close()
  })

  it('at once when it is told twice: exit 3', async () => {
    model.setFault('hang')
    const gateway = await startGateway({ targets: [model.url] })
    const agent = new Agent()
    const running = ask(gateway, agent, String(gateway.keys.dev), false).catch(() => 'cut')
    await model.until(stats => stats.in_flight === 1)
    gateway.process.kill('SIGTERM')
    await gateway.logged('stopping')
    expect(await gateway.stop('SIGTERM')).toBe(3)
    expect(await running).toBe('cut')
    model.setFault(null)
  })
})
