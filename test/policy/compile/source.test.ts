import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { isTest, readSource, writeSnapshot } from '../../../src/policy/compile/source.ts'
import { temporaryFolder } from '../../support/folder.ts'
import { thrownBy } from '../../support/thrown.ts'

const FILES = {
  'gateway/decision.rego': 'package gateway',
  'gateway/decision_test.rego': 'package gateway_test',
  'gateway/data.json': '{"a": 1}',
  'tables/data.yaml': 'b: 2',
  'scenarios/hours.scenario.yaml': 'cases: []',
}
const namesIn = (folder: string): string[] => readSource(folder).files.map(file => file.name)

describe('readSource', () => {
  it('takes what opa would take, by relative name', () => {
    expect(namesIn(temporaryFolder(FILES))).toEqual(Object.keys(FILES).sort())
  })

  it('leaves the rest where it is', () => {
    const more = {
      'README.md': '',
      'other.json': '{}',
      'gateway/x.rego.bak': '',
      'gateway/.x.rego.swp': '',
      'gateway/.#x.rego': '',
      '.git/x.rego': '',
    }
    expect(namesIn(temporaryFolder({ ...FILES, ...more }))).toEqual(Object.keys(FILES).sort())
  })

  it.each([
    ['is not there', (folder: string) => path.join(folder, 'gone')],
    ['is empty', (folder: string) => folder],
    ['is a file', (folder: string) => path.join(folder, 'a.rego')],
  ])('refuses a folder that %s', (what, of) => {
    const folder = temporaryFolder(what === 'is a file' ? { 'a.rego': '' } : {})
    expect(thrownBy(() => readSource(of(folder))).code).toBe('unreadable_source')
  })

  it('refuses a folder that holds data and no rule', () => {
    expect(thrownBy(() => readSource(temporaryFolder({ 'data.json': '{}' }))).code).toBe('unreadable_source')
  })

  it('refuses a symlink that leads nowhere, or round in a circle, rather than read a part', () => {
    const nowhere = temporaryFolder(FILES)
    symlinkSync('gone.rego', path.join(nowhere, 'x.rego'))
    expect(thrownBy(() => readSource(nowhere)).code).toBe('unreadable_source')
    const circle = temporaryFolder(FILES)
    symlinkSync('.', path.join(circle, 'round'))
    expect(thrownBy(() => readSource(circle)).code).toBe('unreadable_source')
  })
})

describe('the digest and the revision', () => {
  const of = (files: Record<string, string>) => readSource(temporaryFolder(files))

  it('are the same for the same contents, wherever they stand', () => {
    expect(of(FILES)).toMatchObject({ digest: of(FILES).digest, revision: of(FILES).revision })
  })

  it('both change with a rule, with data, and with a name', () => {
    const { digest, revision } = of(FILES)
    for (const changed of [
      { ...FILES, 'gateway/decision.rego': 'package gateway ' },
      { ...FILES, 'gateway/data.json': '{"a": 2}' },
      { ...FILES, 'tables/data.yaml': 'b: 3' },
      { ...FILES, 'gateway/more.rego': 'package gateway' },
    ]) {
      expect(of(changed).digest).not.toBe(digest)
      expect(of(changed).revision).not.toBe(revision)
    }
  })

  it('differ in this: an edit of a test changes the digest and not the revision', () => {
    const { digest, revision } = of(FILES)
    for (const test of ['gateway/decision_test.rego', 'scenarios/hours.scenario.yaml']) {
      const changed = of({ ...FILES, [test]: '# edited' })
      expect(changed.digest).not.toBe(digest)
      expect(changed.revision).toBe(revision)
    }
  })

  it('are not those of the same bytes, cut into files elsewhere', () => {
    expect(of({ 'a.rego': 'xy', 'b.rego': 'z' }).digest).not.toBe(
      of({ 'a.rego': 'x', 'b.rego': 'yz' }).digest,
    )
  })
})

/** Kubernetes mounts a folder of symlinks to `..data/`, itself a symlink to `..2026_01_01`, and switches that. */
describe('a folder as Kubernetes mounts it', () => {
  function mount(): { folder: string; fill(name: string, rule: string): void; point(name: string): void } {
    const folder = temporaryFolder()
    const fill = (name: string, rule: string): void => {
      mkdirSync(path.join(folder, name))
      writeFileSync(path.join(folder, name, 'decision.rego'), rule)
    }
    const point = (name: string): void => {
      symlinkSync(name, path.join(folder, '..data_tmp'))
      renameSync(path.join(folder, '..data_tmp'), path.join(folder, '..data'))
    }
    return { folder, fill, point }
  }

  it('is read once, through its links', () => {
    const { folder, fill, point } = mount()
    fill('..2026_01', 'package one')
    point('..2026_01')
    symlinkSync('..data/decision.rego', path.join(folder, 'decision.rego'))
    expect(readSource(folder).files.map(({ name, bytes }) => [name, bytes.toString()])).toEqual([
      ['decision.rego', 'package one'],
    ])
  })

  it('is another when the link is switched', () => {
    const { folder, fill, point } = mount()
    fill('..2026_01', 'package one')
    fill('..2026_02', 'package two')
    point('..2026_01')
    symlinkSync('..data/decision.rego', path.join(folder, 'decision.rego'))
    const before = readSource(folder)
    point('..2026_02')
    expect(readSource(folder).revision).not.toBe(before.revision)
    rmSync(path.join(folder, '..2026_01'), { recursive: true })
    point('..2026_02')
    expect(readSource(folder).files[0]?.bytes.toString()).toBe('package two')
  })
})

describe('a snapshot', () => {
  it('is what it was when it was read, and is written out whole', () => {
    const folder = temporaryFolder(FILES)
    const snapshot = readSource(folder)
    writeFileSync(path.join(folder, 'gateway/decision.rego'), 'edited meanwhile')
    const copy = temporaryFolder()
    writeSnapshot(snapshot, copy)
    expect(readSource(copy).digest).toBe(snapshot.digest)
  })
})

describe('isTest', () => {
  it.each([
    ['a/x_test.rego', true],
    ['x.scenario.yaml', true],
    ['test.rego', false],
    ['x_test.rego/y.rego', false],
    ['data.yaml', false],
  ])('takes %s for a test: %s', (name, test) => {
    expect(isTest(name)).toBe(test)
  })
})
