import { spawn } from 'node:child_process'
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { startTinySlm, type TinySlm } from '../../examples/tiny-slm/server.ts'
import {
  CLI,
  chat,
  newFolder,
  OPEN_POLICY,
  prepare,
  runCommand,
  startGateway,
  stopAll,
} from '../support/gateway.ts'

let model: TinySlm
beforeAll(async () => {
  model = await startTinySlm({})
})
afterEach(stopAll)
afterAll(() => model.close())

describe("the operator's log", () => {
  it('has a line for each start, reload and stop, and none for a request', async () => {
    const gateway = await startGateway({ targets: [model.url] })
    await (await chat(gateway)).arrayBuffer()
    await chat(gateway, { key: 'slp_nobody' })
    gateway.writePolicy({ 'gateway.rego': OPEN_POLICY['gateway.rego'].replace('open', 'opened') })
    await gateway.logged('policy_activated')
    await gateway.logged('policy_activated')
    await gateway.stop()
    const lines = gateway.log()
    expect(lines.map(line => line.event)).toEqual([
      'keys_loaded',
      'policy_activated',
      'listening',
      'policy_activated',
      'stopping',
      'stopped',
    ])
    for (const line of lines) {
      expect(line.level).toBe('info')
      expect(Number.isNaN(Date.parse(String(line.time)))).toBe(false)
    }
  })

  it('has one for each request at level debug, without what a caller sent', async () => {
    const gateway = await startGateway({ targets: [model.url], env: { SALLYPORT_LOG_LEVEL: 'debug' } })
    const response = await chat(gateway, { body: { model: 'a-name-of-theirs' } })
    await response.arrayBuffer()
    const line = await gateway.logged('request')
    expect(line).toMatchObject({
      level: 'debug',
      decision_id: response.headers.get('x-decision-id'),
      code: 'model_not_found',
    })
    expect(JSON.stringify(gateway.log())).not.toContain('a-name-of-theirs')
  })

  it('refuses a level that is none', async () => {
    const folder = newFolder()
    prepare(folder, {})
    expect(await runCommand(['serve'], { cwd: folder, env: { SALLYPORT_LOG_LEVEL: 'loud' } })).toMatchObject({
      code: 2,
    })
  })

  it('is for eyes on a terminal', async () => {
    const folder = newFolder()
    prepare(folder, { targets: [model.url] })
    // A real terminal, as `script` makes one.
    const child = spawn('script', ['-qec', `"${process.execPath}" "${CLI}" serve`, '/dev/null'], {
      cwd: folder,
    })
    onTestFinished(() => void child.kill('SIGKILL'))
    let shown = ''
    child.stdout.on('data', chunk => {
      shown += chunk
    })
    await expect.poll(() => shown, { timeout: 15_000 }).toMatch(/^\d\d:\d\d:\d\d +listening url=http/m)
    expect(shown).not.toContain('{"level"')
    // What a terminal does at Ctrl-C.
    child.stdin.write('\u0003')
    await expect.poll(() => shown).toMatch(/ stopped/)
  })
})
