import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { mergedByTime, workerLog, workerLogs, workersWithLogs } from '../../src/audit/worker-logs.ts'
import { temporaryFolder } from '../support/folder.ts'

describe('the logs of workers', () => {
  it.each(['audit.jsonl', 'audit', 'a.b.jsonl'])('are beside %s, by their numbers', name => {
    const folder = temporaryFolder()
    const file = path.join(folder, name)
    const others = [
      'audit.worker-.jsonl',
      'audit.worker-03.jsonl',
      'other.worker-4.jsonl',
      'audit.worker-5x.jsonl',
    ]
    for (const other of others) writeFileSync(path.join(folder, other), '')
    expect(workersWithLogs(file)).toEqual([])
    for (const worker of [10, 2]) writeFileSync(workerLog(file, worker), '')
    writeFileSync(`${workerLog(file, 7)}.3.gz`, '')
    writeFileSync(`${workerLog(file, 8)}.head`, '')
    writeFileSync(`${workerLog(file, 9)}.lock`, '')
    expect(workersWithLogs(file)).toEqual([2, 7, 10])
    expect(workerLogs(file)).toEqual([2, 7, 10].map(worker => workerLog(file, worker)))
  })

  it('are none of a log that is in no folder', () => {
    expect(workerLogs(path.join(temporaryFolder(), 'no', 'audit.jsonl'))).toEqual([])
  })

  it('are read in the order of time, and each in its own order', () => {
    const at = (second: number, name: string): string =>
      `{"timestamp":"2026-01-01T00:00:0${second}.000Z","name":"${name}"}`
    const one = [at(1, 'a'), at(5, 'b'), at(3, 'c'), 'no record']
    const other = [at(2, 'd'), at(4, 'e'), at(6, 'f')]
    expect(mergedByTime([one, other])).toEqual([one[0], other[0], other[1], one[1], one[2], one[3], other[2]])
  })
})
