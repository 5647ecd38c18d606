import { spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { takeLock } from '../../src/audit/lock.ts'
import { temporaryFolder } from '../support/folder.ts'
import { rejectionOf } from '../support/thrown.ts'

const MODULE = new URL('../../src/audit/lock.ts', import.meta.url).href

/** Another process that holds the lock until it is ended. */
async function holder(file: string) {
  const code = `const { takeLock } = await import(${JSON.stringify(MODULE)}); await takeLock(${JSON.stringify(file)}); console.log('held'); setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', code])
  onTestFinished(() => void child.kill('SIGKILL'))
  await once(child.stdout, 'data')
  return child
}

describe('the lock', () => {
  it('is held by one, and free again when it was released', async () => {
    const file = path.join(temporaryFolder(), 'audit.jsonl')
    const lock = await takeLock(file)
    expect(await rejectionOf(takeLock(file))).toMatchObject({ code: 'audit_in_use' })
    lock?.release()
    await expect.poll(async () => (await takeLock(file).catch(() => undefined)) !== undefined).toBe(true)
  })

  it('is not kept by a process that was killed', async () => {
    const file = path.join(temporaryFolder(), 'audit.jsonl')
    const child = await holder(file)
    expect(await rejectionOf(takeLock(file))).toMatchObject({ code: 'audit_in_use' })
    child.kill('SIGKILL')
    await once(child, 'close')
    const lock = await takeLock(file)
    expect(lock).toBeDefined()
    lock?.release()
  })

  it('goes to one of many that find it dead at the same moment', async () => {
    const file = path.join(temporaryFolder(), 'audit.jsonl')
    const child = await holder(file)
    child.kill('SIGKILL')
    await once(child, 'close')
    const taken = await Promise.all(Array.from({ length: 10 }, () => takeLock(file).catch(() => undefined)))
    const held = taken.filter(lock => lock !== undefined)
    expect(held).toHaveLength(1)
    held[0]?.release()
  })

  it('is found where the path is longer than that of a socket may be', async () => {
    const file = path.join(
      temporaryFolder({ [`${'deep/'.repeat(30)}x`]: '' }),
      'deep/'.repeat(30),
      'audit.jsonl',
    )
    const lock = await takeLock(file)
    expect(lock).toBeDefined()
    expect(await rejectionOf(takeLock(file))).toMatchObject({ code: 'audit_in_use' })
    lock?.release()
  })
})
