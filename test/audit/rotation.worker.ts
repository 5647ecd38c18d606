/** Writes an audit log that is rotated and packed all the time, and says what it was promised is written. */
import { writeSync } from 'node:fs'
import { createFileSink } from '../../src/audit/file-sink.ts'
import { takeLock } from '../../src/audit/lock.ts'
import { createAuditLog } from '../../src/audit/log.ts'
import { recover } from '../../src/audit/recover.ts'

const file = process.argv[2] as string
await takeLock(file)
const { from } = await recover(file)
const sink = createFileSink({
  path: file,
  sync: 'never',
  now: Date.now,
  rotation: { maxBytes: 3000, compress: true },
  onTrouble: (what, error) => writeSync(2, `${what} ${error}\n`),
})
const log = createAuditLog({
  channels: [{ type: 'file', name: 'file', sink, from, decides: true }],
  onFailure: 'refuse',
  now: Date.now,
  onRecords: () => {},
  onStateChange: () => {},
})
for (;;) {
  await log.write(JSON.stringify({ event: 'e', text: 'x'.repeat(300) }))
  writeSync(1, `${log.state().seq}\n`)
}
