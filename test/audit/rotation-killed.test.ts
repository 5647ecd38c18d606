import { spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { partsOf } from '../../src/audit/parts.ts'
import { recover } from '../../src/audit/recover.ts'
import { verify } from '../../src/audit/verify.ts'
import { temporaryFolder } from '../support/folder.ts'

const WORKER = new URL('./rotation.worker.ts', import.meta.url).pathname

describe('a process that is killed while it rotates', () => {
  it('leaves a log that is whole, with everything in it that it was told is written', async () => {
    const file = path.join(temporaryFolder(), 'audit.jsonl')
    let written = 0
    for (let round = 1; round <= 6; round++) {
      const child = spawn(process.execPath, ['--import', 'tsx', WORKER, file])
      onTestFinished(() => void child.kill('SIGKILL'))
      const troubles: string[] = []
      child.stderr.on('data', chunk => troubles.push(String(chunk)))
      let said = ''
      let toCome = 37 * round
      child.stdout.on('data', chunk => {
        said += chunk
        toCome -= String(chunk).split('\n').length - 1
        if (toCome <= 0) child.kill('SIGKILL')
      })
      await once(child, 'close')
      expect(troubles).toEqual([])
      written = Number(said.split('\n').at(-2))
      await recover(file)
      const found = await verify(() => partsOf(file))
      expect(found.problems).toEqual([])
      expect(found.records).toBeGreaterThanOrEqual(written)
    }
    expect(written).toBeGreaterThan(6 * 37)
    expect(partsOf(file).some(part => part.endsWith('.gz'))).toBe(true)
  })
})
