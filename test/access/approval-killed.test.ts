import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { createAccess } from '../../src/access/access.ts'
import type { AccessDocument } from '../../src/access/document.ts'
import type { AccessEvent } from '../../src/access/events.ts'
import { openSqliteStore } from '../../src/store/sqlite.ts'
import { temporaryFolder } from '../support/folder.ts'

const WORKER = new URL('./approval.worker.ts', import.meta.url).pathname

/** What a gateway finds in the store that another one left, now and once promises are over. */
async function findIn(file: string) {
  let shift = 0
  const events: AccessEvent[] = []
  const now = (): number => Date.now() + shift
  const store = await openSqliteStore({ path: file, now, gateway: 'second' })
  const access = createAccess({
    requests: store.shelf<AccessDocument>('access_requests'),
    questions: store.shelf('access_questions'),
    now,
    steady: () => performance.now() + shift,
    newId: prefix => prefix,
    digest: text => text,
    record: async event => void events.push(event),
    onEnded: () => {},
    every: () => ({ close: () => {} }),
    onFault: cause => {
      throw cause
    },
  })
  await access.open()
  const grants = access.activeOf('dev', now()).length
  shift = 15_000
  await access.desk.sweep()
  const later = access.activeOf('dev', now()).length
  access.close()
  store.close()
  return { grants, later, told: events.map(({ event }) => event) }
}

/** Killed before and after each single write of a request and its approval, to the store or the log. */
describe('a gateway that is killed while access is approved', () => {
  it('leaves no grant that is not on record, at whatever step it dies', async () => {
    const died = (killAt: number, file: string, log: string) =>
      new Promise<{ signal: string | undefined; steps: number }>(resolve => {
        execFile(process.execPath, ['--import', 'tsx', WORKER, file, log, String(killAt)], (error, stdout) =>
          resolve({ signal: error?.signal ?? undefined, steps: Number(stdout) }),
        )
      })
    const states: string[] = []
    for (let killAt = 1; ; killAt++) {
      const folder = temporaryFolder()
      const [file, log] = [path.join(folder, 'store.db'), path.join(folder, 'log')]
      const { signal, steps } = await died(killAt, file, log)
      const recorded = existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : []
      const found = await findIn(file)
      const approved = recorded.includes('access.approved')
      if (found.grants > 0 || found.later > 0) expect(approved).toBe(true)
      expect(found.later).toBe(found.grants)
      // One that was promised and never came is told to be over.
      if (approved && found.grants === 0) expect(found.told).toContain('access.expired')
      states.push(`${approved ? 'approved' : 'not approved'}, ${found.grants ? 'in force' : 'not in force'}`)
      if (signal === undefined) {
        expect(steps).toBe(killAt - 1)
        break
      }
      expect(signal).toBe('SIGKILL')
    }
    expect(new Set(states)).toEqual(
      new Set(['not approved, not in force', 'approved, not in force', 'approved, in force']),
    )
    expect(states.at(-1)).toBe('approved, in force')
  })
})
