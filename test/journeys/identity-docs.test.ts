/** What docs/identity.md says to type and to write, typed and written. */
import { execFile } from 'node:child_process'
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { promisify } from 'node:util'
import { afterEach, describe, expect, it } from 'vitest'
import { authority } from '../support/certificates.ts'
import { CLI, newFolder, prepare, runCommand, startGateway, stopAll } from '../support/gateway.ts'

const TEXT = readFileSync(path.join(import.meta.dirname, '../../docs/identity.md'), 'utf8')
const blocks = (language: string): string[] =>
  [...TEXT.matchAll(/```(\w+)\n([\s\S]*?)```/g)]
    .filter(([, of]) => of === language)
    .map(([, , text = '']) => text)

/** With `sallyport` in the path. */
async function shell(folder: string, script: string): Promise<string> {
  const bin = path.join(folder, 'bin')
  mkdirSync(bin, { recursive: true })
  symlinkSync(CLI, path.join(bin, 'sallyport'))
  const env = { ...process.env, PATH: `${bin}:${path.dirname(process.execPath)}:${process.env.PATH}` }
  const { stdout } = await promisify(execFile)('sh', ['-euc', script], { cwd: folder, env })
  return stdout
}

describe('docs/identity.md', () => {
  afterEach(stopAll)

  it('has configs that are good as they stand', async () => {
    expect(blocks('json').length).toBe(4)
    for (const text of blocks('json')) {
      const folder = newFolder()
      prepare(folder, {})
      writeFileSync(path.join(folder, 'gateway.config.json'), text)
      writeFileSync(path.join(folder, 'secret.txt'), 'secret', { mode: 0o600 })
      authority(folder, 'clients').issue('tls', '/CN=localhost', ['DNS:localhost'], { usage: 'serverAuth' })
      const { code, stdout, stderr } = await runCommand(['check'], { cwd: folder })
      expect([code, stdout, stderr]).toEqual([0, expect.any(String), ''])
    }
  })

  it('has commands for keys that work in their order', async () => {
    const folder = newFolder()
    prepare(folder, { keys: [] })
    const script = blocks('sh')
      .filter(text => text.includes('sallyport keys'))
      .join('')
    const id = '$(sallyport keys list --format json | node -pe "JSON.parse(fs.readFileSync(0)).keys[0].id")'
    await shell(folder, script.replaceAll('k_XXXXXXXXXX', id))
    const { keys } = JSON.parse(readFileSync(path.join(folder, 'keys.json'), 'utf8'))
    expect(
      keys.map((key: { models?: string[]; revoked_at: string | null }) => [
        key.models?.[0] ?? null,
        key.revoked_at !== null,
      ]),
    ).toEqual([
      [null, true],
      ['tiny', false],
      [null, false],
    ])
  })

  it('has commands for certificates that work as they stand, but for the port', async () => {
    const folder = newFolder()
    const script = blocks('sh').find(text => text.includes('openssl')) as string
    const [makes, calls] = [script.slice(0, script.indexOf('curl')), script.slice(script.indexOf('curl'))]
    await shell(folder, makes)
    const config = JSON.parse(blocks('json').find(text => text.includes('clientCaFile')) as string)
    const gateway = await startGateway({
      folder,
      config: { listen: config.listen, identity: config.identity },
    })
    const { port } = new URL(gateway.url)
    const answer = await promisify(execFile)('sh', ['-c', calls.replace(':8080', `:${port}`)], {
      cwd: folder,
    })
    expect(JSON.parse(answer.stdout).principal).toMatchObject({
      id: 'spiffe://corp.example/ana',
      roles: ['mesh'],
    })
  })
})
