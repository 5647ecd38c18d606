import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startTinySlm, type TinySlm } from '../../examples/tiny-slm/server.ts'
import { ACCESS_POLICY, call, PEOPLE } from '../support/access.ts'
import {
  type CommandResult,
  chat,
  type RunningGateway,
  runCommand,
  startGateway,
  stopAll,
} from '../support/gateway.ts'

describe('sallyport access', () => {
  let model: TinySlm
  let gateway: RunningGateway
  beforeAll(async () => {
    model = await startTinySlm()
    gateway = await startGateway({ policy: ACCESS_POLICY, targets: [model.url], keys: PEOPLE })
  })
  afterAll(async () => {
    await stopAll()
    await model.close()
  })

  const run = (who: string, ...args: string[]): Promise<CommandResult> =>
    runCommand([...args, '--url', gateway.url], {
      cwd: gateway.folder,
      env: { SALLYPORT_KEY: gateway.keys[who] ?? who },
    })
  const request = (who: string, ...more: string[]): Promise<CommandResult> =>
    run(who, 'access', 'request', '--models', 'tiny', '--duration', '1h', '--reason', 'incident', ...more)
  const json = ({ stdout }: CommandResult) => JSON.parse(stdout)
  const pendingOf = async (who: string): Promise<string> => {
    let id: string | undefined
    await expect
      .poll(
        async () => {
          const { requests } = (await call(gateway, who, 'GET /-/access/requests')).body
          id = requests.find(({ state }: { state: string }) => state === 'pending')?.id
          return id
        },
        { timeout: 20_000 },
      )
      .toMatch(/^r_/)
    return id as string
  }

  it('waits for the decision, and prints the command that uses it', async () => {
    const waiting = request('dev', '--ticket', 'OPS-1', '--wait')
    const id = await pendingOf('lea')
    const approved = await run('lea', 'access', 'approve', id, '--comment', 'go')
    expect([approved.code, approved.stdout]).toEqual([0, `${id} is approved\n`])
    const { code, stdout } = await waiting
    expect(code).toBe(0)
    expect(stdout).toMatch(new RegExp(`${id} was approved by lea: g_\\w+, from .* until`))
    expect(stdout).toContain(`curl ${gateway.url}/v1/chat/completions`)
    expect((await chat(gateway)).status).toBe(200)

    const { grants } = json(await run('dev', 'access', 'list', '--format', 'json'))
    const [grant] = grants
    expect((await run('dev', 'whoami')).stdout).toContain(grant.id)
    expect(json(await run('dev', 'whoami', '--format', 'json'))).toMatchObject({
      principal: { id: 'dev' },
      grants: [{ id: grant.id }],
    })
    expect((await run('lea', 'access', 'list', '--all')).stdout).toMatch(
      new RegExp(`${grant.id} +active +dev`),
    )
    expect((await run('lea', 'access', 'revoke', grant.id)).stdout).toBe(`${grant.id} is revoked\n`)
    expect((await run('dev', 'access', 'return', grant.id)).code).toBe(1)
  })

  it('ends with 1 when it was denied or refused, and with 3 without a good key', async () => {
    const waiting = request('dev', '--wait')
    const id = await pendingOf('lea')
    await run('lea', 'access', 'deny', id, '--comment', 'not today')
    expect(await waiting).toMatchObject({
      code: 1,
      stdout: expect.stringContaining('denied by lea: not today'),
    })
    expect(await request('guest')).toMatchObject({ code: 1, stdout: 'Not for you.\n' })
    expect((await request('nobody')).code).toBe(3)
    expect((await run('dev', 'access', 'request', '--models', 'tiny')).code).toBe(2)
  })

  it('shows a credential once, and how to use it', async () => {
    const { stdout } = await request('ona', '--token', '--ticket', 'OPS-2')
    const [, token] = /export SALLYPORT_KEY=(\S+)/.exec(stdout) as RegExpExecArray
    expect((await chat(gateway, { key: token })).status).toBe(200)
    expect((await request('ona', '--token', '--ticket', 'OPS-2')).stdout).not.toContain('SALLYPORT_KEY=')
  })

  it('reports who had what, on whose word, and what was never used', async () => {
    const never = json(await request('ona', '--ticket', 'OPS-3', '--format', 'json'))
    const report = json(
      await runCommand(['access', 'report', '--since', '90d', '--format', 'json'], { cwd: gateway.folder }),
    )
    expect(report.never_used).toEqual([never.grant.id])
    expect(report.grants).toMatchObject([
      {
        principal: 'dev',
        models: ['tiny'],
        ticket: 'OPS-1',
        approved_by: 'lea',
        requests: 1,
        tokens: expect.any(Number),
        ended: { how: 'revoked', by: 'lea' },
      },
      { principal: 'ona', ticket: 'OPS-2', approved_by: 'policy', requests: 1, ended: null },
      { principal: 'ona', ticket: 'OPS-3', requests: 0, last_used_at: null },
    ])
    expect(report.grants[0].tokens).toBeGreaterThan(0)
    expect(report.not_granted).toMatchObject([
      { principal: 'dev', outcome: 'denied', by: 'lea' },
      { principal: 'guest', outcome: 'denied', by: 'policy' },
    ])
    const { stdout } = await runCommand(['access', 'report'], { cwd: gateway.folder })
    expect(stdout).toMatch(/3 grants, 1 of them never used/)
    const none = await runCommand(['access', 'report', '--since', '1ms', '--format', 'json'], {
      cwd: gateway.folder,
    })
    expect(json(none).grants.map(({ ticket }: { ticket: string }) => ticket)).toEqual(['OPS-2', 'OPS-3'])
  })

  it('lets an operator see and decide, and counts what is in force', async () => {
    const operator = async (method: string, path: string, body?: object) => {
      const response = await fetch(gateway.adminUrl + path, {
        method,
        ...(body ? { body: JSON.stringify(body) } : {}),
      })
      // biome-ignore lint/suspicious/noExplicitAny: a test looks wherever it wants to
      return { status: response.status, body: (await response.json()) as any }
    }
    const { id } = json(await request('dev', '--format', 'json'))
    const before = (await gateway.status()).access
    expect(before).toEqual({ active: 2, pending: 1 })
    expect((await operator('GET', '/access/requests')).body.requests[0]).toMatchObject({
      id,
      state: 'pending',
    })
    const approved = await operator('POST', `/access/requests/${id}/approve`, { comment: 'on the phone' })
    expect(approved).toMatchObject({
      status: 200,
      body: { state: 'approved', approvals: [{ id: 'operator' }] },
    })
    expect((await operator('POST', `/access/requests/${id}/deny`)).status).toBe(409)
    expect((await operator('POST', '/access/requests/r_no/deny')).status).toBe(404)
    expect((await operator('POST', `/access/requests/${id}/deny`, { why: 'x' })).status).toBe(400)
    expect(await (await fetch(`${gateway.adminUrl}/metrics`)).text()).toMatch(/^sallyport_grants_active 3$/m)
    const { grant } = approved.body
    expect(await operator('DELETE', `/access/grants/${grant.id}`)).toMatchObject({
      body: { state: 'revoked' },
    })
    expect((await operator('GET', '/access/grants')).body.grants[0]).toMatchObject({ id: grant.id })
    expect(gateway.audit().map(({ event }) => event)).toEqual(
      expect.arrayContaining(['admin.access_approved', 'admin.access_revoked']),
    )
  })
})
