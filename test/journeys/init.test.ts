/** Somebody tries the gateway: an empty folder, `init`, and what it says to do next. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { newFolder, runCommand, startGateway, stopAll } from '../support/gateway.ts'

afterEach(stopAll)

const TABLES = 'policies/gateway/tables/data.yaml'

async function initialised(): Promise<{ folder: string; stdout: string }> {
  const folder = newFolder()
  const { code, stdout } = await runCommand(['init'], { cwd: folder })
  expect(code).toBe(0)
  return { folder, stdout }
}

describe('init', () => {
  it('says what to do next, and each step works', async () => {
    const { folder, stdout } = await initialised()
    const [, next = ''] = stdout.split('Next:\n')
    const steps = next
      .trim()
      .split('\n')
      .map(line =>
        line
          .trim()
          .replace(/^npx sallyport /, '')
          .split(' '),
      )
    expect(steps.map(([command]) => command)).toEqual(['check', 'test', 'keys', 'serve'])
    for (const step of steps.slice(0, -1))
      expect(await runCommand(step, { cwd: folder })).toMatchObject({ code: 0 })
    const gateway = await startGateway({
      folder,
      configFile: 'gateway.config.json',
      env: { SALLYPORT_PORT: '0', SALLYPORT_ADMIN_PORT: '0' },
    })
    expect((await gateway.status()).policy.attempts).toMatchObject([{ outcome: 'activated' }])
  })

  it('names every file that it wrote, and schemas where the package has them', async () => {
    const { folder, stdout } = await initialised()
    const written = [...stdout.matchAll(/^wrote (.*)$/gm)].map(([, name]) => name as string)
    expect(written).toContain(TABLES)
    expect(written).toContain('policies/gateway/tables/data.schema.json')
    expect(written).toContain('.github/workflows/policies.yml')
    expect(written.filter(name => !existsSync(path.join(folder, name)))).toEqual([])
    const scenario = readFileSync(path.join(folder, 'policies/scenarios/models.scenario.yaml'), 'utf8')
    expect(scenario).toContain('$schema=../../node_modules/sallyport/schemas/scenario.schema.json')
  })

  it('overwrites nothing', async () => {
    const { folder } = await initialised()
    const { code, stderr } = await runCommand(['init'], { cwd: folder })
    expect(code).toBe(1)
    expect(stderr).toContain('gateway.config.json')
  })
})

describe('a key that is misspelt in the tables of the reference policy', () => {
  it.each([
    [
      'of a role',
      'requestable_by: [developer]',
      'requestable_bye: [developer]',
      'models.tiny-large.requestable_bye',
    ],
    ['of lending', 'pending_for: 4h', 'pendng_for: 4h', 'access.day.pendng_for'],
    ['of a tier', 'tier: machine', 'teir: machine', 'roles.ci.teir'],
  ])('is found by check, with its line: %s', async (_what, right, wrong, where) => {
    const { folder } = await initialised()
    const file = path.join(folder, TABLES)
    const text = readFileSync(file, 'utf8').replace(right, wrong)
    writeFileSync(file, text)
    const { code, stdout } = await runCommand(['check', '--format', 'json'], { cwd: folder })
    expect(code).toBe(1)
    expect(JSON.parse(stdout).findings).toContainEqual(
      expect.objectContaining({
        code: 'data_unknown_key',
        message: `${where}: unknown key`,
        file: TABLES,
        line: text.split('\n').findIndex(line => line.includes(wrong.split(':')[0] as string)) + 1,
      }),
    )
  })
})
