/**
 * Writes `docs/reference/` from the schemas and the code. With `--check` it writes nothing and exits 1
 * when a page is not what would be written. Needs a build, for the commands.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { pages } from './reference/pages.ts'

const FOLDER = 'docs/reference'
const check = process.argv.includes('--check')
let stale = 0
for (const [name, text] of Object.entries(pages())) {
  const file = path.join(FOLDER, name)
  if (existsSync(file) && readFileSync(file, 'utf8') === text) continue
  stale++
  if (check) process.stderr.write(`${file} is not what the code says: run npm run reference\n`)
  else {
    mkdirSync(FOLDER, { recursive: true })
    writeFileSync(file, text)
    process.stdout.write(`wrote ${file}\n`)
  }
}
process.exitCode = check && stale > 0 ? 1 : 0
