import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { createLastGood, type KeptBundle } from '../../../src/policy/bundles/last-good.ts'
import { temporaryFolder } from '../../support/folder.ts'

const bundle = (text: string, members: Partial<KeptBundle> = {}): KeptBundle => ({
  archive: Buffer.from(text),
  revision: text,
  sequence: undefined,
  confirmedAt: 1000,
  etag: undefined,
  ...members,
})
const SOURCE = '/policies/bundle.tar.gz'
const folder = (): string => path.join(temporaryFolder(), 'state')

describe('the last good bundle', () => {
  it('is nothing at first, and no folder is made for it', () => {
    const state = folder()
    const lastGood = createLastGood(state, SOURCE)
    expect([lastGood.read(), lastGood.sequence()]).toEqual([undefined, undefined])
    expect(() => readdirSync(state)).toThrow()
  })

  it('outlives the process', () => {
    const state = folder()
    const kept = bundle('one', { sequence: 7, etag: '"e"', confirmedAt: 5000 })
    createLastGood(state, SOURCE).keep(kept)
    expect(createLastGood(state, SOURCE).read()).toEqual(kept)
    expect(createLastGood(state, SOURCE).sequence()).toBe(7)
  })

  it('is one: the earlier one is removed', () => {
    const state = folder()
    const lastGood = createLastGood(state, SOURCE)
    for (const text of ['one', 'two', 'three']) lastGood.keep(bundle(text))
    expect(createLastGood(state, SOURCE).read()?.revision).toBe('three')
    expect(readdirSync(state).filter(name => name.endsWith('.tar.gz'))).toHaveLength(1)
    expect(readdirSync(state).filter(name => name.endsWith('.next'))).toEqual([])
  })

  it('is of one source: another has its own', () => {
    const state = folder()
    createLastGood(state, SOURCE).keep(bundle('one', { sequence: 7 }))
    const other = createLastGood(state, 'https://policies.example/bundle.tar.gz')
    expect([other.read(), other.sequence()]).toEqual([undefined, undefined])
    other.keep(bundle('two'))
    expect(createLastGood(state, SOURCE).read()?.revision).toBe('one')
  })

  it('does not forget the highest sequence for a bundle that has none, or a lower one', () => {
    const state = folder()
    const lastGood = createLastGood(state, SOURCE)
    lastGood.keep(bundle('one', { sequence: 7 }))
    lastGood.keep(bundle('two'))
    lastGood.keep(bundle('three', { sequence: 3 }))
    expect(createLastGood(state, SOURCE).sequence()).toBe(7)
  })

  it.each(['one and more', ''])('is none when it was changed to %j, and its sequence stands', text => {
    const state = folder()
    createLastGood(state, SOURCE).keep(bundle('one', { sequence: 7 }))
    const [file = ''] = readdirSync(state).filter(name => name.endsWith('.tar.gz'))
    writeFileSync(path.join(state, file), text)
    const damaged = createLastGood(state, SOURCE)
    expect([damaged.read(), damaged.sequence()]).toEqual([undefined, 7])
  })

  it('is none when its note cannot be read', () => {
    const state = folder()
    createLastGood(state, SOURCE).keep(bundle('one'))
    const [note = ''] = readdirSync(state).filter(name => name.endsWith('.json'))
    writeFileSync(path.join(state, note), '{')
    expect(createLastGood(state, SOURCE).read()).toBeUndefined()
  })

  it('is confirmed on disk once a minute at most', () => {
    const state = folder()
    const lastGood = createLastGood(state, SOURCE)
    lastGood.confirm(1)
    lastGood.keep(bundle('one', { confirmedAt: 1000 }))
    const confirmed = () => createLastGood(state, SOURCE).read()?.confirmedAt
    lastGood.confirm(30_000)
    expect(confirmed()).toBe(1000)
    lastGood.confirm(61_000)
    expect(confirmed()).toBe(61_000)
  })

  it('says so when the disk does not take it', () => {
    const state = folder()
    mkdirSync(path.dirname(state), { recursive: true })
    writeFileSync(state, 'in the way')
    expect(() => createLastGood(state, SOURCE).keep(bundle('one'))).toThrow()
    expect(readFileSync(state, 'utf8')).toBe('in the way')
  })
})
