/** The story of the README, as it is told there: its commands, its config, its script. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { afterAll, expect, it } from 'vitest'
import { CLI, newFolder, stopAll } from '../../test/support/gateway.ts'

const ROOT = path.join(import.meta.dirname, '../..')
const HERE = path.join(ROOT, 'examples/oidc')
const children: ChildProcess[] = []
afterAll(async () => {
  for (const child of children) child.kill('SIGKILL')
  await stopAll()
})

/** @returns The line that says where it listens. */
async function start(
  args: string[],
  env: NodeJS.ProcessEnv = {},
): Promise<[ChildProcess, Record<string, string>]> {
  const child = spawn(process.execPath, args, {
    cwd: ROOT,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  children.push(child)
  const said = new Promise<Record<string, string>>(resolve => {
    for (const stream of [child.stdout, child.stderr])
      createInterface({ input: stream as NodeJS.ReadableStream }).on('line', line => {
        if (line.startsWith('{') && JSON.parse(line).event === 'listening') resolve(JSON.parse(line))
      })
  })
  const ended = once(child, 'exit').then(([code]) => Promise.reject(new Error(`${args} ended with ${code}`)))
  ended.catch(() => {})
  return [child, await Promise.race([said, ended])]
}

it('callers that a provider knows call with its tokens, through a change of its keys', async () => {
  const folder = newFolder()
  const tsx = ['--import', 'tsx']
  const [, model] = await start([
    ...tsx,
    ...['examples/tiny-slm/main.ts', '--model', 'tiny', '--model', 'tiny-large', '--port', '0'],
  ])
  const [provider, { issuer }] = await start([...tsx, 'examples/oidc/main.ts', 'provider', '--port', '0'])
  const [, gateway] = await start([CLI, 'serve', '--config', 'examples/oidc/gateway.config.json'], {
    SALLYPORT_PORT: '0',
    SALLYPORT_ADMIN_PORT: '0',
    SALLYPORT_AUDIT: path.join(folder, 'audit.jsonl'),
    SALLYPORT_KEYS: path.join(folder, 'keys.json'),
    OIDC_ISSUER: issuer,
    MODEL_URL: model.url,
  })
  const { stdout } = await promisify(execFile)('sh', ['examples/oidc/story.sh'], {
    cwd: ROOT,
    env: {
      ...process.env,
      SALLYPORT_URL: gateway.url,
      OIDC_ISSUER: issuer,
      PROVIDER_PID: String(provider.pid),
    },
  })
  const lines = stdout.trim().split('\n')
  expect(lines.slice(0, -1).map(line => line.slice(0, 3))).toEqual([
    ...['200', '200', '403', '401', '401'],
    ...['200', '200'],
  ])
  expect(JSON.parse(lines.at(-1) as string).principal).toMatchObject({ id: 'ci-bot', team: 'search' })
  const readme = readFileSync(path.join(HERE, 'README.md'), 'utf8')
  expect(readme).toContain(lines.slice(0, 5).join('\n'))
}, 120_000)
