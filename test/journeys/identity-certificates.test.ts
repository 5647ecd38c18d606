import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { Agent, request } from 'node:https'
import path from 'node:path'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { startTinySlm, type TinySlm } from '../../examples/tiny-slm/server.ts'
import { type Authority, authority, type Pair } from '../support/certificates.ts'
import { chat, errorOf, newFolder, type RunningGateway, startGateway, stopAll } from '../support/gateway.ts'
import { sendRaw } from '../support/raw.ts'

interface Answer {
  readonly status: number
  readonly headers: NodeJS.Dict<string | string[]>
  // biome-ignore lint/suspicious/noExplicitAny: a test looks wherever it wants to
  readonly body: any
}

const CERTIFICATES = { clientCertificates: { id: 'uri|dns|email|subject', roles: ['mesh'], team: 'search' } }
const ALLOW_MESH = {
  'gateway.rego':
    'package gateway\n\ndecision := {"allow": "mesh" in input.principal.roles, "reasons": [sprintf("%v", [input.request.tls])]}\n',
}

describe('TLS and client certificates', () => {
  let model: TinySlm
  let folder: string
  let clients: Authority
  let servers: Authority
  let server: Pair
  let ana: Pair
  beforeAll(async () => {
    model = await startTinySlm({ name: 'one' })
  })
  beforeEach(() => {
    folder = newFolder()
    clients = authority(folder, 'clients')
    servers = authority(folder, 'servers')
    server = servers.issue('tls', '/CN=localhost', ['DNS:localhost', 'IP:127.0.0.1'], { usage: 'serverAuth' })
    ana = clients.issue('ana', '/O=Corp/CN=ana', ['URI:spiffe://corp.example/ana', 'DNS:ana.corp.example'])
  })
  afterEach(stopAll)
  afterAll(() => model.close())

  const start = (identity: object = CERTIFICATES, listen: object = {}): Promise<RunningGateway> =>
    startGateway({
      folder,
      policy: ALLOW_MESH,
      targets: [model.url],
      keys: [
        { principal: 'dev', roles: ['mesh'] },
        { principal: 'spiffe://corp.example/ana', roles: ['mesh'] },
      ],
      config: {
        identity,
        listen: { tls: { certFile: 'tls.crt', keyFile: 'tls.key', clientCaFile: 'clients.crt' }, ...listen },
      },
    })

  const trusting = (pair?: Pair): ConnectionOptions => ({
    ca: readFileSync(servers.file, 'utf8'),
    servername: 'localhost',
    ...(pair ? { cert: pair.cert, key: pair.key } : {}),
  })

  const call = (
    gateway: RunningGateway,
    options: {
      pair?: Pair
      headers?: Record<string, string>
      agent?: Agent
      path?: string
      body?: string
    } = {},
  ): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const { pair, headers = {}, agent = new Agent(trusting(pair)), path = '/-/whoami', body } = options
      const method = body === undefined ? 'GET' : 'POST'
      const sent = request(`${gateway.url}${path}`, { agent, headers, method }, answer => {
        let text = ''
        answer.on('data', part => (text += part))
        answer.on('end', () => {
          if (!options.agent) agent.destroy()
          resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: JSON.parse(text) })
        })
      })
      sent.on('error', reject)
      sent.end(body)
    })

  it('a certificate is the principal that it names, with its facts as claims', async () => {
    const gateway = await start()
    expect(gateway.url).toMatch(/^https:/)
    const { body } = await call(gateway, { pair: ana })
    const x509 = new X509Certificate(ana.cert)
    expect(body.principal).toEqual({
      id: 'spiffe://corp.example/ana',
      kind: 'service',
      roles: ['mesh'],
      team: 'search',
      authenticated: true,
      method: 'client_certificate',
      key_id: null,
      claims: {
        subject: 'CN=ana,O=Corp',
        issuer: 'CN=clients',
        uris: ['spiffe://corp.example/ana'],
        dns: ['ana.corp.example'],
        emails: [],
        serial: x509.serialNumber.toLowerCase(),
        fingerprint_sha256: x509.fingerprint256.replaceAll(':', '').toLowerCase(),
        not_before: new Date(x509.validFrom).toISOString(),
        not_after: new Date(x509.validTo).toISOString(),
      },
      expires_at: new Date(x509.validTo).toISOString(),
    })
  })

  it.each([
    ['uri', 'spiffe://corp.example/eve'],
    ['dns', 'eve.corp.example'],
    ['email', 'eve@corp.example'],
    ['subject', 'CN=eve,O=Corp'],
    ['email|uri', 'eve@corp.example'],
  ])('by its %s', async (id, name) => {
    const eve = clients.issue('eve', '/O=Corp/CN=eve', [
      'URI:spiffe://corp.example/eve',
      'DNS:eve.corp.example',
      'email:eve@corp.example',
    ])
    const gateway = await start({ clientCertificates: { id } })
    expect((await call(gateway, { pair: eve })).body.principal.id).toBe(name)
  })

  it('the policy sees TLS, and callers without a certificate use what else they have', async () => {
    const gateway = await start()
    expect((await call(gateway, { headers: { authorization: `Bearer ${gateway.keys.dev}` } })).status).toBe(
      200,
    )
    expect((await call(gateway)).status).toBe(401)
    const body = JSON.stringify({
      model: 'tiny',
      max_tokens: 4,
      messages: [{ role: 'user', content: 'hello' }],
    })
    const answer = await call(gateway, { pair: ana, path: '/v1/chat/completions', body })
    expect([answer.status, answer.body.object]).toEqual([200, 'chat.completion'])
    const record = await gateway.audited(({ http }) => http?.path === '/v1/chat/completions')
    expect(record.input.request.tls).toBe(true)
    expect(record.result.reasons).toEqual(['true'])
  })

  it.each([
    [
      'of another authority',
      () => authority(folder, 'strangers').issue('x', '/CN=x', ['URI:spiffe://corp.example/ana']),
    ],
    ['that has expired', () => clients.issue('x', '/CN=x', ['URI:spiffe://corp.example/ana'], { days: -1 })],
    [
      'for servers only',
      () => clients.issue('x', '/CN=x', ['URI:spiffe://corp.example/ana'], { usage: 'serverAuth' }),
    ],
    [
      'with two URIs',
      () => clients.issue('x', '/CN=x', ['URI:spiffe://corp.example/ana', 'URI:spiffe://corp.example/eve']),
    ],
    ['without a name that is an id', () => clients.issue('x', '/CN=x')],
  ])('a certificate %s is a 401, even beside a good key', async (_what, issue) => {
    const gateway = await start({ clientCertificates: { id: 'uri' } })
    const pair = issue()
    for (const headers of [{}, { authorization: `Bearer ${gateway.keys.dev}` }]) {
      const answer = await call(gateway, { pair, headers })
      expect([answer.status, answer.body.error.code]).toEqual([401, 'unauthenticated'])
      expect(answer.headers['www-authenticate']).toBe('Bearer realm="sallyport", error="invalid_token"')
    }
  })

  it('a certificate and a key are refused, unless they name the same principal', async () => {
    const gateway = await start()
    const two = await call(gateway, { pair: ana, headers: { authorization: `Bearer ${gateway.keys.dev}` } })
    expect([two.status, two.body.error.code]).toEqual([400, 'invalid_request'])
    const same = { 'x-api-key': gateway.keys['spiffe://corp.example/ana'] as string }
    expect((await call(gateway, { pair: ana, headers: same })).status).toBe(200)
  })

  it('less than TLS 1.2, and plain HTTP, are not spoken', async () => {
    const gateway = await start()
    const { port } = new URL(gateway.url)
    const old = connect({
      ...trusting(),
      port: Number(port),
      host: '127.0.0.1',
      minVersion: 'TLSv1',
      maxVersion: 'TLSv1.1',
      ciphers: 'DEFAULT@SECLEVEL=0',
    })
    const [error] = (await once(old, 'error')) as [NodeJS.ErrnoException]
    expect(error).toBeInstanceOf(Error)
    expect((await sendRaw(gateway.url, 'GET /-/whoami HTTP/1.1\r\nhost: x\r\n\r\n')).status).toBe(0)
    expect((await call(gateway, { pair: ana })).status).toBe(200)
  })

  it('files that change are read again, without dropping a connection', async () => {
    const gateway = await start()
    const agent = new Agent({ ...trusting(ana), keepAlive: true, maxSockets: 1 })
    const sockets = new Set<unknown>()
    agent.on('free', socket => sockets.add(socket))
    expect((await call(gateway, { agent })).status).toBe(200)
    const next = servers.issue('next', '/CN=localhost', ['DNS:localhost'], { usage: 'serverAuth' })
    // Between the two files the pair does not fit.
    copyFileSync(next.certFile, server.certFile)
    await gateway.logged('tls_refused')
    expect((await call(gateway, { pair: ana })).status).toBe(200)
    copyFileSync(next.keyFile, server.keyFile)
    await gateway.logged('tls_loaded')
    const socket = connect({
      ...trusting(),
      port: Number(new URL(gateway.url).port),
      host: '127.0.0.1',
    }) as TLSSocket
    await once(socket, 'secureConnect')
    expect(socket.getPeerX509Certificate()?.serialNumber).toBe(new X509Certificate(next.cert).serialNumber)
    socket.destroy()
    expect((await call(gateway, { agent })).status).toBe(200)
    expect(sockets.size).toBe(1)
    agent.destroy()
    const others = authority(folder, 'others')
    const bob = others.issue('bob', '/CN=bob', ['URI:spiffe://corp.example/bob'])
    expect((await call(gateway, { pair: bob })).status).toBe(401)
    writeFileSync(clients.file, readFileSync(others.file, 'utf8'))
    await gateway.logged('tls_loaded')
    expect((await call(gateway, { pair: bob })).status).toBe(200)
    expect((await call(gateway, { pair: ana })).status).toBe(401)
  })

  it('TLS without clientCaFile asks nobody for a certificate', async () => {
    const gateway = await start({}, { tls: { certFile: 'tls.crt', keyFile: 'tls.key' } })
    const headers = { authorization: `Bearer ${gateway.keys.dev}` }
    expect((await call(gateway, { pair: ana, headers })).body.principal.id).toBe('dev')
  })

  it('a gateway whose key is not that of its certificate does not start', async () => {
    copyFileSync(ana.keyFile, path.join(folder, 'tls.key'))
    await expect(start()).rejects.toThrow('the gateway cannot start')
  })

  it('a proxy that is trusted with one says whose certificate it saw; its own is nobody else’s', async () => {
    const gateway = await start(CERTIFICATES, { trustedProxies: ['127.0.0.1'] })
    const proxy = clients.issue('proxy', '/CN=proxy', ['URI:spiffe://corp.example/proxy'])
    expect((await call(gateway, { pair: proxy })).status).toBe(401)
    const headers = {
      'x-forwarded-client-cert': 'By=spiffe://corp.example/proxy;URI=spiffe://corp.example/ana',
    }
    expect((await call(gateway, { pair: proxy, headers })).body.principal.id).toBe(
      'spiffe://corp.example/ana',
    )
  })
})

describe('behind a proxy that ends TLS', () => {
  let model: TinySlm
  beforeAll(async () => {
    model = await startTinySlm({ name: 'one' })
  })
  afterEach(stopAll)
  afterAll(() => model.close())
  const start = (trustedProxies: readonly string[], own: object = {}): Promise<RunningGateway> =>
    startGateway({
      targets: [model.url],
      config: { listen: { trustedProxies }, identity: CERTIFICATES, ...own },
    })
  const whoami = async (gateway: RunningGateway, headers: Record<string, string>): Promise<Answer> => {
    const response = await fetch(`${gateway.url}/-/whoami`, { headers })
    return { status: response.status, headers: {}, body: await response.json() }
  }

  it('the certificate that it saw names the principal', async () => {
    const gateway = await start(['127.0.0.0/8'])
    const certificate =
      'By=spiffe://corp.example/edge;Hash=AB01;Subject="CN=ana,O=\\"Corp, Inc\\"";URI=spiffe://corp.example/ana;DNS=ana.corp.example'
    const { body } = await whoami(gateway, { 'x-forwarded-client-cert': certificate })
    expect(body.principal).toMatchObject({
      id: 'spiffe://corp.example/ana',
      roles: ['mesh'],
      method: 'client_certificate',
      claims: { subject: 'CN=ana,O="Corp, Inc"', fingerprint_sha256: 'ab01', dns: ['ana.corp.example'] },
      expires_at: null,
    })
  })

  it('a certificate that is passed on whole tells all its facts', async () => {
    const folder = newFolder()
    const { cert } = authority(folder, 'clients').issue('ana', '/CN=ana', ['URI:spiffe://corp.example/ana'])
    const gateway = await start(['127.0.0.1'])
    const { body } = await whoami(gateway, {
      'x-forwarded-client-cert': `Cert="${encodeURIComponent(cert)}"`,
    })
    expect(body.principal).toMatchObject({
      id: 'spiffe://corp.example/ana',
      claims: { issuer: 'CN=clients', subject: 'CN=ana' },
      expires_at: new Date(new X509Certificate(cert).validTo).toISOString(),
    })
  })

  /** The caller writes the header itself: to a gateway that trusts another proxy, or through one that appends. */
  it('what a caller wrote names nobody', async () => {
    const forged = { 'x-forwarded-client-cert': 'URI=spiffe://corp.example/root' }
    for (const trusted of [[], ['192.0.2.1'], ['10.0.0.0/8', '::1']]) {
      const own = trusted.length === 0 ? { identity: {} } : {}
      const gateway = await start(trusted, own)
      expect((await whoami(gateway, forged)).status).toBe(401)
      const beside = await whoami(gateway, { ...forged, authorization: `Bearer ${gateway.keys.dev}` })
      expect([beside.status, beside.body.principal.id]).toEqual([200, 'dev'])
      expect(JSON.stringify(gateway.audit())).not.toContain('root')
      await gateway.stop()
    }
    const gateway = await start(['127.0.0.1'])
    const appended = `${forged['x-forwarded-client-cert']},By=x;URI=spiffe://corp.example/ana`
    expect((await whoami(gateway, { 'x-forwarded-client-cert': appended })).body.principal.id).toBe(
      'spiffe://corp.example/ana',
    )
  })

  it('a header that cannot be read, or names nobody, is a 401', async () => {
    const gateway = await start(['127.0.0.1'])
    for (const header of [
      '',
      'URI',
      'URI=',
      'URI="spiffe://corp.example/ana',
      'URI=spiffe://corp.example/ana;URI=spiffe://corp.example/eve',
      'By=spiffe://corp.example/edge;Hash=AB',
      'Cert="nonsense"',
      'Cert="%zz"',
      'URI=spiffe://corp.example/ana, ',
      'spiffe://corp.example/ana',
    ])
      expect([header, (await whoami(gateway, { 'x-forwarded-client-cert': header })).status]).toEqual([
        header,
        401,
      ])
  })

  it('the client is who the proxies saw, for the record and for failed attempts', async () => {
    const gateway = await start(['127.0.0.1', '10.0.0.0/8'], {
      limits: { unauthenticated: { limit: 2, window: '1h' } },
    })
    const from = (address: string, key = 'wrong'): Promise<Response> =>
      chat(gateway, { key, headers: { 'x-forwarded-for': address } })
    const statuses: number[] = []
    for (const address of ['198.51.100.1', '1.1.1.1, 198.51.100.1', '2.2.2.2, 198.51.100.1, 10.0.0.3'])
      statuses.push((await from(address)).status)
    expect(statuses).toEqual([401, 401, 429])
    expect((await from('198.51.100.2')).status).toBe(401)
    await (await from('6.6.6.6, 198.51.100.3', gateway.keys.dev)).arrayBuffer()
    const record = gateway.audit().findLast(({ input }) => input)
    expect([record?.requested_by, record?.input.request.client_ip]).toEqual(['198.51.100.3', '198.51.100.3'])
    const torn = await chat(gateway, {
      headers: { 'x-forwarded-for': '198.51.100.3', forwarded: 'for=198.51.100.4' },
    })
    expect([torn.status, (await errorOf(torn)).code]).toEqual([400, 'invalid_request'])
  })
})
