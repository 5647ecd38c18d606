/**
 * The monitoring example, whole: a real Prometheus scrapes a real gateway under load, and every query of the
 * dashboard and of the alerts finds something.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { parse } from 'yaml'
import { chat, newFolder, type RunningGateway, startGateway, stopAll } from '../../test/support/gateway.ts'
import { installed } from '../../test/support/installed.ts'
import { freePort } from '../../test/support/port.ts'
import { startTinySlm, type TinySlm } from '../tiny-slm/server.ts'

const HERE = import.meta.dirname
const prometheus = installed('prometheus', 'prometheus')
const promtool = installed('promtool', 'prometheus')

const POLICY = {
  'gateway.rego': `package gateway

default decision := {"allow": false, "rule": "nobody"}

decision := {"allow": true, "rule": "devs", "limits": [
	{"name": "per_hour", "key": input.principal.id, "unit": "requests", "limit": 12, "window": "1h"},
	{"name": "tokens_per_day", "key": input.principal.id, "unit": "tokens", "limit": 100000, "window": "calendar_day"},
]} if startswith(input.principal.id, "dev")
`,
}

interface Panel {
  readonly title: string
  readonly targets?: readonly { readonly expr: string }[]
}

const dashboard = JSON.parse(readFileSync(path.join(HERE, 'dashboard.json'), 'utf8')) as {
  panels: Panel[]
  annotations: { list: { expr: string }[] }
}
const alerts = (
  parse(readFileSync(path.join(HERE, 'alerts.yml'), 'utf8')) as {
    groups: { rules: { alert: string; expr: string }[] }[]
  }
).groups.flatMap(({ rules }) => rules)

function promtoolRun(args: readonly string[], stdin = ''): Promise<{ code: number; output: string }> {
  return new Promise(resolve => {
    const child = execFile(promtool as string, args, { cwd: HERE }, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code ?? -1) : 0, output: stdout + stderr }),
    )
    child.stdin?.end(stdin)
  })
}

describe.runIf(prometheus && promtool)('the monitoring example', () => {
  let model: TinySlm
  let gateway: RunningGateway
  let server: ChildProcess
  let url: string

  beforeAll(async () => {
    model = await startTinySlm({ name: 'one' })
    gateway = await startGateway({
      policy: POLICY,
      keys: ['dev-one', 'dev-two', 'eve'].map(principal => ({ principal })),
      targets: [model.url, 'http://127.0.0.1:9'],
      config: { policy: { candidate: { path: 'policies' } } },
    })
    await gateway.logged('policy_activated')
    const folder = newFolder()
    cpSync(path.join(HERE, 'alerts.yml'), path.join(folder, 'alerts.yml'))
    const config = readFileSync(path.join(HERE, 'prometheus.yml'), 'utf8')
    writeFileSync(
      path.join(folder, 'prometheus.yml'),
      config.replaceAll('10s', '1s').replace('127.0.0.1:8081', new URL(gateway.adminUrl).host),
    )
    const port = await freePort()
    url = `http://127.0.0.1:${port}`
    server = spawn(
      prometheus as string,
      ['--config.file=prometheus.yml', '--storage.tsdb.path=data', `--web.listen-address=127.0.0.1:${port}`],
      { cwd: folder, stdio: 'ignore' },
    )
    await vi.waitFor(async () => expect((await query('up{job="sallyport"}')).length).toBe(1), {
      timeout: 30_000,
    })
    await load()
    await load()
  }, 120_000)
  afterAll(async () => {
    server?.kill('SIGKILL')
    await stopAll()
    await model?.close()
  })

  /** All that a dashboard has a panel for: answers, streams, refusals of all kinds, a reload that fails. */
  async function load(): Promise<void> {
    const ask = async (key: string | undefined, body: object = {}): Promise<void> =>
      void (await (await chat(gateway, { key: key ?? 'none', body })).arrayBuffer())
    for (let round = 0; round < 8; round++) {
      await ask(gateway.keys['dev-one'])
      await ask(gateway.keys['dev-two'], { stream: true })
      await ask(gateway.keys.eve)
      await ask(undefined)
      await ask(gateway.keys['dev-one'], { model: `hostile-${round}` })
    }
    model.setFault('500')
    await ask(gateway.keys['dev-two'])
    model.setFault(null)
    gateway.writePolicy({ 'broken.rego': 'package gateway\n\nbroken if' })
    await gateway.logged('policy_refused')
    gateway.writePolicy({ 'broken.rego': `package gateway\n\n# mended ${Date.now()}\n` })
    await gateway.logged('policy_activated')
  }

  async function query(expression: string): Promise<readonly unknown[]> {
    const response = await fetch(`${url}/api/v1/query?query=${encodeURIComponent(expression)}`)
    const answer = (await response.json()) as { status: string; error?: string; data?: { result: unknown[] } }
    if (answer.status !== 'success') throw new Error(`${expression}: ${answer.error}`)
    return answer.data?.result ?? []
  }

  /** As Grafana would; what is scraped last may not be there yet. */
  const finds = (expression: string): Promise<void> =>
    vi.waitFor(
      async () => {
        const asked = expression.replaceAll('$__rate_interval', '1m').replaceAll('$__range', '5m')
        expect(await query(asked), asked).not.toEqual([])
      },
      { timeout: 15_000, interval: 500 },
    )

  it.each(
    dashboard.panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => [title, expr] as const)),
  )('finds data for the panel %s: %s', async (_title, expression) => {
    await finds(expression)
  })

  it('finds data for the annotations', async () => {
    for (const { expr } of dashboard.annotations.list) await finds(expr.replace('1m', '5m'))
  })

  /** What an alert watches must be there when it is well, too: without its threshold it finds something. */
  it.each(alerts.map(({ alert, expr }) => [alert, expr] as const))(
    'finds what the alert %s watches',
    async (_alert, expression) => {
      await finds(expression.replace(/\s*([<>]=?|==)\s*[\d.]+$/, '').replace(/ unless on .*/, ''))
    },
  )

  it('raises an alert for the target that is down, and not for the pool', async () => {
    await vi.waitFor(
      async () => {
        const raised = (await query('ALERTS')) as { metric: { alertname: string } }[]
        expect(raised.map(({ metric }) => metric.alertname)).toContain('SallyportTargetDown')
      },
      { timeout: 20_000 },
    )
    expect(await query('sum by (pool) (sallyport_target_up) < 1')).toEqual([])
  })

  it('is metrics and rules that promtool finds nothing wrong with', async () => {
    const text = await (await fetch(`${gateway.adminUrl}/metrics`)).text()
    expect(await promtoolRun(['check', 'metrics'], text)).toEqual({ code: 0, output: '' })
    expect((await promtoolRun(['check', 'config', 'prometheus.yml'])).code).toBe(0)
    expect(await promtoolRun(['test', 'rules', 'alerts.test.yml'])).toMatchObject({ code: 0 })
  })

  /** A caller may write what it likes into a body, a key, a path and its headers. */
  it('has no series that a caller could have named', async () => {
    const text = await (await fetch(`${gateway.adminUrl}/metrics`)).text()
    expect(text).not.toContain('hostile')
    expect(text).toContain('model="other"')
  })
})
