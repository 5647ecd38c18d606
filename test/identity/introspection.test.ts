import { describe, expect, it } from 'vitest'
import { createClaimsReader } from '../../src/identity/claims.ts'
import {
  createIntrospection,
  createIntrospectionMethod,
  type Introspection,
  type IntrospectionRules,
} from '../../src/identity/introspection.ts'
import type { ProviderRequest } from '../../src/identity/provider.ts'

const NOW = 1_800_000_000_000
const PATHS = { id: ['sub', 'client_id'], kind: 'kind', roles: 'roles', team: 'team' }
const RULES: IntrospectionRules = {
  url: 'https://idp.example/introspect',
  clientId: 'gate way',
  clientSecret: 's:cret+',
  authMethod: 'client_secret_basic',
  cacheMs: 10_000,
  timeoutMs: 1000,
  audience: [],
  issuer: undefined,
}

function server(rules: Partial<IntrospectionRules> = {}) {
  const world = {
    now: NOW,
    requests: [] as ProviderRequest[],
    states: [] as boolean[],
    answer: async (): Promise<string> => JSON.stringify({ active: true, sub: 'ana', roles: 'a b' }),
    says(value: unknown) {
      world.answer = async () => JSON.stringify(value)
    },
    ask: (token = 'opaque') => introspection.ask(token, world.now),
    known: (token = 'opaque') => introspection.known(token, world.now),
  }
  const introspection: Introspection = createIntrospection(
    { ...RULES, ...rules },
    {
      now: () => world.now,
      read: createClaimsReader({ paths: PATHS, idPrefix: '', method: 'introspection' }),
      onState: ok => world.states.push(ok),
      ask(request) {
        world.requests.push(request)
        return world.answer()
      },
    },
  )
  return { ...world, world, introspection }
}

describe('introspection', () => {
  it('asks as RFC 7662 has it, and says who the token is for', async () => {
    const { world } = server()
    expect(await world.ask()).toMatchObject({
      id: 'ana',
      roles: ['a', 'b'],
      method: 'introspection',
      claims: { active: true, sub: 'ana' },
      expires_at: null,
    })
    expect(world.requests).toEqual([
      {
        url: RULES.url,
        timeoutMs: 1000,
        form: { token: 'opaque', token_type_hint: 'access_token' },
        headers: { authorization: `Basic ${Buffer.from('gate+way:s%3Acret%2B').toString('base64')}` },
      },
    ])
  })

  it('can authenticate in the form', async () => {
    const { world } = server({ authMethod: 'client_secret_post' })
    await world.ask()
    expect(world.requests[0]?.form).toMatchObject({ client_id: 'gate way', client_secret: 's:cret+' })
    expect(world.requests[0]?.headers).toBeUndefined()
  })

  it('remembers a good answer for the time that is configured, and no longer', async () => {
    const { world } = server()
    const first = await world.ask()
    world.now += 9999
    expect(world.known()).toBe(first)
    world.now += 1
    expect(world.known()).toBeUndefined()
    world.says({ active: false })
    expect(await world.ask()).toBeUndefined()
    expect(world.requests.length).toBe(2)
  })

  it('remembers a bad answer as long', async () => {
    const { world } = server()
    world.says({ active: false })
    expect(await world.ask()).toBeUndefined()
    world.says({ active: true, sub: 'ana' })
    world.now += 9999
    expect([await world.ask(), world.known()]).toEqual([undefined, undefined])
    expect(world.requests.length).toBe(1)
    world.now += 1
    expect((await world.ask())?.id).toBe('ana')
  })

  it('remembers nothing beyond the end of the token', async () => {
    const { world } = server()
    world.says({ active: true, sub: 'ana', exp: NOW / 1000 + 5 })
    expect((await world.ask())?.expires_at).toBe(new Date(NOW + 5000).toISOString())
    world.now += 5000
    expect(world.known()).toBeUndefined()
    expect(await world.ask()).toBeUndefined()
  })

  it('asks once for all who wait for the same token', async () => {
    const { world } = server()
    const answers = await Promise.all(Array.from({ length: 100 }, () => world.ask()))
    expect(new Set(answers).size).toBe(1)
    expect(world.requests.length).toBe(1)
  })

  it.each([
    ['inactive', { active: false, sub: 'ana' }],
    ['expired', { active: true, sub: 'ana', exp: NOW / 1000 }],
    ['not yet valid', { active: true, sub: 'ana', nbf: NOW / 1000 + 60 }],
    ['of nobody', { active: true }],
    ['of an id of the wrong type', { active: true, sub: 7 }],
    ['of roles of the wrong type', { active: true, sub: 'ana', roles: 7 }],
    ['with an exp of the wrong type', { active: true, sub: 'ana', exp: 'never' }],
  ])('refuses a token that is %s', async (_what, said) => {
    const { world } = server()
    world.says(said)
    expect(await world.ask()).toBeUndefined()
  })

  it.each([
    [{ aud: 'sallyport' }, true],
    [{ aud: ['x', 'sallyport'] }, true],
    [{ aud: 'x' }, false],
    [{}, false],
  ])('checks the audience where one is configured: %j', async (own, good) => {
    const { world } = server({ audience: ['sallyport'] })
    world.says({ active: true, sub: 'ana', ...own })
    expect((await world.ask()) !== undefined).toBe(good)
  })

  it.each([
    ['does not answer', () => Promise.reject(new Error('away'))],
    ['answers no JSON', async () => '<html>'],
    ['answers no object', async () => 'null'],
    ['does not say whether it is active', async () => '{"sub":"ana"}'],
    ['says so as a text', async () => '{"active":"true","sub":"ana"}'],
  ])('is unavailable, and not a refusal, when the server %s', async (_what, answer) => {
    const { world } = server()
    world.answer = answer
    await expect(world.ask()).rejects.toMatchObject({ code: 'identity_unavailable', status: 503 })
  })

  it('leaves a server alone for a moment after it failed, and keeps what it said before', async () => {
    const { world } = server()
    const good = await world.ask('before')
    world.answer = () => Promise.reject(new Error('away'))
    for (let number = 0; number < 50; number++)
      await expect(world.ask(`t${number}`)).rejects.toMatchObject({ code: 'identity_unavailable' })
    expect(world.requests.length).toBe(2)
    expect(world.known('before')).toBe(good)
    world.now += 1000
    world.says({ active: true, sub: 'ana' })
    expect((await world.ask('t0'))?.id).toBe('ana')
    expect(world.states).toEqual([false, true])
  })

  it('asks several servers, and is unavailable only when none knows the token and one is away', async () => {
    const [one, two] = [server(), server()]
    one.world.says({ active: false })
    const method = createIntrospectionMethod([one.introspection, two.introspection])
    expect((await method('a', NOW))?.id).toBe('ana')
    two.world.answer = () => Promise.reject(new Error('away'))
    await expect(method('b', NOW)).rejects.toMatchObject({ code: 'identity_unavailable' })
    one.world.says({ active: true, sub: 'eve' })
    expect((await method('c', NOW))?.id).toBe('eve')
  })

  it.each(['', 'a b', 'ä', 'a"', 'a=b', '=', 'a\tb', '{}'])(
    'sends nobody what was never issued: %j',
    token => {
      expect(createIntrospectionMethod([server().introspection])(token, NOW)).toBeUndefined()
    },
  )
})
