import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { connect } from 'node:net'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { startTinySlm, type TinySlm } from '../../examples/tiny-slm/server.ts'
import { loadConfig } from '../../src/config/load.ts'
import { createGateway } from '../../src/gateway/gateway.ts'
import {
  chat,
  errorOf,
  newFolder,
  OPEN_POLICY,
  prepare,
  type RunningGateway,
  startGateway,
  stopAll,
} from '../support/gateway.ts'
import { openSocket, readAnswer, sendRaw } from '../support/raw.ts'
import { startUpstream } from '../support/upstream.ts'
import { startWitness } from '../support/witness.ts'

function pipeAt(file: string): void {
  rmSync(file)
  execFileSync('mkfifo', [file])
}

/** As Linux counts them. */
const openFiles = ({ process }: RunningGateway): number => readdirSync(`/proc/${process.pid}/fd`).length

/** What was done and what was seen is told in docs/reliability.md, in the order of these tests. */
describe('faults', () => {
  let model: TinySlm
  beforeAll(async () => {
    model = await startTinySlm()
  })
  afterEach(async () => {
    model.setFault(null)
    await stopAll()
  })
  afterAll(() => model.close())

  /** A server that is well has this long, however busy the machine; a test shortens what it is about. */
  const CALM = { connect: '10s', firstByte: '10s', idle: '10s', total: '30s' }
  const withTarget = (url: string, timeouts: object = {}): Promise<RunningGateway> =>
    startGateway({
      config: {
        pools: { chat: { models: ['tiny'], targets: [{ url }], timeouts: { ...CALM, ...timeouts } } },
      },
    })

  describe('of a model server', () => {
    it.each<[string, string, number?]>([
      ['noise', '\u0000\u0001garbage\r\n\r\n'],
      ['an unknown version', 'HTTP/3.7 200 OK\r\ncontent-length: 2\r\n\r\n{}'],
      ['no status', 'HTTP/1.1 OK\r\ncontent-length: 2\r\n\r\n{}'],
      ['a status beyond all', 'HTTP/1.1 1000 X\r\ncontent-length: 2\r\n\r\n{}'],
      ['a change of protocol nobody asked for', 'HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n'],
      ['two lengths', 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}'],
      ['a line feed in a header', 'HTTP/1.1 200 OK\r\nx: a\nset-cookie: b\r\nbroken\r\n\r\n{}'],
      ['a head without end', `HTTP/1.1 200 OK\r\n${'x-a: b\r\n'.repeat(20_000)}`],
      ['half a head, and silence', 'HTTP/1.1 200 OK\r\ncontent-le', 504],
      ['silence', '', 504],
    ])('that answers %s is a refusal, and the next one is served', async (_name, bytes, status = 502) => {
      let broken = true
      const witness = await startWitness(() =>
        broken ? bytes : 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}',
      )
      // Only silence has to be waited for.
      const gateway = await withTarget(witness.url, status === 504 ? { firstByte: '500ms' } : {})
      const response = await chat(gateway)
      expect(response.status).toBe(status)
      expect(await response.text()).not.toContain('127.0.0.1')
      broken = false
      await expect.poll(async () => (await chat(gateway)).status).toBe(200)
      expect(gateway.log().filter(({ event }) => event === 'fault')).toEqual([])
      await witness.close()
    })

    it.each<[string, string]>([
      ['fewer bytes than it said', 'HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{"half":'],
      ['a chunk that is none', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{"a":\r\nzz\r\n'],
      ['an answer that stops coming', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{"a":\r\n'],
    ])('that sends %s is never taken for whole', async (_name, bytes) => {
      // It does not hang up: the gateway waits no longer than it may.
      const witness = await startWitness(() => bytes)
      const gateway = await withTarget(witness.url, { idle: '500ms' })
      await expect(chat(gateway).then(response => response.text())).rejects.toThrow()
      expect(await gateway.audited(({ event }) => event === 'outcome')).toMatchObject({
        outcome: 'upstream_failed',
      })
      await witness.close()
    })

    it('that says more than it announced is cut there: nothing of it is the next answer', async () => {
      const smuggled = 'HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\n"poison"'
      const good = 'HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n"good"'
      let first = true
      const witness = await startWitness(() => {
        const bytes = first ? good + smuggled : good
        first = false
        return bytes
      })
      const gateway = await withTarget(witness.url)
      for (let request = 0; request < 5; request++) {
        const response = await chat(gateway)
        if (response.status === 200) expect(await response.text()).toBe('"good"')
      }
      await witness.close()
    })
  })

  describe('of the machine', () => {
    it('no more files: who cannot be served is refused, and all is well when there are some again', async () => {
      const gateway = await startGateway({ targets: [model.url], ulimit: '-n 256' })
      const { hostname, port } = new URL(gateway.url)
      const held = Array.from({ length: 400 }, () => connect(Number(port), hostname).on('error', () => {}))
      await expect.poll(() => openFiles(gateway)).toBeGreaterThan(250)
      for (const socket of held) socket.destroy()
      await expect
        .poll(async () => (await chat(gateway).catch(() => undefined))?.status, { timeout: 20_000 })
        .toBe(200)
      expect((await gateway.command('audit', 'verify')).code).toBe(0)
    })

    it('no more disk: refused with 503, nothing is forwarded, and the log still verifies', async () => {
      const gateway = await startGateway({ targets: [model.url], ulimit: '-f 800' })
      let refused: Response | undefined
      for (let request = 0; request < 900 && !refused; request++) {
        // One whose outcome cannot be written any more is cut off.
        const response = await chat(gateway).catch(() => undefined)
        if (response?.status === 200) await response.arrayBuffer().catch(() => {})
        else refused = response
      }
      expect([refused?.status, (await errorOf(refused as Response)).code]).toEqual([503, 'audit_unavailable'])
      const reached = model.stats().requests
      expect((await chat(gateway)).status).toBe(503)
      expect(model.stats().requests).toBe(reached)
      expect((await fetch(`${gateway.adminUrl}/readyz`)).status).toBe(503)
      await gateway.stop('SIGKILL')
      const again = await startGateway({ folder: gateway.folder, targets: [model.url] })
      expect((await gateway.command('audit', 'verify')).code).toBe(0)
      await again.stop()
    })

    it('a stalled process goes on where it was', async () => {
      const gateway = await withTarget(model.url)
      gateway.process.kill('SIGSTOP')
      const body = '{"model":"tiny","messages":[{"role":"user","content":"x"}]}'
      const request = `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${gateway.keys.dev}\r\ncontent-length: ${body.length}\r\n\r\n${body}`
      const sockets = await Promise.all(Array.from({ length: 5 }, () => openSocket(gateway.url)))
      // The kernel has them, and nobody reads them yet.
      await Promise.all(sockets.map(socket => new Promise(resolve => socket.write(request, resolve))))
      gateway.process.kill('SIGCONT')
      for (const socket of sockets) {
        expect((await readAnswer(socket)).status).toBe(200)
        socket.destroy()
      }
    })

    it('a process that stood still for longer than its time-outs drops nothing that is well', async () => {
      const upstream = await startUpstream({
        onCall: ({ body, response }) => {
          if (!JSON.parse(body).stream) return
          response.writeHead(200, { 'content-type': 'text/event-stream' })
          response.write('data: {"choices":[{"delta":{"content":"first"}}]}\n\n')
        },
      })
      const gateway = await withTarget(upstream.url, { firstByte: '3s', idle: '3s' })
      const streams = await Promise.all(
        Array.from({ length: 5 }, () => chat(gateway, { body: { stream: true } })),
      )
      const waiting = Array.from({ length: 3 }, () => chat(gateway))
      await upstream.came(8)
      gateway.process.kill('SIGSTOP')
      const late = upstream.calls.find(({ response }) => !response.headersSent)
      const answered = upstream.calls.filter(call => call !== late)
      const sent = answered.map(({ response }) => once(response, 'finish'))
      for (const { response, answer } of answered)
        if (response.headersSent) response.end('data: [DONE]\n\n')
        else answer()
      await Promise.all(sent)
      // Twice as long as the gateway waits for a byte.
      await pause(6000)
      gateway.process.kill('SIGCONT')
      // By then it has looked who is late. One that is asked late, or far away, has its time.
      await gateway.status()
      late?.answer()
      for (const stream of streams) expect(await stream.text()).toContain('data: [DONE]')
      for (const response of await Promise.all(waiting)) expect(response.status).toBe(200)
      const next = chat(gateway)
      await upstream.came(9)
      upstream.calls[8]?.answer()
      expect((await next).status).toBe(200)
      await expect
        .poll(async () => (await gateway.status()).pools.chat.targets[0])
        .toMatchObject({ healthy: true, in_flight: 0 })
      await upstream.close()
    })

    it('a clock that is set an hour back, and two hours on', async () => {
      const folder = newFolder()
      const policy = {
        'gateway.rego':
          'package gateway\n\ndecision := {"allow": true, "limits": [{"name": "n", "key": "k", "unit": "requests", "limit": 3, "window": "1m"}, {"name": "c", "key": "k", "unit": "concurrency", "limit": 1}]}\n',
      }
      const keys = prepare(folder, { policy, targets: [model.url], keys: [{ principal: 'dev' }] })
      const { config } = loadConfig(path.join(folder, 'gateway.config.json'))
      let shift = 0
      const log = { info: () => {}, warn: () => {}, error: () => {} }
      const gateway = await createGateway({
        config: config as NonNullable<typeof config>,
        log,
        stateFolder: path.join(folder, '.sallyport'),
        now: () => Date.now() + shift,
      })
      const ask = async (): Promise<number> => {
        const response = await fetch(`${gateway.url}/v1/chat/completions`, {
          method: 'POST',
          headers: { authorization: `Bearer ${keys.dev}` },
          body: '{"model":"tiny","max_tokens":1,"messages":[{"role":"user","content":"x"}]}',
        })
        await response.arrayBuffer()
        return response.status
      }
      expect([await ask(), await ask()]).toEqual([200, 200])
      shift = -3_600_000
      const back = [await ask(), await ask(), await ask(), await ask()]
      // Never refused for ever, and never without a limit.
      expect(back.filter(status => status === 200).length).toBeGreaterThan(0)
      expect(back.filter(status => status === 429).length).toBeGreaterThan(0)
      shift = 3_600_000
      expect(await ask()).toBe(200)
      await gateway.stop()
    })
  })

  describe('of the files', () => {
    const serves = async (gateway: RunningGateway): Promise<void> => {
      expect((await chat(gateway)).status).toBe(200)
    }
    const policyIn = (gateway: RunningGateway): string => path.join(gateway.folder, 'policies')

    it.each<[string, (folder: string) => void]>([
      [
        'half written',
        folder => writeFileSync(path.join(folder, 'gateway.rego'), 'package gateway\n\ndecis'),
      ],
      ['empty', folder => writeFileSync(path.join(folder, 'gateway.rego'), '')],
      ['deleted', folder => rmSync(path.join(folder, 'gateway.rego'))],
      [
        'replaced by a folder',
        folder => {
          rmSync(path.join(folder, 'gateway.rego'))
          mkdirSync(path.join(folder, 'gateway.rego'))
        },
      ],
      [
        'unreadable: a link to itself',
        folder => {
          rmSync(path.join(folder, 'gateway.rego'))
          symlinkSync('gateway.rego', path.join(folder, 'gateway.rego'))
        },
      ],
      [
        'huge',
        folder =>
          writeFileSync(path.join(folder, 'gateway.rego'), `package gateway\n\n${'# x\n'.repeat(9_000_000)}`),
      ],
      ['a pipe that nobody writes to', folder => pipeAt(path.join(folder, 'gateway.rego'))],
      ['no text', folder => writeFileSync(path.join(folder, 'gateway.rego'), Buffer.alloc(5000, 0xff))],
    ])(
      'a policy that is %s changes nothing, and is in force again when it is mended',
      async (_name, spoil) => {
        const gateway = await startGateway({ targets: [model.url] })
        await gateway.logged('policy_activated')
        spoil(policyIn(gateway))
        const refused = await gateway.logged('policy_refused')
        expect(JSON.stringify(refused.diagnostics)).toContain('message')
        await serves(gateway)
        rmSync(policyIn(gateway), { recursive: true })
        gateway.writePolicy({ 'gateway.rego': OPEN_POLICY['gateway.rego'].replace('open', 'mended') })
        await gateway.logged('policy_activated')
        await serves(gateway)
        expect(gateway.audit().at(-2)?.result ?? gateway.audit().at(-1)?.result).toMatchObject({
          rule: 'mended',
        })
      },
    )

    it.each<[string, (file: string) => void]>([
      ['half written', file => writeFileSync(file, readFileSync(file, 'utf8').slice(0, 40))],
      ['empty', file => writeFileSync(file, '')],
      ['deleted', file => rmSync(file)],
      [
        'replaced by a folder',
        file => {
          rmSync(file)
          mkdirSync(file)
        },
      ],
      [
        'unreadable: a link to itself',
        file => {
          rmSync(file)
          symlinkSync(path.basename(file), file)
        },
      ],
      ['no text', file => writeFileSync(file, Buffer.alloc(5000, 0xff))],
    ])('a config that is %s changes nothing, and is taken when it is mended', async (_name, spoil) => {
      const gateway = await startGateway({ targets: [model.url] })
      const file = path.join(gateway.folder, 'gateway.config.json')
      const whole = JSON.parse(readFileSync(file, 'utf8'))
      spoil(file)
      await gateway.logged('config_refused')
      await serves(gateway)
      rmSync(file, { recursive: true, force: true })
      writeFileSync(file, JSON.stringify({ ...whole, limits: { body: '10B' } }))
      await gateway.logged('config_applied')
      expect((await chat(gateway)).status).toBe(413)
    })

    it('the folder of the audit log renamed: refused, or on record', async () => {
      const gateway = await startGateway({
        targets: [model.url],
        config: { audit: { sinks: [{ type: 'file', path: 'log/audit.jsonl' }] } },
        folder: (() => {
          const folder = newFolder()
          mkdirSync(path.join(folder, 'log'))
          return folder
        })(),
        keys: [{ principal: 'dev' }],
      })
      await serves(gateway)
      renameSync(path.join(gateway.folder, 'log'), path.join(gateway.folder, 'moved'))
      const { status, headers } = await chat(gateway)
      const id = headers.get('x-decision-id') as string
      const kept = ['log', 'moved']
        .map(name => path.join(gateway.folder, name, 'audit.jsonl'))
        .filter(file => existsSync(file))
        .some(file => readFileSync(file, 'utf8').includes(id))
      if (status === 200) expect(kept).toBe(true)
      else expect(status).toBe(503)
    })
  })

  it('SIGHUP looks at the config and the policy again, and does not end a gateway that starts', async () => {
    const gateway = await startGateway({ targets: [model.url], config: { policy: { watch: false } } })
    gateway.writePolicy({ 'gateway.rego': 'package gateway\n\ndecision := {"allow": false}\n' })
    expect((await chat(gateway)).status).toBe(200)
    await gateway.logged('policy_activated')
    gateway.process.kill('SIGHUP')
    await gateway.logged('policy_activated')
    expect((await chat(gateway)).status).toBe(403)
  })

  it('headers and bodies of nobody do not fill the memory', async () => {
    const gateway = await startGateway({ targets: [model.url] })
    const resident = (): number => {
      const status = readFileSync(`/proc/${gateway.process.pid}/status`, 'utf8')
      return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1])
    }
    const big = Buffer.alloc(900_000, 0x20)
    const attack = (): Promise<unknown> =>
      sendRaw(
        gateway.url,
        Buffer.concat([
          Buffer.from(
            'POST /v1/x HTTP/1.1\r\nhost: x\r\nauthorization: Bearer wrong\r\ncontent-length: 900000\r\n\r\n',
          ),
          big,
        ]),
      ).catch(() => {})
    for (let round = 0; round < 3; round++) await Promise.all(Array.from({ length: 20 }, attack))
    const before = resident()
    for (let round = 0; round < 15; round++) await Promise.all(Array.from({ length: 20 }, attack))
    // Three hundred bodies of 900 kB are 270 MB.
    expect(resident() - before).toBeLessThan(120_000)
  })
})
