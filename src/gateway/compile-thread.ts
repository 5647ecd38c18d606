/**
 * The thread in which a policy is compiled and tried.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { Refused } from '../policy/activate/activation.ts'
import { compile } from '../policy/activate/edition.ts'
import type { Stepper } from '../policy/activate/load.ts'
import type { Snapshot } from '../policy/compile/source.ts'
import { runOwnTests } from '../policy/tests/own-tests.ts'
import { readImagined } from '../server/imagine.ts'
import type { CompileNews, CompileOrder } from './compile-aside.ts'

const { snapshot, shown, entrypoint, strict, runsTests, scenarios, now } = workerData as CompileOrder

const tell = (news: CompileNews): void => parentPort?.postMessage(news)

const step: Stepper = async (name, work) => {
  tell({ begins: name })
  try {
    return await work()
  } finally {
    tell({ ends: name })
  }
}

try {
  const bundle = await compile(
    withBuffers(snapshot),
    {
      shown,
      entrypoint,
      strict,
      ownTests: runsTests ? runOwnTests : undefined,
      ...(scenarios && {
        scenarios: { ...scenarios, pools: () => scenarios.pools, readRequest: readImagined },
      }),
      ...(now !== undefined && { now: () => now }),
    },
    step,
  )
  tell({ bundle })
} catch (error) {
  if (!(error instanceof Refused)) throw error
  tell({ refused: error.findings })
}

/** On its way a buffer becomes an array of bytes. */
function withBuffers({ files, ...rest }: Snapshot): Snapshot {
  return { ...rest, files: files.map(({ name, bytes }) => ({ name, bytes: Buffer.from(bytes) })) }
}
