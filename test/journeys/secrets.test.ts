import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { startTinySlm, type TinySlm } from '../../examples/tiny-slm/server.ts'
import {
  chat,
  newFolder,
  prepare,
  type RunningGateway,
  runCommand,
  startGateway,
  stopAll,
} from '../support/gateway.ts'
import { searchForLeaks, secretsOf, toldInFiles } from '../support/leaks.ts'
import { startOtlpReceiver } from '../support/otlp-receiver.ts'
import { openSocket, readAnswer, sendRaw } from '../support/raw.ts'
import { startWitness } from '../support/witness.ts'

/**
 * Whoever reads logs, metrics, records, errors or the process list is often somebody else than who may
 * know the secrets. Every gateway of every journey is searched for its own when it ends (`leaks.ts`); here
 * they are put where they are most likely to slip out.
 */
describe('secrets', () => {
  let model: TinySlm
  beforeAll(async () => {
    model = await startTinySlm()
  })
  afterEach(stopAll)
  afterAll(() => model.close())

  const SECRETS = {
    admin: 'the-secret-of-the-admin-listener',
    target: 'the-secret-of-the-model-server',
    header: 'the-secret-in-a-header-of-a-target',
  }
  const started = (url = model.url, telemetry: object = {}): Promise<RunningGateway> =>
    startGateway({
      config: {
        telemetry,
        admin: { token: SECRETS.admin },
        pools: {
          chat: {
            models: ['tiny'],
            targets: [{ url, apiKey: SECRETS.target, headers: { 'api-key': SECRETS.header } }],
          },
        },
      },
    })

  it('of callers and servers are nowhere, whatever goes wrong with them', async () => {
    const collector = await startOtlpReceiver()
    const gateway = await started(model.url, { otlp: collector.url })
    for (const secret of Object.values(SECRETS)) gateway.secrets.add(secret)
    const key = String(gateway.keys.dev)
    const answers: string[] = []
    const say = async (response: Response): Promise<void> => void answers.push(await response.text())
    await say(await chat(gateway))
    await say(await chat(gateway, { key: `${key}x` }))
    await say(await chat(gateway, { headers: { 'x-api-key': `${key}y` } }))
    await say(
      await fetch(`${gateway.url}/v1/x?api_key=${key}`, { headers: { authorization: `Bearer ${key}` } }),
    )
    await say(await fetch(`${gateway.url}/-/whoami`, { headers: { authorization: `Bearer ${key}` } }))
    await say(await fetch(`${gateway.adminUrl}/status`, { headers: { authorization: `Bearer ${key}` } }))
    for (const bytes of [
      `GET / HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${key}\r\nbroken\r\n\r\n`,
      `GET /${key}/../ HTTP/1.1\r\nhost: x\r\nauthorization: Basic ${key}\r\n\r\n`.replace(`/${key}`, '/a'),
      `POST / HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${key}\r\ncontent-length: 3\r\n\r\n{{{`,
    ])
      answers.push((await sendRaw(gateway.url, bytes)).text)
    model.setFault('500')
    await say(await chat(gateway))
    model.setFault(null)
    searchForLeaks([{ where: 'an answer', text: answers.join('\n') }], gateway.secrets)
    const admin = { authorization: `Bearer ${SECRETS.admin}` }
    for (const page of ['/status', '/metrics']) {
      const text = await (await fetch(gateway.adminUrl + page, { headers: admin })).text()
      searchForLeaks([{ where: page, text }], gateway.secrets)
    }
    expect(JSON.stringify(model.stats().last?.headers)).toContain(SECRETS.target)
    await expect.poll(() => collector.spans().length).toBeGreaterThan(5)
    const traces = JSON.stringify([collector.spans(), collector.headers])
    searchForLeaks([{ where: 'traces', text: traces }], gateway.secrets)
    await collector.close()
  })

  it('in a config are not told when it is wrong, and can be kept in files', async () => {
    const folder = newFolder()
    writeFileSync(path.join(folder, 'token'), `${SECRETS.admin}\n`)
    prepare(folder, {
      config: {
        admin: { token: `\${file:token}`, host: 7 },
        pools: { chat: { models: ['tiny'], targets: [{ url: 'nonsense', apiKey: [SECRETS.target] }] } },
      },
    })
    for (const args of [['check'], ['check', '--format', 'json'], ['serve'], ['status']]) {
      const { code, stdout, stderr } = await runCommand(args, { cwd: folder })
      expect(code).toBe(2)
      searchForLeaks([{ where: args.join(' '), text: stdout + stderr }], Object.values(SECRETS))
    }
    prepare(folder, { config: { admin: { token: `\${file:token}` } } })
    const gateway = await startGateway({ folder, config: { admin: { token: `\${file:token}` } } })
    expect((await fetch(`${gateway.adminUrl}/status`)).status).toBe(401)
    const headers = { authorization: `Bearer ${SECRETS.admin}` }
    expect((await fetch(`${gateway.adminUrl}/status`, { headers })).status).toBe(200)
  })

  it('inside of the URL of a target are sent to it, and shown nowhere', async () => {
    const witness = await startWitness()
    const password = 'the-password-in-a-url'
    const url = witness.url.replace('//', `//user:${password}@`)
    const gateway = await startGateway({ targets: [url] })
    gateway.secrets.add(password)
    gateway.secrets.add(Buffer.from(`user:${password}`).toString('base64'))
    expect((await chat(gateway)).status).toBe(200)
    expect(JSON.stringify(witness.seen)).toContain('authorization')
    expect(JSON.stringify(await gateway.status())).toContain(witness.url)
  })

  it('of the server behind are not shown by its banners, nor by its errors', async () => {
    const body = 'Traceback: /home/model/secret.py at 10.1.2.3'
    const witness = await startWitness(({ target }) =>
      [
        target === '/v1/bad' ? 'HTTP/1.1 500 Oops' : 'HTTP/1.1 200 OK',
        'server: llama/1.2.3',
        'x-powered-by: Python/3.11',
        'via: 1.1 inner.example',
        'set-cookie: session=1',
        `content-length: ${body.length}`,
        '',
        body,
      ].join('\r\n'),
    )
    const gateway = await started(witness.url)
    const ask = async (target: string) => {
      const socket = await openSocket(gateway.url)
      socket.write(`GET ${target} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${gateway.keys.dev}\r\n\r\n`)
      const { text } = await readAnswer(socket)
      socket.destroy()
      return text
    }
    for (const target of ['/v1/good', '/v1/bad'])
      expect(await ask(target)).not.toMatch(/^(server|x-powered-by|via|set-cookie):/im)
    expect(await ask('/v1/good')).toContain('Traceback')
    expect(await ask('/v1/bad')).not.toContain('Traceback')
    await witness.close()
  })

  it('would be found: the search is not blind', () => {
    const folder = newFolder()
    writeFileSync(path.join(folder, 'audit.jsonl.1'), `{"a":"${SECRETS.target}"}`)
    const secrets = secretsOf({ pools: { chat: { targets: [{ apiKey: SECRETS.target }] } } })
    expect(secrets).toEqual([SECRETS.target])
    expect(() => searchForLeaks(toldInFiles(folder), secrets)).toThrow('audit.jsonl.1')
  })
})
