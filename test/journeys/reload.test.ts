import { mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { startTinySlm, type TinySlm } from '../../examples/tiny-slm/server.ts'
import {
  chat,
  errorOf,
  newFolder,
  type RunningGateway,
  startGateway,
  stopAll,
  writeFiles,
} from '../support/gateway.ts'

/** A policy that says which edition it is. */
const edition = (number: number, allow = true): Record<string, string> => ({
  'gateway.rego': `package gateway\n\ndecision := {"allow": ${allow}, "rule": "edition_${number}"}\n`,
})

const activated = (gateway: RunningGateway): Promise<unknown> => gateway.logged('policy_activated')

describe('a policy that changes while it serves', () => {
  let model: TinySlm
  beforeEach(async () => {
    model = await startTinySlm()
  })
  afterEach(async () => {
    await stopAll()
    await model.close()
  })

  it('decides each of 1,000 requests by exactly one revision through 30 edits, and fails none', async () => {
    const gateway = await startGateway({ policy: edition(0), targets: [model.url] })
    await activated(gateway)
    const statuses: number[] = []
    const asking = Array.from({ length: 8 }, async () => {
      while (statuses.length < 1000 || editing) {
        const response = await chat(gateway, { body: { max_tokens: 1 } })
        await response.arrayBuffer()
        statuses.push(response.status)
      }
    })
    let editing = true
    for (let number = 1; number <= 30; number++) {
      gateway.writePolicy(edition(number))
      await activated(gateway)
    }
    editing = false
    await Promise.all(asking)

    expect(new Set(statuses)).toEqual(new Set([200]))
    const records = gateway.audit()
    const revisionOf = new Map<string, string>()
    for (const { bundles, result, event } of records) {
      if (event !== 'decision') continue
      // A revision that answered with two editions would have mixed two worlds.
      const known = revisionOf.get(bundles.gateway.revision)
      expect(known ?? result.rule).toBe(result.rule)
      revisionOf.set(bundles.gateway.revision, result.rule)
    }
    expect(revisionOf.size).toBeGreaterThan(20)
    expect(records.filter(record => record.event === 'policy.activated')).toHaveLength(31)
    expect((await gateway.command('audit', 'verify')).code).toBe(0)
  }, 120_000)

  it('takes a right away with the next request', async () => {
    const gateway = await startGateway({ policy: edition(1), targets: [model.url] })
    await activated(gateway)
    expect((await chat(gateway)).status).toBe(200)
    gateway.writePolicy(edition(2, false))
    await activated(gateway)
    const refused = await chat(gateway)
    expect([refused.status, (await errorOf(refused)).code]).toEqual([403, 'forbidden'])
  })

  it('lets a stream that began under the old policy end under it', async () => {
    const slow = await startTinySlm({ tokensPerSecond: 20 })
    const gateway = await startGateway({ policy: edition(1), targets: [slow.url] })
    await activated(gateway)
    const response = await chat(gateway, { body: { stream: true, max_tokens: 20, ignore_eos: true } })
    gateway.writePolicy(edition(2, false))
    await activated(gateway)
    expect(await response.text()).toContain('[DONE]')
    await slow.close()
  })

  it('does not reload for each of several files written one after the other', async () => {
    const gateway = await startGateway({ policy: edition(1), targets: [model.url] })
    await activated(gateway)
    for (let number = 0; number < 20; number++) {
      gateway.writePolicy({
        [`more/file${number}.rego`]: `package more.file${number}\n\nvalue := ${number}\n`,
      })
    }
    await activated(gateway)
    gateway.writePolicy(edition(2))
    await activated(gateway)
    // Three, unless the machine stood still between two files for longer than a quiet spell.
    expect((await gateway.status()).policy.attempts.length).toBeLessThan(10)
  })

  it('notices a file that an editor replaced by a rename', async () => {
    const gateway = await startGateway({ policy: edition(1), targets: [model.url] })
    await activated(gateway)
    const file = path.join(gateway.folder, 'policies', 'gateway.rego')
    writeFileSync(`${file}~`, edition(2, false)['gateway.rego'] as string)
    renameSync(`${file}~`, file)
    await activated(gateway)
    expect((await chat(gateway)).status).toBe(403)
  })

  it('follows the symlink that Kubernetes switches, with one reload', async () => {
    const mount = path.join(newFolder(), 'mounted')
    writeFiles(path.join(mount, '..first'), edition(1))
    symlinkSync('..first', path.join(mount, '..data'))
    symlinkSync('..data/gateway.rego', path.join(mount, 'gateway.rego'))
    const gateway = await startGateway({ policy: mount, targets: [model.url] })
    await activated(gateway)
    mkdirSync(path.join(mount, '..second'))
    writeFiles(path.join(mount, '..second'), edition(2, false))
    symlinkSync('..second', path.join(mount, '..data_tmp'))
    renameSync(path.join(mount, '..data_tmp'), path.join(mount, '..data'))
    await activated(gateway)
    expect((await chat(gateway)).status).toBe(403)
    expect((await gateway.status()).policy.attempts).toHaveLength(2)
  })

  it('keeps counting a limit through a reload, and compares it with the new number at once', async () => {
    const limited = (limit: number): Record<string, string> => ({
      'gateway.rego': `package gateway\n\ndecision := {"allow": true, "limits": [{"name": "r", "key": input.principal.id, "unit": "requests", "limit": ${limit}, "window": "1h"}]}\n`,
    })
    const gateway = await startGateway({ policy: limited(2), targets: [model.url] })
    await activated(gateway)
    const statuses = async (count: number): Promise<number[]> => {
      const seen: number[] = []
      for (let request = 0; request < count; request++) seen.push((await chat(gateway)).status)
      return seen
    }
    expect(await statuses(3)).toEqual([200, 200, 429])
    gateway.writePolicy(limited(3))
    await activated(gateway)
    expect(await statuses(2)).toEqual([200, 429])
    gateway.writePolicy(limited(1))
    await activated(gateway)
    expect(await statuses(1)).toEqual([429])
  })
})
