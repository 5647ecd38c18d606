/** `sallyport build`: what it writes, what `opa` says of it, and what keeps it from writing anything. */
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { readBundle } from '../../src/policy/bundles/bundle.ts'
import { newFolder, REFERENCE_POLICIES, runCommand, stopAll, writeFiles } from '../support/gateway.ts'
import { opa } from '../support/opa.ts'
import { ecPair, rsaPair } from '../support/signing-keys.ts'

const rsa = rsaPair()
const GOOD = {
  'policies/gateway.rego': 'package gateway\n\ndecision := {"allow": data.tables.open}\n',
  'policies/tables/data.yaml': 'open: true\nbig: 12345678901234567890\n',
  'policies/gateway_test.rego':
    'package gateway_test\n\nimport data.gateway\n\ntest_open if gateway.decision.allow\n',
}

const folderWith = (files: Readonly<Record<string, string>> = GOOD): string => {
  const folder = newFolder()
  writeFiles(folder, files)
  return folder
}
const build = (folder: string, ...args: string[]) => runCommand(['build', ...args], { cwd: folder })
const bundleAt = (folder: string, file: string) => readBundle(readFileSync(path.join(folder, file)))

describe('sallyport build', () => {
  afterEach(stopAll)

  it('writes a bundle that opa can inspect: policy, data, revision, roots and entrypoint', async () => {
    const folder = folderWith()
    const { code, stdout } = await build(
      folder,
      'policies',
      '-o',
      'out/b.tar.gz',
      '--revision',
      'v7',
      '--sequence',
      '7',
    )
    expect([code, stdout]).toMatchObject([0, expect.stringContaining('revision v7')])
    const inspected = await opa(['inspect', '--format', 'json', 'out/b.tar.gz'], folder)
    expect(inspected.code).toBe(0)
    expect(JSON.parse(inspected.output)).toMatchObject({
      manifest: {
        revision: 'v7',
        roots: [''],
        wasm: [{ entrypoint: 'gateway/decision', module: '/policy.wasm' }],
        metadata: { sequence: 7, gateway_version: expect.any(String) },
      },
      wasm_modules: [{ entrypoints: ['data.gateway.decision'], path: '/policy.wasm' }],
      namespaces: { 'data.gateway': ['/gateway.rego'] },
    })
    const { dataText, files } = await bundleAt(folder, 'out/b.tar.gz')
    expect(dataText.trim()).toBe('{"tables":{"big":12345678901234567890,"open":true}}')
    expect([...files.keys()].some(name => name.includes('_test'))).toBe(false)
  })

  it('writes the same bytes for the same sources, wherever and whenever they are', async () => {
    const [one, other] = [folderWith(), folderWith()]
    await build(one, 'policies', '-o', 'b.tar.gz')
    await build(other, 'policies', '-o', 'b.tar.gz')
    const bytes = readFileSync(path.join(one, 'b.tar.gz'))
    expect(readFileSync(path.join(other, 'b.tar.gz')).equals(bytes)).toBe(true)
  })

  it('names it by its contents: another revision for other sources, the same when only tests differ', async () => {
    const revision = async (files: Record<string, string>): Promise<string | undefined> => {
      const folder = folderWith({ ...GOOD, ...files })
      await build(folder, 'policies', '-o', 'b.tar.gz')
      return (await bundleAt(folder, 'b.tar.gz')).manifest.revision
    }
    const first = await revision({})
    expect(first).toMatch(/^[0-9a-f]{16}$/)
    expect(await revision({ 'policies/more_test.rego': 'package more_test\n\ntest_it if true\n' })).toBe(
      first,
    )
    expect(await revision({ 'policies/tables/data.yaml': 'open: true\n' })).not.toBe(first)
  })

  it('keeps the manifest of the sources', async () => {
    const manifest = JSON.stringify({
      roots: ['gateway', 'gateway_test', 'tables'],
      metadata: { owner: 'search' },
    })
    const folder = folderWith({ ...GOOD, 'policies/.manifest': manifest })
    const { code, stdout } = await build(folder, 'policies', '-o', 'b.tar.gz')
    expect([code, stdout]).toMatchObject([0, expect.any(String)])
    const built = (await bundleAt(folder, 'b.tar.gz')).manifest
    expect(built.metadata).toMatchObject({ owner: 'search' })
    expect(built.roots).toEqual(expect.arrayContaining(['gateway', 'tables']))
  })

  it('builds what the config names, the reference policy too', async () => {
    const folder = folderWith({
      'gateway.config.json': JSON.stringify({
        policy: { path: REFERENCE_POLICIES },
        pools: { chat: { models: ['tiny'], targets: [{ url: 'http://127.0.0.1:9' }] } },
      }),
    })
    const { code, stdout } = await build(folder, '-o', 'b.tar.gz', '--format', 'json')
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ file: 'b.tar.gz', sequence: null, signature: null })
  })

  it.each([
    [
      'a name that the input does not have',
      { 'policies/gateway.rego': 'package gateway\n\ndecision := {"allow": input.request.boddy.x}\n' },
      { line: 3, code: 'rego_type_error' },
    ],
    [
      'a test that fails',
      { 'policies/tables/data.yaml': 'open: false\n' },
      { line: 5, code: 'test_failed', file: 'policies/gateway_test.rego' },
    ],
    [
      'a scenario that fails',
      {
        'policies/open.scenario.yaml':
          'at: "2026-03-02T10:00:00Z"\nprincipals:\n  dev: {roles: [developer]}\ncases:\n  - {name: shut, principal: dev, request: {model: tiny}, expect: {allow: false}}\n',
      },
      { code: 'test_failed', file: 'policies/open.scenario.yaml' },
    ],
    [
      'a builtin that is not offered',
      {
        'policies/gateway.rego':
          'package gateway\n\ndecision := {"allow": http.send({}).status_code == 200}\n',
      },
      { line: 3 },
    ],
  ])('writes nothing for %s, and says where', async (_what, files, finding) => {
    const folder = folderWith({ ...GOOD, ...files })
    const { code, stdout } = await build(folder, 'policies', '-o', 'b.tar.gz', '--format', 'json')
    expect(code).toBe(1)
    expect(JSON.parse(stdout).findings).toMatchObject([finding])
    expect(existsSync(path.join(folder, 'b.tar.gz'))).toBe(false)
  })

  it('writes nothing where there are no sources', async () => {
    const folder = newFolder()
    const { code, stdout } = await build(folder, 'nowhere', '-o', 'b.tar.gz')
    expect([code, stdout]).toMatchObject([1, expect.stringContaining('unreadable_source')])
  })

  it.each([
    [['policies']],
    [['policies', '-o', 'b.tar.gz', '--signing-alg', 'none']],
    [['policies', '-o', 'b.tar.gz', '--sequence', 'new']],
    [['policies', '-o', 'b.tar.gz', '--signing-key', 'gone.pem']],
    [['policies', '-o', 'b.tar.gz', '--signing-key', 'key.pem', '--signing-alg', 'ES256']],
    [['policies', '-o', 'b.tar.gz', '--config', 'gone.json']],
    [['-o', 'b.tar.gz']],
  ])('is wrongly used as %j', async args => {
    const folder = folderWith({ ...GOOD, 'key.pem': rsa.privateKey })
    expect((await build(folder, ...args)).code).toBe(2)
    expect(existsSync(path.join(folder, 'b.tar.gz'))).toBe(false)
  })
})

describe('sallyport build --signing-key', () => {
  afterEach(stopAll)

  it.each([
    ['RS256', rsa],
    ['PS256', rsa],
    ['ES256', ecPair()],
    ['HS256', { privateKey: 'shared secret', publicKey: 'shared secret' }],
  ])('signs with %s so that opa verifies it, and with no other key', async (algorithm, pair) => {
    const folder = folderWith({ ...GOOD, 'key.pem': pair.privateKey, 'key.pub': pair.publicKey })
    const flags = ['--signing-key', 'key.pem', '--signing-alg', algorithm]
    expect((await build(folder, 'policies', '-o', 'b.tar.gz', ...flags)).code).toBe(0)
    const verify = (key: string) =>
      opa(
        [
          'build',
          '-b',
          'b.tar.gz',
          '-o',
          'again.tar.gz',
          '--v1-compatible',
          '--signing-alg',
          algorithm,
          '--verification-key',
          key,
        ],
        folder,
      )
    expect(await verify('key.pub')).toEqual({ code: 0, output: '' })
    writeFiles(folder, { 'other.pub': algorithm === 'HS256' ? 'guessed' : rsaPair().publicKey })
    expect((await verify('other.pub')).code).toBe(1)
  })

  it('gives each bundle a sequence, by the time unless told otherwise', async () => {
    const folder = folderWith({ ...GOOD, 'key.pem': rsa.privateKey })
    const sequence = async (args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<number> => {
      const flags = ['--signing-key', 'key.pem', '--format', 'json']
      const { stdout } = await runCommand(['build', 'policies', '-o', 'b.tar.gz', ...flags, ...args], {
        cwd: folder,
        env,
      })
      return JSON.parse(stdout).sequence
    }
    const first = await sequence([])
    expect(await sequence([])).toBeGreaterThan(first)
    expect(await sequence([], { SOURCE_DATE_EPOCH: '1700000000' })).toBe(1_700_000_000)
    expect(await sequence(['--sequence', '12'], { SOURCE_DATE_EPOCH: '1700000000' })).toBe(12)
  })

  it('writes the same bytes again for the same sequence, with an algorithm that has no chance in it', async () => {
    const folder = folderWith({ ...GOOD, 'key.pem': rsa.privateKey })
    for (const file of ['one.tar.gz', 'two.tar.gz'])
      await build(folder, 'policies', '-o', file, '--signing-key', 'key.pem', '--sequence', '1')
    const bytes = readFileSync(path.join(folder, 'one.tar.gz'))
    expect(readFileSync(path.join(folder, 'two.tar.gz')).equals(bytes)).toBe(true)
  })
})
