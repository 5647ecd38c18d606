/**
 * `init`: a config that works, the reference policy with its tests, and a CI workflow.
 */
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { CommandFailure, EXIT, print } from './output.ts'

const PACKAGE = fileURLToPath(new URL('../..', import.meta.url))

/** What is copied: from the package, to the new folder. */
const PIECES: readonly (readonly [from: string, to: string])[] = [
  ['templates/gateway.config.json', 'gateway.config.json'],
  ['policies', 'policies'],
  ['templates/policies.yml', '.github/workflows/policies.yml'],
]

/** Writes nothing when anything it would write is there already. */
export function init(folder: string): void {
  const taken = PIECES.map(([, to]) => to).filter(to => existsSync(path.join(folder, to)))
  if (taken.length > 0) throw new CommandFailure(EXIT.findings, `not overwritten: ${taken.join(', ')}`)
  for (const [from, to] of PIECES) {
    const target = path.join(folder, to)
    mkdirSync(path.dirname(target), { recursive: true })
    cpSync(path.join(PACKAGE, from), target, { recursive: true })
    for (const file of filesIn(target)) {
      pointAtPackage(file)
      print(`wrote ${path.relative(process.cwd(), file)}`)
    }
  }
  const here = path.relative(process.cwd(), folder)
  print(
    `\nNext:\n${here ? `  cd ${here}\n` : ''}  npx sallyport check\n  npx sallyport test\n  npx sallyport keys create --principal me --roles developer\n  npx sallyport serve`,
  )
}

/** The schemas stay in the package. */
function pointAtPackage(file: string): void {
  const text = readFileSync(file, 'utf8')
  const pointed = text.replaceAll('../schemas/', '../node_modules/sallyport/schemas/')
  if (pointed !== text) writeFileSync(file, pointed)
}

function filesIn(target: string): string[] {
  if (!statSync(target).isDirectory()) return [target]
  return readdirSync(target).flatMap(name => filesIn(path.join(target, name)))
}
