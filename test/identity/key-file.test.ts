import { fork } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { changeKeyFile, type KeyRecord, readKeyFile } from '../../src/identity/key-file.ts'
import { temporaryFolder } from '../support/folder.ts'
import { rejectionOf, thrownBy } from '../support/thrown.ts'

const HASH = 'a'.repeat(64)
const record = (number: number): KeyRecord => ({
  id: `k_${String(number).padStart(10, '0')}`,
  hash: HASH,
  principal: `p${number}`,
  kind: 'service',
  roles: ['developer'],
  team: null,
  created_at: '2026-01-01T00:00:00Z',
  expires_at: null,
  revoked_at: null,
})
const add = (number: number) => (keys: readonly KeyRecord[]) => [...keys, record(number)]

describe('readKeyFile', () => {
  it('finds no keys where there is no file', () => {
    expect(readKeyFile(path.join(temporaryFolder(), 'keys.json'))).toEqual([])
  })

  it('fills in what an older or hand-written file leaves out', () => {
    const folder = temporaryFolder({
      'keys.json': JSON.stringify({
        keys: [{ id: 'k_0000000001', hash: HASH, principal: 'ana', roles: [] }],
      }),
    })
    expect(readKeyFile(path.join(folder, 'keys.json'))).toEqual([
      {
        id: 'k_0000000001',
        hash: HASH,
        principal: 'ana',
        kind: 'service',
        roles: [],
        team: null,
        created_at: null,
        expires_at: null,
        revoked_at: null,
      },
    ])
  })

  const key = { id: 'k_0000000001', hash: HASH, principal: 'ana', roles: [] }
  it.each([
    ['half a file', '{"keys": ['],
    ['an empty file', ''],
    ['a list', '[]'],
    ['no keys', '{}'],
    ['an unknown key', JSON.stringify({ keys: [{ ...key, admin: true }] })],
    ['a secret where a hash belongs', JSON.stringify({ keys: [{ ...key, hash: 'slp_0000000001_x' }] })],
    ['no roles', JSON.stringify({ keys: [{ ...key, roles: undefined }] })],
    ['nobody', JSON.stringify({ keys: [{ ...key, principal: '' }] })],
    [
      'an end that is no instant: the key would never end',
      JSON.stringify({ keys: [{ ...key, expires_at: 'next week' }] }),
    ],
  ])('refuses %s', (_what, text) => {
    const file = path.join(temporaryFolder({ 'keys.json': text }), 'keys.json')
    expect(thrownBy(() => readKeyFile(file)).code).toBe('invalid_key_file')
  })
})

describe('changeKeyFile', () => {
  it('makes the file and its folder, for its owner alone, and leaves nothing else there', async () => {
    const folder = temporaryFolder()
    const file = path.join(folder, 'deep/er/keys.json')
    await changeKeyFile(file, add(1))
    expect(readKeyFile(file)).toEqual([record(1)])
    expect(statSync(file).mode & 0o777).toBe(0o600)
    expect(readdirSync(path.dirname(file))).toEqual(['keys.json'])
  })

  it('loses none of many changes at once', async () => {
    const file = path.join(temporaryFolder(), 'keys.json')
    await Promise.all(Array.from({ length: 12 }, (_, number) => changeKeyFile(file, add(number))))
    expect(
      readKeyFile(file)
        .map(key => key.principal)
        .sort(),
    ).toEqual(Array.from({ length: 12 }, (_, number) => `p${number}`).sort())
  })

  it('loses none of the changes of several processes at once', async () => {
    const file = path.join(temporaryFolder(), 'keys.json')
    const worker = new URL('./key-file.worker.ts', import.meta.url).pathname
    const ended = Array.from({ length: 3 }, (_, number) => {
      const child = fork(worker, [file, String(number)], { execArgv: ['--import', 'tsx'] })
      return new Promise(resolve => child.once('exit', resolve))
    })
    expect(await Promise.all(ended)).toEqual([0, 0, 0])
    expect(new Set(readKeyFile(file).map(key => key.id)).size).toBe(15)
  })

  it('never shows a reader half a file', async () => {
    const file = path.join(temporaryFolder(), 'keys.json')
    await changeKeyFile(file, add(0))
    let writing = true
    const writes = (async () => {
      for (let number = 1; number < 40; number++) await changeKeyFile(file, add(number))
      writing = false
    })()
    while (writing) {
      expect(readKeyFile(file).length).toBeGreaterThan(0)
      await new Promise(resolve => setImmediate(resolve))
    }
    await writes
  })

  it('leaves the file as it was when the change fails, and lets the next one in', async () => {
    const file = path.join(temporaryFolder(), 'keys.json')
    await changeKeyFile(file, add(1))
    const before = readFileSync(file, 'utf8')
    await rejectionOf(
      changeKeyFile(file, () => {
        throw new Error('no such key')
      }),
    )
    expect(readFileSync(file, 'utf8')).toBe(before)
    await changeKeyFile(file, add(2))
    expect(readKeyFile(file)).toHaveLength(2)
  })

  it('does not write over a file that is no key file', async () => {
    const folder = temporaryFolder({ 'keys.json': '{"keys": [' })
    const file = path.join(folder, 'keys.json')
    expect((await rejectionOf(changeKeyFile(file, add(1)))).code).toBe('invalid_key_file')
    expect(readFileSync(file, 'utf8')).toBe('{"keys": [')
    expect(existsSync(`${file}.lock`)).toBe(false)
  })

  it('takes over a lock that a command left when it died', async () => {
    const file = path.join(temporaryFolder(), 'keys.json')
    writeFileSync(`${file}.lock`, '')
    const longAgo = new Date(2026, 0, 1)
    utimesSync(`${file}.lock`, longAgo, longAgo)
    await changeKeyFile(file, add(1))
    expect(readKeyFile(file)).toHaveLength(1)
  })
})
