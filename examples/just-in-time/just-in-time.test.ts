/** The story of the README, as it is told there: its config, its script, its words. */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { promisify } from 'node:util'
import { afterAll, expect, it } from 'vitest'
import { newFolder, startGateway, stopAll, writeFiles } from '../../test/support/gateway.ts'
import { startTinySlm } from '../tiny-slm/server.ts'

const ROOT = path.join(import.meta.dirname, '../..')
const HERE = path.join(ROOT, 'examples/just-in-time')
afterAll(stopAll)

it('a developer asks, a lead says yes and takes it back, and who is on call needs nobody', async () => {
  const model = await startTinySlm({ models: ['tiny', 'tiny-large'] })
  const folder = newFolder()
  const env = {
    SALLYPORT_PORT: '0',
    SALLYPORT_ADMIN_PORT: '0',
    SALLYPORT_AUDIT: path.join(folder, 'audit.jsonl'),
    SALLYPORT_KEYS: path.join(folder, 'keys.json'),
    MODEL_URL: model.url,
  }
  writeFiles(folder, { 'keys.json': '{"keys": []}' })
  const gateway = await startGateway({ folder, env, configFile: path.join(HERE, 'gateway.config.json') })
  const { stdout } = await promisify(execFile)('sh', ['examples/just-in-time/story.sh'], {
    cwd: ROOT,
    env: { ...process.env, ...env, SALLYPORT_URL: gateway.url },
  })
  const lines = stdout.split('\n')
  expect(readFileSync(path.join(HERE, 'README.md'), 'utf8')).toContain(lines.slice(0, 7).join('\n'))
  const report = lines.slice(7).join('\n')
  expect(report).toMatch(/3 grants, 0 of them never used/)
  expect(report).toMatch(/g_\w+ +dev +tiny-large +\S+ +\S+ revoked +lou +1 requests/)
  expect(report).toMatch(/g_\w+ \(emergency\) +ona/)
  await model.close()
}, 60_000)
