/** An operator who goes back to an earlier revision, and looks at what a gateway is doing. */
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import {
  chat,
  newFolder,
  type RunningGateway,
  runCommand,
  startGateway,
  stopAll,
} from '../support/gateway.ts'

const edition = (number: number, allow = true): Record<string, string> => ({
  'gateway.rego': `package gateway\n\ndecision := {"allow": ${allow}, "rule": "edition_${number}"}\n`,
})
const activated = async (gateway: RunningGateway): Promise<string> =>
  String((await gateway.logged('policy_activated')).revision)
const status = async (gateway: RunningGateway) => (await gateway.status()).policy
const ask = (gateway: RunningGateway, ...args: string[]) =>
  gateway.command(...args, '--admin', gateway.adminUrl)

/** A gateway that went through three editions: the third refuses everything. */
async function afterThree(options: { config?: Record<string, object> } = {}) {
  const gateway = await startGateway({ policy: edition(1), ...options })
  const revisions = [await activated(gateway)]
  for (const files of [edition(2), edition(3, false)]) {
    gateway.writePolicy(files)
    revisions.push(await activated(gateway))
  }
  return { gateway, revisions: revisions as [string, string, string] }
}

describe('sallyport rollback', () => {
  afterEach(stopAll)

  it('puts what was before in force, says so everywhere, and keeps it until the source changes', async () => {
    const { gateway, revisions } = await afterThree()
    expect((await chat(gateway)).status).toBe(403)
    const { code, stdout } = await ask(gateway, 'rollback')
    expect([code, stdout]).toMatchObject([0, expect.stringContaining(revisions[1])])
    expect((await chat(gateway)).status).not.toBe(403)
    expect(await status(gateway)).toMatchObject({
      revision: revisions[1],
      rolled_back_from: revisions[2],
      held: [revisions[2], revisions[0]],
    })
    expect(await gateway.logged('policy_rolled_back')).toMatchObject({
      revision: revisions[1],
      from: revisions[2],
    })
    const record = await gateway.audited(({ event }) => event === 'policy.rolled_back')
    expect(record).toMatchObject({ revision: revisions[1], from: revisions[2] })
    const metrics = await (await fetch(`${gateway.adminUrl}/metrics`)).text()
    expect(metrics).toContain('sallyport_policy_reloads_total{outcome="rolled_back"} 1')
    expect(metrics).toContain(`sallyport_policy_info{revision="${revisions[1]}"} 1`)

    await fetch(`${gateway.adminUrl}/policy/reload`, { method: 'POST' })
    expect((await status(gateway)).revision).toBe(revisions[1])
    gateway.writePolicy(edition(4, false))
    await activated(gateway)
    expect((await chat(gateway)).status).toBe(403)
    expect((await status(gateway)).rolled_back_from).toBeNull()
  })

  it('goes to the revision that is named', async () => {
    const { gateway, revisions } = await afterThree()
    const { code, stdout } = await ask(gateway, 'rollback', revisions[0], '--format', 'json')
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ revision: revisions[0], from: revisions[2] })
    expect((await status(gateway)).revision).toBe(revisions[0])
  })

  it('to what is not held ends with 1 and says what is', async () => {
    const { gateway, revisions } = await afterThree()
    const { code, stdout } = await ask(gateway, 'rollback', 'elsewhere')
    expect(code).toBe(1)
    for (const revision of [revisions[0], revisions[1]]) expect(stdout).toContain(revision)
    const json = await ask(gateway, 'rollback', 'elsewhere', '--format', 'json')
    expect([json.code, JSON.parse(json.stdout)]).toMatchObject([
      1,
      { error: { code: 'unknown_revision' }, held: [revisions[1], revisions[0]] },
    ])
    expect((await status(gateway)).revision).toBe(revisions[2])
  })

  it('needs the admin token where there is one', async () => {
    const token = 'an admin token of ours'
    const { gateway, revisions } = await afterThree({ config: { admin: { port: 0, token } } })
    const run = (env: NodeJS.ProcessEnv) =>
      // Where there is no config that holds the token.
      runCommand(['rollback', '--admin', gateway.adminUrl], { cwd: newFolder(), env })
    expect((await run({ SALLYPORT_ADMIN_TOKEN: '' })).code).toBe(3)
    expect((await run({ SALLYPORT_ADMIN_TOKEN: 'a wrong admin token' })).code).toBe(3)
    expect((await run({ SALLYPORT_ADMIN_TOKEN: token })).stdout).toContain(revisions[1])
  })

  it.each(['{"revision": 1}', '{"revision"', '[1'])('asked for with %s is malformed', async body => {
    const gateway = await startGateway({ policy: edition(1) })
    const response = await fetch(`${gateway.adminUrl}/policy/rollback`, { method: 'POST', body })
    expect(response.status).toBe(400)
  })

  it('without a gateway ends with 3, and used wrongly with 2', async () => {
    const cwd = newFolder()
    const run = async (...args: string[]) => (await runCommand(['rollback', ...args], { cwd })).code
    expect(await run('--admin', 'http://127.0.0.1:1')).toBe(3)
    expect(await run('--admin', 'nonsense')).toBe(2)
    expect(await run()).toBe(2)
  })
})

describe('sallyport status', () => {
  afterEach(stopAll)

  it('is as /status with --format json', async () => {
    const { gateway } = await afterThree()
    const { code, stdout } = await ask(gateway, 'status', '--format', 'json')
    expect(code).toBe(0)
    const { policy, version } = JSON.parse(stdout)
    expect(version).toMatch(/^\d+\.\d+\.\d+/)
    expect(policy.attempts).toEqual((await status(gateway)).attempts)
  })

  it('shows people the attempts, with their steps and what was wrong', async () => {
    const { gateway, revisions } = await afterThree()
    gateway.writePolicy({ 'gateway.rego': 'package gateway\n\ndecision := {"allow" true}\n' })
    await gateway.logged('policy_refused')
    const { code, stdout } = await ask(gateway, 'status')
    expect(code).toBe(0)
    expect(stdout).toContain(`${path.join('policies', 'gateway.rego')}:3:`)
    expect(stdout).toMatch(/refused\n {2}read [\d.]+ ms, check [\d.]+ ms/)
    for (const revision of revisions) expect(stdout).toContain(`activated ${revision}`)
    expect(stdout).toContain('http://127.0.0.1:9')
  })

  it('finds the gateway by its config', async () => {
    const gateway = await startGateway({ policy: edition(1) })
    const port = Number(new URL(gateway.adminUrl).port)
    const config = {
      admin: { port },
      pools: { chat: { models: ['tiny'], targets: [{ url: 'http://127.0.0.1:9' }] } },
    }
    writeFileSync(path.join(gateway.folder, 'other.json'), JSON.stringify(config))
    expect((await gateway.command('status', '--config', 'other.json')).code).toBe(0)
  })
})
