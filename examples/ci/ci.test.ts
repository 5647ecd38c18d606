import { execFile } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  CLI,
  chat,
  REFERENCE_POLICIES,
  type RunningGateway,
  startGateway,
  stopAll,
} from '../../test/support/gateway.ts'
import { startTinySlm, type TinySlm } from '../tiny-slm/server.ts'

const SCRIPT = path.join(import.meta.dirname, 'policy-ci.sh')

/** The script, in the folder of a gateway whose traffic was recorded. */
describe('policies in CI', () => {
  let model: TinySlm
  let gateway: RunningGateway

  beforeAll(async () => {
    model = await startTinySlm({ models: ['tiny', 'tiny-large'] })
    gateway = await startGateway({
      policy: REFERENCE_POLICIES,
      config: {
        pools: {
          chat: { models: ['tiny'], targets: [{ url: model.url }] },
          large: { models: ['tiny-large'], targets: [{ url: model.url }] },
        },
      },
      keys: [
        { principal: 'dev', roles: ['developer'], team: 'search' },
        { principal: 'gil', roles: ['guest'] },
      ],
    })
    for (const key of [gateway.keys.dev, gateway.keys.dev, gateway.keys.gil])
      await (await chat(gateway, { key })).arrayBuffer()
    await gateway.stop()
    // The repository of the policies: what CI sees.
    cpSync(REFERENCE_POLICIES, path.join(gateway.folder, 'policies'), { recursive: true })
    const file = path.join(gateway.folder, 'gateway.config.json')
    const config = JSON.parse(readFileSync(file, 'utf8'))
    writeFileSync(file, JSON.stringify({ ...config, policy: { path: 'policies' } }))
  })
  afterAll(async () => {
    await stopAll()
    await model.close()
  })

  const run = (env: Record<string, string> = {}): Promise<{ code: number; output: string }> =>
    new Promise(resolve => {
      const options = {
        cwd: gateway.folder,
        env: { ...process.env, SALLYPORT: `${process.execPath} ${CLI}`, ...env },
      }
      execFile('bash', [SCRIPT], options, (error, stdout, stderr) => {
        resolve({ code: error ? Number(error.code) : 0, output: stdout + stderr })
      })
    })

  it('checks, tests, builds, signs and replays what was recorded', async () => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    writeFileSync(path.join(gateway.folder, 'key.pem'), privateKey.export({ type: 'pkcs8', format: 'pem' }))
    const { code, output } = await run({ COVERAGE: '100', SIGNING_KEY: 'key.pem', RECORDED: 'audit.jsonl' })
    expect([code, output]).toEqual([0, expect.stringContaining('replay: recorded traffic')])
  })

  it('fails on a change that flips recorded decisions, even one whose tests were taken away, unless as many are allowed', async () => {
    const folder = path.join(gateway.folder, 'policies')
    for (const name of readdirSync(path.join(folder, 'gateway'))) {
      if (name.endsWith('_test.rego')) rmSync(path.join(folder, 'gateway', name))
    }
    rmSync(path.join(folder, 'scenarios'), { recursive: true })
    const tables = path.join(folder, 'gateway/tables/data.yaml')
    const before = readFileSync(tables, 'utf8')
    writeFileSync(
      tables,
      before.replace('    models: [tiny]\n    tier: interactive', '    models: []\n    tier: interactive'),
    )
    const refused = await run({ COVERAGE: '0', RECORDED: 'audit.jsonl' })
    expect([refused.code, refused.output]).toEqual([1, expect.stringContaining('dev')])
    const allowed = await run({ COVERAGE: '0', RECORDED: 'audit.jsonl', MAX_FLIPS: '2' })
    expect([allowed.code, allowed.output]).toEqual([0, expect.stringContaining('dev')])
  })
})
