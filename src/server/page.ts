/**
 * The page: its files, read once, from the folder that the build made.
 *
 * They hold no secret, so they are served before anybody is asked who they are: a browser cannot bring a
 * token with the address of a page.
 */
import { readFileSync } from 'node:fs'

export interface PageFile {
  readonly contentType: string
  readonly bytes: Buffer
}

const FOLDER = new URL('../ui/', import.meta.url)

/** What there is, and nothing else. */
const FILES = /^(?:index\.html|ui\.css|icon\.svg|[a-z-]+\.js)$/
const TYPES: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  css: 'text/css; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  svg: 'image/svg+xml',
}

/** Scripts, styles and requests of our own and no others; nothing written into the page runs. */
export const PAGE_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

const read = new Map<string, PageFile>()

/** @param name - Such as `main.js`; empty for the page itself. @returns undefined when there is no such file. */
export function pageFile(name: string): PageFile | undefined {
  const file = name === '' ? 'index.html' : name
  if (!FILES.test(file)) return undefined
  const known = read.get(file)
  if (known) return known
  try {
    const contentType = TYPES[file.slice(file.lastIndexOf('.') + 1)] as string
    const found = { contentType, bytes: readFileSync(new URL(file, FOLDER)) }
    read.set(file, found)
    return found
  } catch {
    return undefined
  }
}
