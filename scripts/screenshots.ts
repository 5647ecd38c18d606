/** Writes `docs/images`: the page of a gateway that is busy, in a real Chromium. Needs `npm run build` first. */
import { mkdirSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { openPage, startBrowser } from '../test/support/browser.ts'
import { startBusyGateway } from '../test/support/busy-gateway.ts'
import { newFolder, stopAll } from '../test/support/gateway.ts'

const OUT = path.join(import.meta.dirname, '../docs/images')
const BUSY_SECONDS = Number(process.argv[2] ?? 20)

const SHOTS = [
  ['now', 1280, 'light'],
  ['now', 1280, 'dark'],
  ['now', 360, 'dark'],
  ['decisions', 1280, 'light'],
  ['decisions', 360, 'light'],
  ['decision', 1280, 'dark'],
  ['decision', 360, 'light'],
  ['policy', 1280, 'light'],
  ['pools', 1280, 'dark'],
  ['limits', 1280, 'light'],
  ['audit', 360, 'dark'],
] as const

mkdirSync(OUT, { recursive: true })
const busy = await startBusyGateway(newFolder())
const browser = await startBrowser()
try {
  for (let second = 0; second < BUSY_SECONDS; second++) {
    await busy.traffic(1 + (second % 4))
    await sleep(600)
  }
  const { adminUrl } = busy.gateway
  const listed = (await (
    await fetch(`${adminUrl}/decisions?principal=ana&outcome=completed&limit=1`)
  ).json()) as {
    decisions: { decision_id: string }[]
  }
  const id = listed.decisions[0]?.decision_id
  for (const [view, width, colorScheme] of SHOTS) {
    const { page } = await openPage(browser, adminUrl, {
      colorScheme,
      viewport: { width, height: width < 500 ? 780 : 860 },
      deviceScaleFactor: 1,
    })
    await page.goto(`${adminUrl}/ui/#/${view === 'decision' ? `decisions/${id}` : view}`)
    await page.locator('.link[data-live=yes]').waitFor()
    await busy.traffic(1)
    await sleep(1500)
    await page.screenshot({ path: path.join(OUT, `${view}-${width}-${colorScheme}.png`) })
    await page.context().close()
  }
} finally {
  await browser.close()
  await busy.close()
  await stopAll()
}
