import { describe, expect, it } from 'vitest'
import { workerLog } from '../../src/audit/worker-logs.ts'
import { loadConfig } from '../../src/config/load.ts'
import type { GatewayConfig } from '../../src/contract/config.schema.ts'
import { ownConfig } from '../../src/workers/own-config.ts'
import { temporaryFolder } from '../support/folder.ts'
import { writeFiles } from '../support/gateway.ts'

function configOf(members: object): GatewayConfig {
  const folder = temporaryFolder()
  const pools = { chat: { models: ['tiny'], targets: [{ url: 'http://a', slots: 3 }], queue: { max: 5 } } }
  writeFiles(folder, { 'c.json': JSON.stringify({ policy: { path: 'policies' }, pools, ...members }) })
  const { config, findings } = loadConfig(`${folder}/c.json`)
  if (!config) throw new Error(JSON.stringify(findings))
  return config
}

describe('the config of a worker', () => {
  const http = { type: 'http', url: 'https://logs.example' }
  const load = (): GatewayConfig =>
    configOf({
      audit: {
        sinks: [{ type: 'file', path: 'a.jsonl' }, http, { ...http, name: 'kept', buffer: { path: 'b' } }],
      },
      limits: { connections: 9, connectionsPerAddress: 1 },
    })

  it('has logs of its own', () => {
    const config = load()
    const [file, upload, kept] = ownConfig(config, 2, 4, workerLog).audit.sinks
    expect(file).toMatchObject({ path: expect.stringMatching(/a\.worker-2\.jsonl$/) })
    expect(upload).toEqual(config.audit.sinks[1])
    expect(kept).toMatchObject({ buffer: { path: expect.stringMatching(/b.worker-2$/) } })
  })

  it('has its part of what each counts alone, and all of what is counted together', () => {
    const config = load()
    const own = ownConfig(config, 1, 2, workerLog)
    expect(own.limits).toMatchObject({ connections: 5, connectionsPerAddress: 1 })
    expect(own.pools.chat?.queue.max).toBe(3)
    expect(own.pools.chat?.targets).toEqual(config.pools.chat?.targets)
    expect(own.limits.unauthenticated).toEqual(config.limits.unauthenticated)
    expect(own.policy).toEqual(config.policy)
  })
})
