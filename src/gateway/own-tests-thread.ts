/**
 * The thread in which a policy's own tests are run.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { runOwnTests, type Tested } from '../policy/own-tests.ts'
import { readImagined } from '../server/imagine.ts'
import type { OwnTestOrder } from './own-tests-aside.ts'

const { tested, shown, entrypoint, setting, now } = workerData as OwnTestOrder

const findings = await runOwnTests(withBuffers(tested), {
  shown,
  entrypoint,
  ...(setting && { scenarios: { ...setting, pools: () => setting.pools, readRequest: readImagined } }),
  ...(now !== undefined && { now: () => now }),
})
parentPort?.postMessage(findings)

/** On its way a buffer becomes an array of bytes. */
function withBuffers({ snapshot, bundle }: Tested): Tested {
  const files = snapshot.files.map(({ name, bytes }) => ({ name, bytes: Buffer.from(bytes) }))
  return { snapshot: { ...snapshot, files }, bundle }
}
