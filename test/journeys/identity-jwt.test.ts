import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { CLIENTS, type OidcProvider, OPAQUE_RESOURCE, startProvider } from '../../examples/oidc/provider.ts'
import { personToken, serviceToken } from '../../examples/oidc/tokens.ts'
import { startTinySlm, type TinySlm } from '../../examples/tiny-slm/server.ts'
import {
  chat,
  errorOf,
  type GatewayOptions,
  newFolder,
  REFERENCE_POLICIES,
  type RunningGateway,
  startGateway,
  stopAll,
} from '../support/gateway.ts'
import { type SigningKey, signingKey, signJwt, startIssuer, type TestIssuer } from '../support/issuer.ts'
import { badCredentials } from '../support/malformed-credentials.ts'

let model: TinySlm
beforeAll(async () => {
  model = await startTinySlm({ name: 'one' })
})
afterEach(stopAll)
afterAll(() => model.close())

/** Says in the record who called. */
const start = (identity: object, options: GatewayOptions = {}): Promise<RunningGateway> =>
  startGateway({
    targets: [model.url],
    ...options,
    config: { limits: { unauthenticated: false }, ...options.config, identity },
  })

const principalOf = async (gateway: RunningGateway, key: string): Promise<Record<string, unknown>> => {
  const response = await fetch(`${gateway.url}/-/whoami`, { headers: { authorization: `Bearer ${key}` } })
  return ((await response.json()) as { principal: Record<string, unknown> }).principal
}

const editIdentity = (gateway: RunningGateway, change: (identity: Record<string, never>) => object): void => {
  const file = path.join(gateway.folder, 'gateway.config.json')
  const config = JSON.parse(readFileSync(file, 'utf8'))
  writeFileSync(file, JSON.stringify({ ...config, identity: change(config.identity) }))
}

describe('with a real OpenID provider', () => {
  let provider: OidcProvider
  const jwt = () => [{ issuer: provider.issuer, audience: ['sallyport'] }]
  const introspection = () => [
    {
      url: `${provider.issuer}/token/introspection`,
      clientId: CLIENTS.gateway.id,
      clientSecret: CLIENTS.gateway.secret,
      audience: ['sallyport'],
    },
  ]
  beforeAll(async () => {
    provider = await startProvider()
  })
  afterAll(() => provider.close())

  it('a service and a person call with the tokens that it gave them', async () => {
    const gateway = await start({ jwt: jwt() })
    const service = await serviceToken(provider.issuer)
    expect((await chat(gateway, { key: service })).status).toBe(200)
    expect(await principalOf(gateway, service)).toMatchObject({
      id: 'ci-bot',
      kind: 'service',
      roles: ['developer'],
      team: 'search',
      authenticated: true,
      method: 'jwt',
      key_id: null,
      claims: { iss: provider.issuer, aud: 'sallyport', client_id: 'ci-bot', scope: 'chat' },
      expires_at: expect.stringMatching(/^\d{4}-.*Z$/),
    })
    expect(await principalOf(gateway, await personToken(provider.issuer, 'ana'))).toMatchObject({
      id: 'ana',
      kind: 'user',
      roles: ['analyst'],
      team: 'research',
    })
  })

  it('tokens by a new key are taken without a restart, and those by a withdrawn one are not', async () => {
    const gateway = await start({ jwt: jwt().map(issuer => ({ ...issuer, keys: { cooldown: '1ms' } })) })
    const call = async (key: string): Promise<number> => (await chat(gateway, { key })).status
    const first = await serviceToken(provider.issuer)
    expect(await call(first)).toBe(200)
    provider.rotate()
    const second = await serviceToken(provider.issuer)
    expect([await call(second), await call(first)]).toEqual([200, 200])
    provider.rotate({ withdraw: true })
    expect(await call(await serviceToken(provider.issuer))).toBe(200)
    expect([await call(second), await call(first)]).toEqual([401, 401])
  })

  it('opaque tokens are asked about, once for many, and refused once they are revoked', async () => {
    const gateway = await start({
      introspection: introspection().map(server => ({ ...server, cache: '100ms' })),
    })
    const token = await serviceToken(provider.issuer, OPAQUE_RESOURCE)
    const asked = () => provider.asked['/token/introspection'] ?? 0
    const before = asked()
    const answers = await Promise.all(Array.from({ length: 20 }, () => chat(gateway, { key: token })))
    expect(answers.map(answer => answer.status)).toEqual(Array(20).fill(200))
    expect(asked() - before).toBeLessThan(20)
    expect(await principalOf(gateway, token)).toMatchObject({
      id: 'ci-bot',
      roles: ['developer'],
      team: 'search',
      method: 'introspection',
    })
    const { id, secret } = CLIENTS.service
    await fetch(`${provider.issuer}/token/revocation`, {
      method: 'POST',
      headers: { authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}` },
      body: new URLSearchParams({ token }),
    })
    // What was said before the revocation holds for its short time.
    await expect.poll(async () => (await chat(gateway, { key: token })).status).toBe(401)
  })

  it('JWTs, opaque tokens and API keys are taken side by side, each by who knows it', async () => {
    const gateway = await start({ jwt: jwt(), introspection: introspection() })
    const before = provider.asked['/token/introspection'] ?? 0
    expect((await chat(gateway, { key: await serviceToken(provider.issuer) })).status).toBe(200)
    expect((await chat(gateway)).status).toBe(200)
    expect(provider.asked['/token/introspection'] ?? 0).toBe(before)
    const opaque = await serviceToken(provider.issuer, OPAQUE_RESOURCE)
    expect((await chat(gateway, { key: opaque })).status).toBe(200)
  })

  it('policies for roles and teams decide the same, whatever the way of identifying', async () => {
    const gateway = await start(
      { jwt: jwt(), introspection: introspection() },
      {
        policy: REFERENCE_POLICIES,
        keys: [{ principal: 'ci-bot', roles: ['developer'], team: 'search' }],
      },
    )
    const ways = [
      gateway.keys['ci-bot'] as string,
      await serviceToken(provider.issuer),
      await serviceToken(provider.issuer, OPAQUE_RESOURCE),
    ]
    const decide = async (key: string, model: string): Promise<unknown> => {
      const response = await fetch(`${gateway.url}/-/authorize`, {
        method: 'POST',
        headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
        body: JSON.stringify({ body: { model, messages: [] } }),
      })
      return ((await response.json()) as { decision: unknown }).decision
    }
    for (const name of ['tiny', 'tiny-large', 'unknown']) {
      const [first, ...others] = await Promise.all(ways.map(key => decide(key, name)))
      expect(first).toMatchObject({ allow: expect.any(Boolean) })
      for (const other of others) expect(other).toEqual(first)
    }
  })

  it('no credential is in anything that the gateway wrote', async () => {
    const gateway = await start(
      { jwt: jwt(), introspection: introspection() },
      { config: { audit: { content: 'all' } } },
    )
    const good = [
      await serviceToken(provider.issuer),
      await personToken(provider.issuer, 'ana'),
      await serviceToken(provider.issuer, OPAQUE_RESOURCE),
      gateway.keys.dev as string,
    ]
    const bad = [`${good[0]?.slice(0, -8)}AAAAAAAA`, 'an-opaque-token-that-nobody-knows']
    for (const key of [...good, ...bad]) await (await chat(gateway, { key })).arrayBuffer()
    for (const key of good) await principalOf(gateway, key)
    await chat(gateway, { key: good[0] as string, headers: { 'x-api-key': good[1] as string } })
    const written = [
      readFileSync(path.join(gateway.folder, 'audit.jsonl'), 'utf8'),
      JSON.stringify(gateway.log()),
      await (await fetch(`${gateway.adminUrl}/metrics`)).text(),
      JSON.stringify(await gateway.status()),
    ].join('\n')
    const secrets = [...good, ...bad].flatMap(key => [
      key,
      ...key.split('.').filter(part => part.length > 20),
    ])
    expect(secrets.filter(secret => written.includes(secret))).toEqual([])
    expect(written).not.toContain(CLIENTS.gateway.secret)
    expect(written).toContain('"ci-bot"')
  })
})

describe('with an issuer that a test holds in its hand', () => {
  let key: SigningKey
  let issuer: TestIssuer
  const jwt = (own: object = {}) => [{ issuer: issuer.url, audience: ['sallyport'], ...own }]
  beforeAll(() => {
    key = signingKey()
  })
  const begin = async (): Promise<void> => {
    issuer = await startIssuer([key])
  }

  it('many who wait for its keys lead to one fetch, and no token to another', async () => {
    await begin()
    const gateway = await start({ jwt: jwt() })
    let open = (): void => {}
    issuer.gate = new Promise(resolve => (open = resolve))
    const tokens = Array.from({ length: 50 }, (_, number) =>
      signJwt(key, issuer.claims({ sub: `u${number}` })),
    )
    const answers = Promise.all(tokens.map(token => chat(gateway, { key: token })))
    while (!issuer.asked['/.well-known/openid-configuration']) await new Promise(setImmediate)
    open()
    expect((await answers).map(answer => answer.status)).toEqual(Array(50).fill(200))
    expect(issuer.asked).toEqual({ '/.well-known/openid-configuration': 1, '/jwks': 1 })
    await issuer.close()
  })

  it('that is away is a 503 for what is not known yet, and nothing for what is', async () => {
    await begin()
    const gateway = await start({ jwt: jwt() })
    issuer.away = true
    const unknown = await chat(gateway, { key: signJwt(key, issuer.claims()) })
    expect([unknown.status, (await errorOf(unknown)).code]).toEqual([503, 'identity_unavailable'])
    expect(Number(unknown.headers.get('retry-after'))).toBeGreaterThan(0)
    expect(unknown.headers.get('www-authenticate')).toBeNull()
    await gateway.logged('identity_provider_away', line => line.provider === issuer.url)
    expect((await chat(gateway)).status).toBe(200)
    await issuer.close()
  })

  it('that is gone for good is missed by nobody whose keys are known', async () => {
    await begin()
    const gateway = await start({ jwt: jwt({ keys: { fresh: '1ms', cooldown: '1ms' } }) })
    expect((await chat(gateway, { key: signJwt(key, issuer.claims()) })).status).toBe(200)
    await issuer.close()
    expect((await chat(gateway, { key: signJwt(key, issuer.claims({ sub: 'eve' })) })).status).toBe(200)
    await gateway.logged('identity_provider_away')
    issuer = await startIssuer([key], issuer.port)
    const back = async () => {
      await chat(gateway, { key: signJwt(key, issuer.claims({ jti: performance.now() })) })
      return gateway.log().some(line => line.event === 'identity_provider_back')
    }
    await expect.poll(back).toBe(true)
    await issuer.close()
  })

  it.each([
    ['is about another issuer', { issuer: 'https://other.example' }],
    ['sends to keys over plain http elsewhere', { jwks_uri: 'http://198.51.100.1/jwks' }],
    ['sends to a file', { jwks_uri: 'file:///etc/passwd' }],
    ['says nothing', { jwks_uri: undefined }],
  ])('whose discovery document %s is not believed', async (_what, discovery) => {
    await begin()
    issuer.discovery = discovery
    const gateway = await start({ jwt: jwt() })
    expect((await chat(gateway, { key: signJwt(key, issuer.claims()) })).status).toBe(503)
    await issuer.close()
  })

  it('is found by the address of its keys, or by a file that is read again when it changes', async () => {
    await begin()
    const folder = newFolder()
    writeFileSync(path.join(folder, 'idp.pem'), key.publicKey.export({ type: 'spki', format: 'pem' }))
    const gateway = await start(
      {
        apiKeys: { file: 'keys.json' },
        jwt: [
          { issuer: issuer.url, audience: ['sallyport'], jwksUri: `${issuer.url}/jwks` },
          { issuer: 'urn:by-file', audience: ['sallyport'], keyFile: 'idp.pem' },
        ],
      },
      { folder },
    )
    const byFile = (by: SigningKey) => signJwt(by, issuer.claims({ iss: 'urn:by-file' }))
    expect((await chat(gateway, { key: signJwt(key, issuer.claims()) })).status).toBe(200)
    expect(issuer.asked).toEqual({ '/jwks': 1 })
    const old = byFile(key)
    expect((await chat(gateway, { key: old })).status).toBe(200)
    const next = signingKey()
    writeFileSync(path.join(folder, 'idp.pem'), JSON.stringify({ keys: [next.jwk] }))
    await gateway.logged('identity_keys_loaded', line => line.issuer === 'urn:by-file')
    await gateway.logged('identity_keys_loaded', line => line.issuer === 'urn:by-file')
    expect((await chat(gateway, { key: byFile(next) })).status).toBe(200)
    expect((await chat(gateway, { key: old })).status).toBe(401)
    await issuer.close()
  })

  it('is not asked again when the config changes and the issuer does not', async () => {
    await begin()
    const other = await startIssuer([key])
    const gateway = await start({ jwt: jwt() })
    const token = signJwt(key, issuer.claims({ groups: ['ops'] }))
    expect(await principalOf(gateway, token)).toMatchObject({ roles: [] })
    editIdentity(gateway, identity => ({
      ...identity,
      jwt: [...jwt(), { issuer: other.url, audience: ['sallyport'] }],
    }))
    await gateway.logged('config_applied')
    expect((await chat(gateway, { key: signJwt(key, other.claims()) })).status).toBe(200)
    editIdentity(gateway, identity => ({ ...identity, jwt: jwt({ claims: { roles: 'groups' } }) }))
    await gateway.logged('config_applied')
    expect(await principalOf(gateway, token)).toMatchObject({ roles: ['ops'] })
    expect((await chat(gateway, { key: signJwt(key, other.claims()) })).status).toBe(401)
    expect(issuer.asked['/jwks']).toBe(1)
    await Promise.all([issuer.close(), other.close()])
  })

  it('more than 200 bad credentials are each refused, and say nothing that helps to guess', async () => {
    await begin()
    issuer.keys = [key.jwk]
    const gateway = await start({
      jwt: jwt(),
      introspection: [{ url: `${issuer.url}/introspect`, clientId: 'gateway', clientSecret: 'secret' }],
    })
    const bad = badCredentials({ key, stranger: signingKey(), claims: issuer.claims })
    expect(bad.length).toBeGreaterThan(200)
    const visible = bad.filter(({ credential }) => /^[\x21-\x7e]+$/.test(credential))
    expect(visible.length).toBeGreaterThan(200)
    const told = new Set<string>()
    const notRefused: string[] = []
    for (const { why, credential } of visible) {
      const answer = await chat(gateway, { key: credential })
      if (answer.status !== 401) notRefused.push(`${why}: ${answer.status}`)
      told.add(`${answer.headers.get('www-authenticate')} ${JSON.stringify(await errorOf(answer))}`)
    }
    expect(notRefused).toEqual([])
    expect([...told]).toHaveLength(1)
    expect([...told][0]).toContain('Bearer realm="sallyport", error="invalid_token"')
    expect((await chat(gateway, { key: signJwt(key, issuer.claims()) })).status).toBe(200)
    expect(gateway.log().filter(line => line.level === 'error')).toEqual([])
    await issuer.close()
  })

  it('once an address has failed too often, what is known passes and nobody is asked for the rest', async () => {
    await begin()
    const gateway = await start(
      {
        jwt: jwt(),
        introspection: [
          { url: `${issuer.url}/introspect`, clientId: 'gateway', clientSecret: 'secret', cache: '1h' },
        ],
      },
      { config: { limits: { unauthenticated: { limit: 3, window: '1h' } } } },
    )
    const token = signJwt(key, issuer.claims())
    issuer.tokens.set('opaque-good', { active: true, sub: 'ana' })
    expect((await chat(gateway, { key: token })).status).toBe(200)
    expect((await chat(gateway, { key: 'opaque-good' })).status).toBe(200)
    const statuses: number[] = []
    for (let number = 0; number < 5; number++)
      statuses.push((await chat(gateway, { key: `opaque-bad-${number}` })).status)
    expect(statuses).toEqual([401, 401, 401, 429, 429])
    const asked = issuer.introspected.length
    for (const unknown of ['opaque-new', signJwt(key, issuer.claims({ sub: 'new' })), 'wrong', 'slp_wrong']) {
      const answer = await chat(gateway, { key: unknown })
      expect([answer.status, (await errorOf(answer)).code]).toEqual([429, 'rate_limited'])
    }
    expect(issuer.introspected.length).toBe(asked)
    for (const good of [token, 'opaque-good', gateway.keys.dev])
      expect((await chat(gateway, { key: good })).status).toBe(200)
    await issuer.close()
  })

  it('an introspection server that is away is a 503, unless the answer is known', async () => {
    await begin()
    const gateway = await start({
      introspection: [{ url: `${issuer.url}/introspect`, clientId: 'g w', clientSecret: 'p:w', cache: '1h' }],
    })
    issuer.tokens.set('good', { active: true, sub: 'ana', roles: ['a'] })
    expect((await chat(gateway, { key: 'good' })).status).toBe(200)
    expect((await chat(gateway, { key: 'bad' })).status).toBe(401)
    expect(issuer.introspected[0]?.authorization).toBe(`Basic ${Buffer.from('g+w:p%3Aw').toString('base64')}`)
    issuer.away = true
    const away = await chat(gateway, { key: 'other' })
    expect([away.status, (await errorOf(away)).code]).toEqual([503, 'identity_unavailable'])
    expect((await chat(gateway, { key: 'good' })).status).toBe(200)
    expect((await chat(gateway, { key: 'bad' })).status).toBe(401)
    await issuer.close()
  })

  it('a client that leaves while its token is asked about leaves nothing behind', async () => {
    await begin()
    const gateway = await start({
      introspection: [{ url: `${issuer.url}/introspect`, clientId: 'g', clientSecret: 's' }],
    })
    issuer.tokens.set('good', { active: true, sub: 'ana' })
    let open = (): void => {}
    issuer.gate = new Promise(resolve => (open = resolve))
    const leaving = new AbortController()
    const left = chat(gateway, { key: 'good', signal: leaving.signal })
    while (!issuer.asked['/introspect']) await new Promise(setImmediate)
    leaving.abort()
    await expect(left).rejects.toThrow()
    open()
    await gateway.audited(record => record.event === 'decision')
    expect(await gateway.stop()).toBe(0)
    await issuer.close()
  })
})
