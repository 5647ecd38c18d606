import { describe, expect, it } from 'vitest'
import { changesBetween } from '../../src/config/changes.ts'
import { readConfig } from '../../src/config/load.ts'
import type { GatewayConfig } from '../../src/contract/config.schema.ts'

function config(members: object = {}): GatewayConfig {
  const text = JSON.stringify({
    pools: { chat: { models: ['tiny'], targets: [{ url: 'http://a' }] } },
    ...members,
  })
  const read = readConfig(text, 'c.json', '/', { env: {}, readFile: () => '' })
  expect(read.findings).toEqual([])
  return read.config as GatewayConfig
}

describe('changesBetween', () => {
  it('finds nothing between two readings of one file', () => {
    expect(changesBetween(config(), config())).toEqual({ live: [], restart: [] })
  })

  it('finds nothing in a default that is now written out, or in keys that changed places', () => {
    expect(changesBetween(config(), config({ listen: { port: 8080 } }))).toEqual({ live: [], restart: [] })
    const [one, other] = [{ admin: { port: 1, host: '::1' } }, { admin: { host: '::1', port: 1 } }]
    expect(changesBetween(config(one), config(other))).toEqual({ live: [], restart: [] })
  })

  it('sees that pools changed places: of two that serve a model the first is taken', () => {
    const pool = { models: ['tiny'], targets: [{ url: 'http://a' }] }
    const [one, other] = [{ pools: { x: pool, y: pool } }, { pools: { y: pool, x: pool } }]
    expect(changesBetween(config(one), config(other)).live).toEqual(['pools'])
  })

  it('lets pools, limits and identity change at once', () => {
    const after = config({
      pools: { chat: { models: ['tiny', 'big'], targets: [{ url: 'http://a' }] } },
      limits: { body: '2MiB' },
      identity: { anonymous: { id: 'guest' } },
    })
    const { live, restart } = changesBetween(config(), after)
    expect([...live].sort()).toEqual(['identity', 'limits', 'pools'])
    expect(restart).toEqual([])
  })

  it.each([
    ['listen', { listen: { port: 9000 } }],
    ['admin', { admin: { port: 9001 } }],
    ['policy', { policy: { watch: false } }],
    ['audit', { audit: { content: 'all' } }],
  ])('says that %s needs a restart', (name, members) => {
    expect(changesBetween(config(), config(members))).toEqual({ live: [], restart: [name] })
  })

  it('says that the size of headers needs a restart: sockets were opened with it', () => {
    expect(changesBetween(config(), config({ limits: { headers: '32KiB' } })).restart).toEqual([
      'limits.headers',
    ])
  })
})
