/**
 * Writes `schemas/*.json` from `src/contract`. With `--check` it writes nothing and exits 1 when
 * a file is not what would be written.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { accessSchema } from '../src/contract/access.schema.ts'
import { configSchema } from '../src/contract/config.schema.ts'
import { decisionSchema } from '../src/contract/decision.schema.ts'
import { inputSchema } from '../src/contract/input.schema.ts'
import { scenarioSchema } from '../src/contract/scenario.schema.ts'

const files = {
  'schemas/gateway.config.schema.json': configSchema,
  'schemas/input.schema.json': inputSchema,
  'schemas/decision.schema.json': decisionSchema,
  'schemas/access.schema.json': accessSchema,
  'schemas/scenario.schema.json': scenarioSchema,
}

const check = process.argv.includes('--check')
let stale = 0
for (const [file, schema] of Object.entries(files)) {
  const text = `${JSON.stringify(schema, null, 2)}\n`
  if (existsSync(file) && readFileSync(file, 'utf8') === text) continue
  stale++
  if (check) process.stderr.write(`${file} is not what src/contract says: run npm run schemas\n`)
  else {
    mkdirSync('schemas', { recursive: true })
    writeFileSync(file, text)
    process.stdout.write(`wrote ${file}\n`)
  }
}
process.exitCode = check && stale > 0 ? 1 : 0
