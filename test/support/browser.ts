/** A real Chromium, headless. */
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import { installed } from './installed.ts'

export const CHROMIUM = installed('chromium', 'chromium')

export async function startBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: CHROMIUM as string,
    // A sandbox inside a container that is root has no use.
    args: ['--no-sandbox', '--disable-dev-shm-usage', '--force-color-profile=srgb'],
  })
}

export interface OpenedPage {
  readonly page: Page
  /** What the page complained about, and what it asked of others. */
  readonly complaints: string[]
}

/** @param origin - The only one that the page may ask. */
export async function openPage(
  browser: Browser,
  origin: string,
  options: BrowserContextOptions = {},
): Promise<OpenedPage> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options })
  const page = await context.newPage()
  const complaints: string[] = []
  page.on('pageerror', error => complaints.push(`error: ${error.message}`))
  page.on('console', message => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text())
  })
  page.on('request', request => {
    if (new URL(request.url()).origin !== origin) complaints.push(`asked ${request.url()}`)
  })
  return { page, complaints }
}
