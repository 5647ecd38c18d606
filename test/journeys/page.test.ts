/**
 * The page, in a real Chromium: what an operator sees, by eye, by keyboard and by screen reader.
 */
import { createRequire } from 'node:module'
import type { AxeResults } from 'axe-core'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ACCESS_POLICY, ask, PEOPLE } from '../support/access.ts'
import { CHROMIUM, openPage, startBrowser } from '../support/browser.ts'
import { type BusyGateway, startBusyGateway } from '../support/busy-gateway.ts'
import { newFolder, startGateway, stopAll } from '../support/gateway.ts'
import { startWorkers, stopWithUpstreams, upstream } from '../support/workers.ts'

const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js')
const OPERATE = 'operate-0123456789'
const READ = 'read-0123456789abc'
const VIEWS = ['now', 'decisions', 'pools', 'policy', 'limits', 'access', 'audit']

describe.runIf(CHROMIUM)('the page', () => {
  let busy: BusyGateway
  let browser: Browser
  let origin: string

  beforeAll(async () => {
    busy = await startBusyGateway(newFolder())
    browser = await startBrowser()
    origin = busy.gateway.adminUrl
    await busy.traffic(3)
  })
  afterAll(async () => {
    await browser?.close()
    await busy?.close()
    await stopAll()
  })

  const live = (page: Page): Promise<void> => page.locator('.link[data-live=yes]').waitFor()

  async function open(view: string, options: Parameters<typeof openPage>[2] = {}) {
    const opened = await openPage(browser, origin, options)
    await opened.page.goto(`${origin}/ui/#/${view}`)
    await live(opened.page)
    return opened
  }

  async function lastDecision(): Promise<string> {
    const response = await fetch(`${origin}/decisions?allow=true&limit=1`)
    const { decisions } = (await response.json()) as { decisions: { decision_id: string }[] }
    return decisions[0]?.decision_id ?? ''
  }

  async function troubles(page: Page): Promise<string[]> {
    await page.evaluate(await (await import('node:fs/promises')).readFile(AXE, 'utf8'))
    const { violations } = (await page.evaluate('axe.run()')) as AxeResults
    return violations
      .filter(({ impact }) => impact === 'serious' || impact === 'critical')
      .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`)
  }

  const looks = [360, 1280].flatMap(width =>
    (['light', 'dark'] as const).map(scheme => [width, scheme] as const),
  )

  it.each(looks)('is accessible, whole and quiet in each view at %i px, %s', async (width, colorScheme) => {
    const { page, complaints } = await open('now', { viewport: { width, height: 800 }, colorScheme })
    for (const view of [...VIEWS, `decisions/${await lastDecision()}`]) {
      await page.goto(`${origin}/ui/#/${view}`)
      await page.locator('main h1').first().waitFor({ state: 'attached' })
      await page.locator('main :is(td, .tag, .empty)').first().waitFor()
      expect([view, await troubles(page)]).toEqual([view, []])
      const wide = await page.evaluate('document.documentElement.scrollWidth - innerWidth')
      expect([view, wide]).toEqual([view, 0])
    }
    // What a gateway does not offer is asked for once, and is a 404 to the browser.
    expect(complaints.filter(text => !text.includes('404'))).toEqual([])
    await page.context().close()
  })

  it('shows what comes as it comes', async () => {
    const { page } = await open('now')
    await busy.traffic(1)
    await expect.poll(() => page.locator('.tiles dd').first().innerText()).toMatch(/[1-9]/)
    await expect.poll(() => page.locator('polygon.s1').first().getAttribute('points')).toMatch(/,(?!100\b)\d/)
    expect(await page.locator('svg[role=img]').first().getAttribute('aria-label')).toMatch(
      /^Requests per second/,
    )
    expect(await page.locator('main').innerText()).toContain('developers_chat')
    await page.context().close()
  })

  it('filters decisions, and explains the one that is chosen, all by keyboard', async () => {
    const { page } = await open('now')
    await page.keyboard.press('2')
    await page.locator('table a').first().waitFor()
    await page.keyboard.press('/')
    await page.keyboard.type('intern')
    await page.keyboard.press('Enter')
    await expect.poll(() => page.url()).toContain('principal=intern')
    await expect
      .poll(async () => new Set(await page.locator('tbody td:nth-child(3)').allInnerTexts()))
      .toEqual(new Set(['intern']))
    await page.locator('tbody a').first().focus()
    await page.keyboard.press('Enter')
    await page.locator('h2', { hasText: 'intern may not ask tiny' }).waitFor()
    const text = await page.locator('main').innerText()
    for (const part of ['no_role', 'no role of the principal names the model', 'forbidden', 'Deciding'])
      expect(text).toContain(part)
    await page.context().close()
  })

  it('tells of a policy that was refused with file, line and column, and of what a candidate would do', async () => {
    const { page } = await open('policy')
    await expect.poll(() => page.locator('.finding').first().innerText()).toMatch(/quota\.rego:\d+:\d+/)
    const text = await page.locator('main').innerText()
    expect(text).toContain('refuse: forbidden')
    await page.context().close()
  })

  it('rolls back for who confirms it, and says so in the audit log', async () => {
    const { page } = await open('policy')
    const { revision, held } = (await busy.gateway.status()).policy
    const button = page.getByRole('button', { name: /^Roll back/ }).first()
    await button.click()
    await page.getByRole('button', { name: 'No', exact: true }).click()
    expect((await busy.gateway.status()).policy.revision).toBe(revision)
    await button.click()
    await page.getByRole('button', { name: 'Yes' }).click()
    await expect.poll(async () => (await busy.gateway.status()).policy.revision).toBe(held[0])
    expect(busy.gateway.audit().find(({ event }) => event === 'admin.rollback')).toMatchObject({
      revision: held[0],
      by: { name: 'local' },
    })
    await page.context().close()
  })

  it('runs nothing that is not its own, and cannot be framed', async () => {
    const response = await fetch(`${origin}/ui/`)
    const policy = response.headers.get('content-security-policy') ?? ''
    expect(policy).not.toContain('unsafe')
    expect(policy).toContain("frame-ancestors 'none'")
    const { page, complaints } = await open('now')
    await page.evaluate(
      "document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.broken = 1\"><script>window.broken = 1</scr' + 'ipt>')",
    )
    await expect.poll(() => complaints.some(text => text.includes('Content Security Policy'))).toBe(true)
    expect(await page.evaluate('window.broken')).toBeUndefined()
    await page.context().close()
  })

  it('serves its own files and nothing above them', async () => {
    for (const path of [
      '/ui/../cli.js',
      '/ui/%2e%2e/cli.js',
      '/ui/..%2fcli.js',
      '/ui/nothing.js',
      '/ui/tsconfig.json',
    ])
      expect([path, (await fetch(origin + path)).status]).toEqual([
        path,
        path === '/ui/../cli.js' ? 404 : 404,
      ])
    expect((await fetch(`${origin}/ui`, { redirect: 'manual' })).headers.get('location')).toBe('/ui/')
  })
})

describe.runIf(CHROMIUM)('the page of a gateway that wants a token', () => {
  it('asks for it once, keeps it for the tab, and lets who reads change nothing', async () => {
    const browser = await startBrowser()
    const tokens = [
      { name: 'ana', token: OPERATE, role: 'operate' },
      { name: 'eve', token: READ },
    ]
    const gateway = await startGateway({ config: { admin: { tokens } } })
    const { page } = await openPage(browser, gateway.adminUrl)
    const enter = async (token: string): Promise<void> => {
      await page.getByLabel('Admin token').fill(token)
      await page.getByRole('button', { name: 'Enter' }).click()
    }
    await page.goto(`${gateway.adminUrl}/ui/#/policy`)
    await enter('wrong-token-0123456')
    await page.getByRole('alert').waitFor()
    await enter(READ)
    await page.locator('.link[data-live=yes]').waitFor()
    await page.locator('main code').first().waitFor()
    expect(await page.getByRole('button', { name: 'Look now' }).count()).toBe(0)
    await page.reload()
    await page.locator('.link[data-live=yes]').waitFor()
    await page.evaluate('sessionStorage.clear()')
    await page.reload()
    await enter(OPERATE)
    await page.getByRole('button', { name: 'Look now' }).waitFor()
    expect(await page.evaluate('[document.cookie, location.href, localStorage.length].join()')).not.toContain(
      OPERATE,
    )
    await browser.close()
    await stopAll()
  })

  it('is not lost by what was asked before with a wrong one, and is answered late', async () => {
    const browser = await startBrowser()
    const gateway = await startGateway({ config: { admin: { tokens: [{ name: 'eve', token: READ }] } } })
    const { page } = await openPage(browser, gateway.adminUrl)
    const held: (() => Promise<void>)[] = []
    await page.route('**/operator', async route => {
      const answer = await route.fetch()
      if (answer.status() === 401) held.push(() => route.fulfill({ response: answer }))
      else await route.fulfill({ response: answer })
    })
    const enter = async (token: string): Promise<void> => {
      await page.getByLabel('Admin token').fill(token)
      await page.getByRole('button', { name: 'Enter' }).click()
    }
    await page.goto(`${gateway.adminUrl}/ui/`)
    await enter('wrong-token-0123456')
    await page.getByRole('alert').waitFor()
    await expect.poll(() => held.length).toBe(2)
    await enter(READ)
    await page.locator('.link[data-live=yes]').waitFor()
    for (const answer of held) await answer()
    // By the time that this is answered, the page has read what came before.
    await page.evaluate(`fetch('../readyz').then(answer => answer.text())`)
    expect(await page.locator('.link[data-live=yes]').count()).toBe(1)
    expect(await page.getByLabel('Admin token').count()).toBe(0)
    await browser.close()
    await stopAll()
  })

  it('lets who operates approve what somebody asks for, and keeps who reads from it', async () => {
    const browser = await startBrowser()
    const tokens = [
      { name: 'ana', token: OPERATE, role: 'operate' },
      { name: 'eve', token: READ },
    ]
    const gateway = await startGateway({ policy: ACCESS_POLICY, keys: PEOPLE, config: { admin: { tokens } } })
    const { id } = (await ask(gateway, 'dev', { reason: 'incident 4512' })).body
    const reader = { method: 'POST', headers: { authorization: `Bearer ${READ}` } }
    expect((await fetch(`${gateway.adminUrl}/access/requests/${id}/approve`, reader)).status).toBe(403)
    const { page } = await openPage(browser, gateway.adminUrl)
    await page.goto(`${gateway.adminUrl}/ui/#/access`)
    await page.getByLabel('Admin token').fill(OPERATE)
    await page.getByRole('button', { name: 'Enter' }).click()
    await page.getByText('incident 4512').waitFor()
    await page.getByRole('button', { name: 'Approve' }).click()
    await page.getByLabel('Comment').fill('go')
    await page.getByRole('button', { name: 'Yes' }).click()
    await page.getByText('Nobody waits for access.').waitFor()
    const approved = await gateway.audited(({ event }) => event === 'admin.access_approved')
    expect(approved).toMatchObject({
      access_request: id,
      comment: 'go',
      operator: { name: 'ana', method: 'token' },
    })
    await browser.close()
    await stopAll()
  })

  it('comes back by itself when the gateway does', async () => {
    const browser = await startBrowser()
    const folder = newFolder()
    const gateway = await startGateway({ folder })
    const { page } = await openPage(browser, gateway.adminUrl)
    await page.goto(`${gateway.adminUrl}/ui/`)
    await page.locator('.link[data-live=yes]').waitFor()
    const { port } = new URL(gateway.adminUrl)
    await gateway.stop('SIGKILL')
    await page.locator('.link[data-live=no]').waitFor()
    await startGateway({ folder, keys: [], config: { admin: { port: Number(port) } } })
    await page.locator('.link[data-live=yes]').waitFor()
    await browser.close()
    await stopAll()
  })
})

describe.runIf(CHROMIUM)('the page of a gateway of two workers', () => {
  afterAll(stopWithUpstreams)

  it('tells of each what it decides by', async () => {
    const { url } = await upstream(call => call.answer())
    const gateway = await startWorkers({ targets: [url] })
    const browser = await startBrowser()
    const { page } = await openPage(browser, gateway.adminUrl)
    await page.goto(`${gateway.adminUrl}/ui/`)
    const rows = page.getByRole('table', { name: 'Processes that take requests' }).getByRole('row')
    await rows.nth(2).waitFor()
    const { workers, policy } = await gateway.status()
    const told = workers.map(
      ({ id, pid }: { id: number; pid: number }) => `${id}takes requests${policy.revision}${pid}0`,
    )
    expect((await rows.allTextContents()).slice(1)).toEqual(told)
    await browser.close()
  })
})
