/** Writes an audit log on a disk that fills up, and says how many records were taken and refused. */
import { writeSync } from 'node:fs'
import { GENESIS } from '../../src/audit/chain.ts'
import { createFileSink } from '../../src/audit/file-sink.ts'
import { createAuditLog } from '../../src/audit/log.ts'

process.on('SIGXFSZ', () => {})
const file = process.argv[2] as string
const log = createAuditLog({
  channels: [
    {
      type: 'file',
      name: 'file',
      sink: createFileSink({ path: file, sync: 'never', now: Date.now, onTrouble: () => {} }),
      from: GENESIS,
      decides: true,
    },
  ],
  now: Date.now,
  onFailure: 'refuse',
  onRecords: () => {},
  onStateChange: () => {},
})
const told = { written: 0, refused: 0 }
// Long records until one does not fit, then short ones, for which there is room.
for (const size of [3000, 3000, 3000, 3000, 3000, 3000, 3000, 50, 50, 3000, 50]) {
  await log.write(JSON.stringify({ event: 'e', text: 'x'.repeat(size) })).then(
    () => told.written++,
    () => told.refused++,
  )
}
await log.close()
writeSync(1, JSON.stringify(told))
