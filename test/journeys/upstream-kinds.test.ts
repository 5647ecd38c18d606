import { readFileSync } from 'node:fs'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { authority } from '../support/certificates.ts'
import { chat, errorOf, newFolder, startGateway, stopAll } from '../support/gateway.ts'
import { tells } from '../support/told.ts'
import { startUpstream, type Upstream, type UpstreamOptions } from '../support/upstream.ts'

const upstreams: Upstream[] = []
afterEach(async () => {
  await stopAll()
  for (const upstream of upstreams.splice(0)) await upstream.close()
})

async function upstream(options: UpstreamOptions): Promise<Upstream> {
  const made = await startUpstream(options)
  upstreams.push(made)
  return made
}

const said = async (response: Response): Promise<string> =>
  ((await response.json()) as { choices: [{ message: { content: string } }] }).choices[0].message.content

describe('servers of every kind', () => {
  it('are read where they tell of themselves, and shown in /status', async () => {
    const servers = ['llama-cpp', 'ollama', 'vllm'] as const
    const kinds = { 'llama-cpp': 'llama.cpp', ollama: 'ollama', vllm: 'vllm' }
    const targets = await Promise.all(
      servers.map(async server => ({
        url: (await upstream({ onGet: tells(server) })).url,
        kind: kinds[server],
      })),
    )
    const gateway = await startGateway({ config: { pools: { chat: { models: ['tiny'], targets } } } })
    await vi.waitFor(
      async () => {
        expect((await gateway.status()).pools.chat.targets).toMatchObject([
          { healthy: true, slots: 4, told: { foreign: 2, loaded: null } },
          { healthy: true, slots: null, told: { loaded: ['qwen2.5:1.5b'] } },
          { healthy: true, slots: null, told: { foreign: 7, cache_use: 0.4375 } },
        ])
      },
      { timeout: 10_000 },
    )
  })

  it('that have the model in memory come before those that would have to load it', async () => {
    const [cold, warm] = await Promise.all(
      ['cold', 'warm'].map(name =>
        upstream({
          onGet: (request, response) => {
            const models = request.url === '/api/tags' || name === 'warm' ? [{ name: 'tiny:latest' }] : []
            response.end(JSON.stringify({ models }))
          },
          onCall: call => call.answer(name),
        }),
      ),
    )
    const targets = [cold, warm].map(server => ({ url: server?.url, kind: 'ollama' }))
    const gateway = await startGateway({ config: { pools: { chat: { models: ['tiny'], targets } } } })
    await vi.waitFor(
      async () => {
        const { targets: shown } = (await gateway.status()).pools.chat
        expect(shown.map((target: { told?: object }) => target.told !== undefined)).toEqual([true, true])
      },
      { timeout: 10_000 },
    )
    for (let request = 0; request < 4; request++) expect(await said(await chat(gateway))).toBe('warm')
    expect(cold?.calls).toHaveLength(0)
  })
})

describe('a target behind TLS', () => {
  it('is known by its own authority and name, and knows the gateway by its certificate', async () => {
    const folder = newFolder()
    const ca = authority(folder, 'ca')
    const server = ca.issue('server', '/CN=model', ['DNS:model.internal'], { usage: 'serverAuth' })
    const client = ca.issue('gateway', '/CN=sallyport')
    const secure = await upstream({
      tls: {
        cert: server.cert,
        key: server.key,
        ca: readFileSync(ca.file),
        requestCert: true,
        rejectUnauthorized: true,
      },
      onGet: (_request, response) => void response.end('{}'),
      onCall: call => call.answer('secure'),
    })
    const tls = {
      caFile: ca.file,
      certFile: client.certFile,
      keyFile: client.keyFile,
      serverName: 'model.internal',
    }
    const gatewayFor = (own: object) =>
      startGateway({
        config: {
          pools: { chat: { models: ['tiny'], targets: [{ url: `${secure.url}/base`, tls: own }] } },
        },
      })
    const gateway = await gatewayFor(tls)
    expect(await said(await chat(gateway))).toBe('secure')
    expect(secure.calls[0]?.request).toMatchObject({
      url: '/base/v1/chat/completions',
      headers: { host: `127.0.0.1:${secure.port}` },
    })
    expect((await gateway.status()).pools.chat.targets[0].healthy).toBe(true)

    for (const wrong of [
      { ...tls, caFile: undefined },
      { ...tls, serverName: undefined },
      { caFile: ca.file, serverName: 'model.internal' },
    ]) {
      const refused = await chat(await gatewayFor(wrong))
      expect([refused.status, (await errorOf(refused)).code]).toEqual([502, 'upstream_unavailable'])
    }
    expect(secure.calls).toHaveLength(1)
  })
})
