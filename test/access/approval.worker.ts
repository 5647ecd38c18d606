/** Approves what was asked for, on a store in a file, and is killed on the way: see `approval-killed.test.ts`. */
import { appendFileSync } from 'node:fs'
import { createAccess } from '../../src/access/access.ts'
import type { AccessDocument } from '../../src/access/document.ts'
import type { Principal } from '../../src/contract/input.schema.ts'
import type { Shelf } from '../../src/contract/shelf.ts'
import { openSqliteStore } from '../../src/store/sqlite.ts'

const [file = '', log = '', killAt] = process.argv.slice(2)
let step = 0

/** Before what it does, and after: the last moment of this process is any of them. */
async function withRisk<T>(work: () => Promise<T> | T): Promise<T> {
  if (++step === Number(killAt)) process.kill(process.pid, 'SIGKILL')
  const done = await work()
  if (++step === Number(killAt)) process.kill(process.pid, 'SIGKILL')
  return done
}

const store = await openSqliteStore({ path: file, now: Date.now, gateway: 'worker' })
const shelf = store.shelf<AccessDocument>('access_requests')
const risky: Shelf<AccessDocument> = {
  ...shelf,
  put: (...args) => withRisk(() => shelf.put(...args)),
  remove: (...args) => withRisk(() => shelf.remove(...args)),
}
const person = (id: string): Principal => ({
  ...{ id, kind: 'user', roles: [], team: null, authenticated: true, method: 'api_key' },
  ...{ key_id: null, claims: {}, expires_at: null },
})
const access = createAccess({
  requests: risky,
  questions: store.shelf('access_questions'),
  now: Date.now,
  steady: () => performance.now(),
  newId: prefix => `${prefix}1`,
  digest: text => text,
  record: ({ event }) => withRisk(() => appendFileSync(log, `${event}\n`)),
  onEnded: () => {},
  every: () => ({ close: () => {} }),
  onFault: cause => {
    throw cause
  },
})
await access.open()
const judge = { ask: () => '{"outcome": "ask", "approvers": {"ids": ["lea"]}}' }
const asked = { models: ['tiny'], duration: '1h', reason: 'incident' }
const { id } = await access.desk.ask(person('dev'), asked, judge)
await access.desk.approve(id, person('lea'), null, judge)
process.stdout.write(`${step}\n`)
store.close()
