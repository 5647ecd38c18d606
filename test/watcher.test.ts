import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type Watcher, watchPath } from '../src/watcher.ts'
import { temporaryFolder } from './support/folder.ts'

describe('a folder that is watched', () => {
  let notices = 0
  let watcher: Watcher
  let folder: string
  // Nothing is looked at anyway: what is noticed was noticed by the watch.
  beforeEach(async () => {
    vi.useFakeTimers({ toFake: ['setInterval'] })
    folder = path.join(temporaryFolder(), 'policies')
    mkdirSync(folder)
    notices = 0
    watcher = watchPath(folder, () => notices++)
    await noticed(() => {})
  })
  afterEach(async () => {
    await watcher.close()
    vi.useRealTimers()
  })

  async function noticed(change: () => void): Promise<void> {
    const before = notices
    change()
    await expect.poll(() => notices).toBeGreaterThan(before)
  }
  const edit = (text: string): void => writeFileSync(path.join(folder, 'gateway.rego'), text)

  it.each([
    ['is moved away and back', () => renameSync(`${folder}.old`, folder)],
    ['is replaced by another', () => mkdirSync(folder)],
  ])('is watched on when it %s', async (_what, comeBack) => {
    await noticed(() => edit('one'))
    await noticed(() => renameSync(folder, `${folder}.old`))
    await noticed(comeBack)
    await noticed(() => edit('two'))
    await noticed(() => edit('three'))
  })

  it('is watched on when it is back before anybody looked', async () => {
    await noticed(() => edit('one'))
    await noticed(() => {
      renameSync(folder, `${folder}.old`)
      renameSync(`${folder}.old`, folder)
    })
    await noticed(() => edit('two'))
    await noticed(() => edit('three'))
  })

  it('is noticed to go, and to come', async () => {
    await noticed(() => rmSync(folder, { recursive: true }))
    await noticed(() => mkdirSync(folder))
  })
})
