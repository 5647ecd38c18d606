/**
 * Bundles in service: from a file and from a server, signed and not, and what becomes of a gateway when its
 * source is gone, lies, or goes back in time.
 */
import { copyFileSync, cpSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { startTinySlm, type TinySlm } from '../../examples/tiny-slm/server.ts'
import { readBundle, SIGNATURES } from '../../src/policy/bundles/bundle.ts'
import { writeBundle } from '../../src/policy/bundles/write.ts'
import { type BundleServer, startBundleServer } from '../support/bundle-server.ts'
import {
  chat,
  errorOf,
  type GatewayOptions,
  newFolder,
  type RunningGateway,
  runCommand,
  startGateway,
  stopAll,
  writeFiles,
} from '../support/gateway.ts'
import { installWithoutOpa, WITHOUT_OPA } from '../support/install.ts'
import { opa } from '../support/opa.ts'
import { rsaPair } from '../support/signing-keys.ts'

const ours = rsaPair()
const next = rsaPair()
const theirs = rsaPair()

/** Whoever says that they are careful is refused once the policy is a second old. */
const STALE = `decision := {"allow": allowed}

default allowed := false

allowed if not input.request.body.user == "careful"

allowed if input.policy.age_seconds < 1`

/** Editions of one policy, built once: `NAME.tar.gz`, unsigned, and signed by several. */
let shelf: string
let model: TinySlm
const servers: BundleServer[] = []

const bundle = (name: string): Buffer => readFileSync(path.join(shelf, `${name}.tar.gz`))

async function build(name: string, rego: string, ...flags: string[]): Promise<void> {
  writeFiles(shelf, { [`${name}/gateway.rego`]: `package gateway\n\n${rego}\n` })
  const args = ['build', name, '-o', `${name}.tar.gz`, '--revision', name, ...flags]
  const { code, stdout, stderr } = await runCommand(args, { cwd: shelf })
  expect([code, stdout + stderr]).toMatchObject([0, expect.any(String)])
}

beforeAll(async () => {
  model = await startTinySlm()
  shelf = newFolder()
  writeFiles(shelf, {
    'ours.pem': ours.privateKey,
    'next.pem': next.privateKey,
    'theirs.pem': theirs.privateKey,
  })
  const open = 'decision := {"allow": true, "rule": "open"}'
  const shut = 'decision := {"allow": false, "code": "shut"}'
  const by = (who: string, sequence: number) => ['--signing-key', `${who}.pem`, '--sequence', `${sequence}`]
  await build('open', open)
  await build('shut', shut)
  await build('signed-1', open, ...by('ours', 1))
  await build('signed-2', shut, ...by('ours', 2))
  await build('next-3', open, ...by('next', 3))
  await build('theirs-9', open, ...by('theirs', 9))
  await build('stale', STALE)
  cpSync(shelf, `${shelf}-kept`, { recursive: true })
  shelf = `${shelf}-kept`
}, 60_000)
afterEach(async () => {
  await stopAll()
  for (const server of servers.splice(0)) await server.close()
})
afterAll(async () => {
  await model.close()
  rmSync(shelf, { recursive: true, force: true })
})

const KEYS = [{ principal: 'dev', roles: ['developer'] }]
const start = (source: string, options: GatewayOptions & { signature?: object } = {}) => {
  const { signature, ...rest } = options
  const policy = { path: source, ...(signature ? { signature } : {}) }
  return startGateway({ policy: source, targets: [model.url], keys: KEYS, config: { policy }, ...rest })
}
/** A folder with a bundle and the public keys in it. */
function folderWith(name: string): string {
  const folder = newFolder()
  place(folder, name)
  writeFiles(folder, { 'ours.pub': ours.publicKey, 'next.pub': next.publicKey })
  return folder
}
/** As a deployment would: beside it, then by a rename. */
function place(folder: string, bytes: string | Buffer): void {
  writeFileSync(path.join(folder, 'next.tar.gz'), typeof bytes === 'string' ? bundle(bytes) : bytes)
  renameSync(path.join(folder, 'next.tar.gz'), path.join(folder, 'bundle.tar.gz'))
}
const activated = async (gateway: RunningGateway) => (await gateway.logged('policy_activated')).revision
const refused = async (gateway: RunningGateway): Promise<string> =>
  ((await gateway.logged('policy_refused')).diagnostics as { code: string }[])[0]?.code as string
const inForce = async (gateway: RunningGateway) => (await gateway.status()).policy.revision
const signature = { required: true, publicKeyFile: 'ours.pub' }

async function serverOf(name?: string, options: { longPolling?: boolean } = {}): Promise<BundleServer> {
  const server = await startBundleServer({
    ...(name === undefined ? {} : { archive: bundle(name) }),
    ...options,
  })
  servers.push(server)
  return server
}

describe('a bundle file', () => {
  it('is served by its revision, each step timed, and followed', async () => {
    const folder = folderWith('open')
    const gateway = await start('bundle.tar.gz', { folder })
    expect(await activated(gateway)).toBe('open')
    const [attempt] = (await gateway.status()).policy.attempts
    expect(attempt.steps.map((step: { name: string }) => step.name)).toEqual([
      'read',
      'verify',
      'load',
      'samples',
    ])
    for (const { ms } of attempt.steps) expect(ms).toBeGreaterThanOrEqual(0)
    expect((await chat(gateway)).status).toBe(200)
    place(folder, 'shut')
    expect(await activated(gateway)).toBe('shut')
    const response = await chat(gateway)
    expect([response.status, (await errorOf(response)).code]).toEqual([403, 'shut'])
    const id = response.headers.get('x-decision-id')
    const record = await gateway.audited(({ decision_id }) => decision_id === id)
    expect(record.bundles).toEqual({ gateway: { revision: 'shut' } })
  })

  it('needs no opa on the machine', async () => {
    const cli = installWithoutOpa(newFolder())
    const gateway = await start('bundle.tar.gz', {
      folder: folderWith('signed-1'),
      cli,
      env: WITHOUT_OPA,
      signature,
    })
    expect(await activated(gateway)).toBe('signed-1')
    expect((await chat(gateway)).status).toBe(200)
    await gateway.stop()
    // With sources the same installation says what it misses.
    const sources = await startGateway({ cli, env: WITHOUT_OPA })
    expect(await refused(sources)).toBe('opa_unavailable')
  })

  it('that opa built and signed is served', async () => {
    const folder = folderWith('open')
    writeFiles(folder, {
      'p/gateway.rego': 'package gateway\n\ndecision := {"allow": true}\n',
      key: ours.privateKey,
    })
    const args = ['build', '-t', 'wasm', '-e', 'gateway/decision', '--v1-compatible', '-r', 'by-opa']
    const built = await opa([...args, '--signing-key', 'key', '-b', 'p', '-o', 'bundle.tar.gz'], folder)
    expect(built).toEqual({ code: 0, output: '' })
    const gateway = await start('bundle.tar.gz', { folder, signature })
    expect(await activated(gateway)).toBe('by-opa')
    expect((await chat(gateway)).status).toBe(200)
  })

  it('that is gone, or half there, leaves the last one in force', async () => {
    const folder = folderWith('open')
    const gateway = await start('bundle.tar.gz', { folder })
    await activated(gateway)
    place(folder, bundle('shut').subarray(0, 1000))
    expect(await refused(gateway)).toBe('bad_bundle')
    rmSync(path.join(folder, 'bundle.tar.gz'))
    expect(await refused(gateway)).toBe('unreadable_source')
    expect((await chat(gateway)).status).toBe(200)
    place(folder, 'shut')
    expect(await activated(gateway)).toBe('shut')
  })

  it('is there at a restart without its source, and gives way when that is back', async () => {
    const folder = folderWith('open')
    const first = await start('bundle.tar.gz', { folder })
    await activated(first)
    await first.stop()
    rmSync(path.join(folder, 'bundle.tar.gz'))
    const second = await start('bundle.tar.gz', { folder, keys: KEYS })
    expect(await second.logged('policy_activated')).toMatchObject({ revision: 'open', from: 'last_good' })
    expect((await chat(second)).status).toBe(200)
    expect((await fetch(`${second.adminUrl}/readyz`)).status).toBe(200)
    place(folder, 'shut')
    expect(await activated(second)).toBe('shut')
  })
})

describe('where a signature is demanded', () => {
  /** One of our bundles with something done to it. */
  async function forged(change: (files: Map<string, Uint8Array>) => void): Promise<Buffer> {
    const files = new Map((await readBundle(bundle('signed-1'))).files)
    change(files)
    return writeBundle(files)
  }

  it('a bundle is refused at the start when it is not signed, and there is no policy', async () => {
    const gateway = await start('bundle.tar.gz', { folder: folderWith('open'), signature })
    expect(await refused(gateway)).toBe('unsigned_bundle')
    expect((await chat(gateway)).status).toBe(503)
    expect((await fetch(`${gateway.adminUrl}/readyz`)).status).toBe(503)
  })

  it('a folder of sources is refused: nobody signed it', async () => {
    const gateway = await startGateway({
      config: { policy: { path: 'policies', signature } },
      folder: folderWith('open'),
      keys: KEYS,
    })
    expect(await refused(gateway)).toBe('unsigned_bundle')
  })

  it.each([
    ['not signed', 'unsigned_bundle', async () => bundle('shut')],
    ['signed by somebody else', 'bad_signature', async () => bundle('theirs-9')],
    [
      'signed, and its policy is another one',
      'tampered_bundle',
      async () => {
        const { wasm } = await readBundle(bundle('shut'))
        return forged(files => void files.set('policy.wasm', wasm))
      },
    ],
    [
      'signed, and has a file more',
      'tampered_bundle',
      () => forged(files => void files.set('x/data.json', Buffer.from('{"deny":[]}'))),
    ],
    ['signed, and has a file less', 'tampered_bundle', () => forged(files => void files.delete('data.json'))],
    [
      'signed, with the signature of another bundle',
      'tampered_bundle',
      async () => {
        const { files: other } = await readBundle(bundle('signed-2'))
        return forged(files => void files.set(SIGNATURES, other.get(SIGNATURES) as Uint8Array))
      },
    ],
  ])('a bundle that is %s is refused with %s, and the last one stays', async (_what, code, archive) => {
    const folder = folderWith('signed-1')
    const gateway = await start('bundle.tar.gz', { folder, signature })
    await activated(gateway)
    place(folder, await archive())
    expect(await refused(gateway)).toBe(code)
    expect(await inForce(gateway)).toBe('signed-1')
    expect((await chat(gateway)).status).toBe(200)
    const record = await gateway.audited(({ event }) => event === 'policy.refused')
    expect(record.diagnostics[0].code).toBe(code)
  })

  // Whoever can put files there could put yesterday's bundle back, with yesterday's permissions in it.
  it('an older bundle than the last is refused, after a restart too', async () => {
    const folder = folderWith('signed-2')
    const first = await start('bundle.tar.gz', { folder, signature })
    expect(await activated(first)).toBe('signed-2')
    place(folder, 'signed-1')
    expect(await refused(first)).toBe('older_bundle')
    await first.stop()
    const second = await start('bundle.tar.gz', { folder, signature })
    expect(await refused(second)).toBe('older_bundle')
    expect(await second.logged('policy_activated')).toMatchObject({ revision: 'signed-2', from: 'last_good' })
    expect((await chat(second)).status).toBe(403)
  })

  it('keys are rotated without a restart: a new one is added, the old one taken away', async () => {
    const folder = folderWith('signed-1')
    const both = { required: true, publicKeyFile: ['ours.pub', 'new.pub'] }
    writeFiles(folder, { 'new.pub': theirs.publicKey })
    const gateway = await start('bundle.tar.gz', { folder, signature: both })
    await activated(gateway)
    place(folder, 'next-3')
    expect(await refused(gateway)).toBe('bad_signature')
    copyFileSync(path.join(folder, 'next.pub'), path.join(folder, 'new.pub'))
    expect(await activated(gateway)).toBe('next-3')
    copyFileSync(path.join(folder, 'next.pub'), path.join(folder, 'ours.pub'))
    expect(await activated(gateway)).toBe('next-3')
  })

  it('a bundle that was kept is verified again: without its key it is no policy', async () => {
    const folder = folderWith('signed-1')
    const first = await start('bundle.tar.gz', { folder, signature })
    await activated(first)
    await first.stop()
    rmSync(path.join(folder, 'bundle.tar.gz'))
    copyFileSync(path.join(folder, 'next.pub'), path.join(folder, 'ours.pub'))
    const second = await start('bundle.tar.gz', { folder, signature })
    expect([await refused(second), await refused(second)]).toEqual(['unreadable_source', 'bad_signature'])
    expect((await chat(second)).status).toBe(503)
  })

  it('a config without a key, or with a URL that anybody could answer, is refused with status 2', async () => {
    const findings = async (policy: object): Promise<string> => {
      const folder = newFolder()
      const pools = { chat: { models: ['tiny'], targets: [{ url: 'http://127.0.0.1:9' }] } }
      writeFiles(folder, { 'gateway.config.json': JSON.stringify({ policy, pools }) })
      const { code, stdout } = await runCommand(['serve'], { cwd: folder })
      expect(code).toBe(2)
      return stdout
    }
    expect(await findings({ signature: { required: true } })).toContain('signature_without_key')
    expect(await findings({ path: 'http://policies.example/b.tar.gz' })).toContain('insecure_url')
  })
})

describe('a bundle server', () => {
  it('is asked with an ETag, waits, and is followed at once', async () => {
    const server = await serverOf('open')
    const gateway = await start(server.url)
    expect(await activated(gateway)).toBe('open')
    expect((await chat(gateway)).status).toBe(200)
    expect(server.requests[0]?.headers['if-none-match']).toBeUndefined()
    server.serve(bundle('shut'))
    expect(await activated(gateway)).toBe('shut')
    const { headers } = server.requests.at(-1) as (typeof server.requests)[number]
    expect(headers.prefer).toMatch(/^modes=snapshot;wait=\d+$/)
    expect(headers['if-none-match']).toMatch(/^"[0-9a-f]+"$/)
    expect((await chat(gateway)).status).toBe(403)
  })

  it('that does not wait is asked every few seconds, and its 304 confirms what is in force', async () => {
    const server = await serverOf('stale', { longPolling: false })
    const gateway = await start(server.url)
    await activated(gateway)
    const before = (await gateway.status()).policy.confirmed_at
    await server.asked(({ status }) => status === 304)
    await expect.poll(async () => (await gateway.status()).policy.confirmed_at).not.toBe(before)
    server.serve(bundle('shut'))
    expect(await activated(gateway)).toBe('shut')
  })

  it('that fails leaves the last one in force, growing old, and is followed again when it is back', async () => {
    const server = await serverOf('stale')
    const gateway = await start(server.url)
    await activated(gateway)
    expect((await chat(gateway)).status).toBe(200)
    server.fail(500)
    expect(await refused(gateway)).toBe('bundle_unavailable')
    expect(await inForce(gateway)).toBe('stale')
    const careful = async () => (await chat(gateway, { body: { user: 'careful' } })).status
    await expect.poll(careful).toBe(403)
    expect((await chat(gateway)).status).toBe(200)
    server.serve(bundle('open'))
    expect(await activated(gateway)).toBe('open')
  })

  it('that lies is refused, and told from one that is gone', async () => {
    const server = await serverOf('signed-1')
    const gateway = await start(server.url, { folder: folderWith('open'), signature })
    expect(await activated(gateway)).toBe('signed-1')
    server.serve(bundle('theirs-9'))
    expect(await refused(gateway)).toBe('bad_signature')
    server.serve(bundle('signed-2'))
    expect(await activated(gateway)).toBe('signed-2')
    server.serve(bundle('signed-1'))
    expect(await refused(gateway)).toBe('older_bundle')
    expect(await inForce(gateway)).toBe('signed-2')
  })

  it('that is gone at a restart leaves the last good bundle in force, and an older one refused', async () => {
    const server = await serverOf('signed-2')
    const folder = folderWith('open')
    const first = await start(server.url, { folder, signature })
    await activated(first)
    await first.stop()
    server.fail(503)
    const second = await start(server.url, { folder, signature })
    expect(await refused(second)).toBe('bundle_unavailable')
    expect(await second.logged('policy_activated')).toMatchObject({ revision: 'signed-2', from: 'last_good' })
    expect((await chat(second)).status).toBe(403)
    server.serve(bundle('signed-1'))
    expect(await refused(second)).toBe('older_bundle')
  })

  it('is asked for its bundle by name at a restart: what is known is not sent again', async () => {
    const server = await serverOf('open')
    const folder = newFolder()
    const first = await start(server.url, { folder })
    await activated(first)
    await first.stop()
    const before = server.requests.length
    const second = await start(server.url, { folder })
    expect(await activated(second)).toBe('open')
    expect(server.requests[before]?.status).toBe(304)
  })

  it('that was never there leaves a gateway that refuses, and recovers', async () => {
    const server = await serverOf()
    const gateway = await start(server.url)
    expect(await refused(gateway)).toBe('bundle_unavailable')
    expect((await chat(gateway)).status).toBe(503)
    server.serve(bundle('open'))
    expect(await activated(gateway)).toBe('open')
    expect((await chat(gateway)).status).toBe(200)
  })

  it('is asked at once when an operator wants a reload', async () => {
    const server = await serverOf('open', { longPolling: false })
    const gateway = await start(server.url, { config: { policy: { path: server.url, watch: false } } })
    await activated(gateway)
    server.serve(bundle('shut'))
    const reload = await fetch(`${gateway.adminUrl}/policy/reload`, { method: 'POST' })
    expect(await reload.json()).toMatchObject({ revision: 'shut' })
  })

  it('never has its password shown', async () => {
    const server = await serverOf()
    const url = server.url.replace('http://', 'http://reader:hunter2@')
    const gateway = await start(url)
    await refused(gateway)
    expect(JSON.stringify([gateway.log(), await gateway.status(), gateway.audit()])).not.toContain('hunter2')
    expect(server.requests[0]?.headers.authorization).toMatch(/^Basic /)
  })
})
