import { createPrivateKey } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { Refused } from '../../../src/policy/activate/activation.ts'
import { type BundleNeeds, bundleEdition } from '../../../src/policy/activate/bundle-edition.ts'
import { compile } from '../../../src/policy/activate/edition.ts'
import type { Bundle } from '../../../src/policy/bundles/bundle.ts'
import { signBundle } from '../../../src/policy/bundles/signature.ts'
import { withManifest, writeBundle } from '../../../src/policy/bundles/write.ts'
import { readSource } from '../../../src/policy/compile/source.ts'
import { temporaryFolder } from '../../support/folder.ts'
import { rsaPair } from '../../support/signing-keys.ts'
import { rejectionOf } from '../../support/thrown.ts'

const ours = rsaPair()
const theirs = rsaPair()
let bundle: Bundle

describe('an edition of a bundle', () => {
  beforeAll(async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'sallyport-test-'))
    writeFileSync(path.join(folder, 'gateway.rego'), 'package gateway\n\ndecision := {"allow": true}\n')
    const sources = { shown: 'p', entrypoint: 'gateway/decision', ownTests: undefined }
    bundle = await compile(readSource(folder), sources, async (_name, work) => work())
    rmSync(folder, { recursive: true })
  }, 30_000)

  const archiveOf = ({
    sequence,
    by = ours,
  }: {
    sequence?: number
    by?: typeof ours | null
  } = {}): Buffer => {
    const metadata = sequence === undefined ? {} : { sequence }
    const files = withManifest(bundle.files, { ...bundle.manifest, revision: `r${sequence ?? ''}`, metadata })
    return writeBundle(by ? signBundle(files, createPrivateKey(by.privateKey), 'RS256') : files)
  }
  const needs = (members: Partial<BundleNeeds> = {}): BundleNeeds => ({
    shown: 'bundle.tar.gz',
    entrypoint: 'gateway/decision',
    builtinErrors: 'refuse',
    maxMemoryBytes: 64 * 1024 * 1024,
    maxEvaluationMs: 1000,
    models: () => ['tiny'],
    pools: () => ({}),
    signature: { required: false, publicKeyFile: [] },
    lastSequence: () => undefined,
    ...members,
  })
  const keysOf = (...pairs: (typeof ours)[]): string[] =>
    pairs.map(({ publicKey }) => path.join(temporaryFolder({ 'key.pem': publicKey }), 'key.pem'))
  const demanding = (...pairs: (typeof ours)[]) => ({
    signature: { required: true, publicKeyFile: keysOf(...pairs) },
  })
  async function build(archive: Uint8Array, members?: Partial<BundleNeeds>) {
    const steps: string[] = []
    const revision = await bundleEdition({ archive }, needs(members)).build(async (name, work) => {
      steps.push(name)
      return work()
    })
    revision.close()
    return { id: revision.id, steps }
  }
  const codeOf = async (archive: Uint8Array, members?: Partial<BundleNeeds>): Promise<string | undefined> => {
    const error = await rejectionOf(build(archive, members))
    expect(error).toBeInstanceOf(Refused)
    return (error as unknown as Refused).findings[0]?.code
  }

  it('is read, verified, loaded and asked samples, and has the revision of its manifest', async () => {
    const { id, steps } = await build(archiveOf({ sequence: 3 }))
    expect(steps).toEqual(['read', 'verify', 'load', 'samples'])
    expect(id).toBe('r3')
  })

  it('without a revision is known by its bytes', async () => {
    const { id } = await build(writeBundle(withManifest(bundle.files, { ...bundle.manifest, revision: '' })))
    expect(id).toMatch(/^[0-9a-f]{16}$/)
  })

  it('that nobody signed is refused where a signature is demanded, and only there', async () => {
    const unsigned = archiveOf({ by: null })
    expect(await codeOf(unsigned, demanding(ours))).toBe('unsigned_bundle')
    await build(unsigned)
    await build(unsigned, { signature: { required: false, publicKeyFile: keysOf(ours) } })
  })

  it('that somebody else signed is refused wherever there is a key to tell', async () => {
    const foreign = archiveOf({ by: theirs })
    expect(await codeOf(foreign, demanding(ours))).toBe('bad_signature')
    expect(await codeOf(foreign, { signature: { required: false, publicKeyFile: keysOf(ours) } })).toBe(
      'bad_signature',
    )
    await build(foreign)
  })

  it('is taken with any of several keys, so that they can be rotated', async () => {
    await build(archiveOf(), demanding(theirs, ours))
    await build(archiveOf({ by: theirs }), demanding(theirs, ours))
  })

  it('is refused when a key cannot be read: a signature that nobody checked is none', async () => {
    const signature = { required: true, publicKeyFile: [...keysOf(ours), 'gone.pem'] }
    expect(await codeOf(archiveOf(), { signature })).toBe('bad_key')
  })

  it.each([
    [6, 7, 'older_bundle'],
    [6.999, 7, 'older_bundle'],
    [7, 7, undefined],
    [8, 7, undefined],
    [undefined, 7, undefined],
    [6, undefined, undefined],
  ])('with the sequence %s after %s is refused with %s', async (sequence, last, code) => {
    const archive = archiveOf(sequence === undefined ? {} : { sequence })
    const members = { ...demanding(ours), lastSequence: () => last }
    if (code === undefined) await build(archive, members)
    else expect(await codeOf(archive, members)).toBe(code)
    // Without a signature a sequence is anybody's word.
    await build(archive, { lastSequence: () => last })
  })

  it('is another edition once its keys are others, or are there again', () => {
    const [file = ''] = keysOf(ours)
    const digest = () =>
      bundleEdition(
        { archive: Buffer.from('x') },
        needs({ signature: { required: true, publicKeyFile: [file] } }),
      ).digest
    const first = digest()
    expect(digest()).toBe(first)
    writeFileSync(file, theirs.publicKey)
    const second = digest()
    rmSync(file)
    expect(new Set([first, second, digest()]).size).toBe(3)
  })

  it('tells who keeps it, once it is in force, what was accepted', async () => {
    const kept: object[] = []
    const archive = archiveOf({ sequence: 9 })
    const keeper = { accepted: (accepted: object) => void kept.push(accepted), confirmed: () => {} }
    const edition = bundleEdition({ archive, keeper }, needs())
    edition.accepted?.()
    expect(kept).toEqual([])
    const revision = await edition.build(async (_name, work) => work())
    edition.accepted?.()
    expect(kept).toEqual([{ archive, revision: 'r9', sequence: 9 }])
    revision.close()
  })

  it('is refused for its entrypoint like any other', async () => {
    expect(await codeOf(archiveOf(), { entrypoint: 'gateway/other' })).toBe('no_entrypoint')
  })
})
