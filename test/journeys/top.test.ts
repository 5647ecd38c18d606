/** `top` and `status`: for those without a browser. A terminal is a real one, of `script`. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { type BusyGateway, startBusyGateway } from '../support/busy-gateway.ts'
import { CLI, newFolder, stopAll } from '../support/gateway.ts'

let busy: BusyGateway
beforeAll(async () => {
  busy = await startBusyGateway(newFolder())
  await busy.traffic(3)
})
afterAll(async () => {
  await busy.close()
  await stopAll()
})

const admin = (): string[] => ['--admin', busy.gateway.adminUrl]

describe('top', () => {
  it('prints once where there is no terminal', async () => {
    const { code, stdout } = await busy.gateway.command('top', ...admin())
    expect(code).toBe(0)
    for (const part of ['REQUESTS/S', 'chat', 'healthy', 'requests_per_hour', 'would flip', 'audit ok'])
      expect(stdout).toContain(part)
    expect(stdout).not.toContain('\u001b')
  })

  it('gives all that it shows as JSON', async () => {
    const { stdout } = await busy.gateway.command('top', '--format', 'json', ...admin())
    expect(JSON.parse(stdout)).toMatchObject({
      status: { policy: { candidate: { flips: 3 } } },
      last: { window_seconds: 10 },
      limits: expect.arrayContaining([expect.objectContaining({ name: 'requests_per_hour', key: 'ci-bot' })]),
    })
  })

  it('draws in place on a terminal, again and again, and leaves it as it was', async () => {
    const line = `${process.execPath} ${CLI} top --interval 100ms --admin ${busy.gateway.adminUrl}`
    const terminal = spawn('script', ['-qfec', line, '/dev/null'], { cwd: busy.gateway.folder })
    let seen = ''
    terminal.stdout.on('data', part => {
      seen += part
    })
    await vi.waitFor(() => expect(seen.split('\u001b[H').length).toBeGreaterThan(3), { timeout: 15_000 })
    terminal.stdin.write('\u0003')
    await once(terminal, 'close')
    expect(seen).toContain('\u001b[?1049h')
    expect(seen.trimEnd().endsWith('\u001b[?25h\u001b[?1049l')).toBe(true)
  })

  it('says which gateway does not answer', async () => {
    const { code, stderr } = await busy.gateway.command('top', '--admin', 'http://127.0.0.1:9')
    expect([code, stderr]).toEqual([3, expect.stringContaining('127.0.0.1:9')])
  })
})

describe('status', () => {
  it('tells the policy, its history, pools, store and audit', async () => {
    const { code, stdout } = await busy.gateway.command('status', ...admin())
    expect(code).toBe(0)
    for (const part of [
      'policy',
      'candidate',
      'refused',
      'quota.rego:',
      'POOL',
      'store',
      'memory, ok',
      'audit',
    ])
      expect(stdout).toContain(part)
  })
})
