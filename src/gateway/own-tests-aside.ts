/**
 * Runs a policy's own tests in a thread of their own: they ask an engine some hundred times, and requests
 * must not wait for that.
 */
import path from 'node:path'
import { Worker } from 'node:worker_threads'
import type { Finding } from '../contract/findings.ts'
import type { PoolFacts } from '../contract/input.schema.ts'
import type { OwnTestNeeds, ScenarioSetting, Tested } from '../policy/own-tests.ts'

/** What a thread is given: values, no functions. */
export interface OwnTestOrder {
  readonly tested: Tested
  readonly shown: string
  readonly entrypoint: string
  readonly setting: (Pick<ScenarioSetting, 'builtinErrors' | 'maxMemoryBytes'> & PoolsSeen) | undefined
  readonly now: number | undefined
}

interface PoolsSeen {
  readonly pools: Readonly<Record<string, PoolFacts>>
}

/** Beside this file, as it is run: compiled, or from its source. */
const EXTENSION = path.extname(import.meta.url)
const THREAD = new URL(`./own-tests-thread${EXTENSION}`, import.meta.url)

/** @throws what kept the tests from being run */
export function runOwnTestsAside(tested: Tested, needs: OwnTestNeeds): Promise<readonly Finding[]> {
  const { shown, entrypoint, scenarios, now } = needs
  const order: OwnTestOrder = {
    tested: { snapshot: tested.snapshot, bundle: pick(tested.bundle) },
    shown,
    entrypoint,
    setting: scenarios && {
      builtinErrors: scenarios.builtinErrors,
      maxMemoryBytes: scenarios.maxMemoryBytes,
      pools: scenarios.pools(),
    },
    now: now?.(),
  }
  const worker = new Worker(THREAD, {
    workerData: order,
    execArgv: EXTENSION === '.ts' ? ['--import', 'tsx'] : [],
  })
  return new Promise<readonly Finding[]>((resolve, reject) => {
    worker.once('message', resolve)
    worker.once('error', reject)
    worker.once('exit', status => reject(new Error(`the tests ended without a result, ${status}`)))
  }).finally(() => worker.terminate())
}

function pick({ wasm, dataText }: Tested['bundle']): Tested['bundle'] {
  return { wasm, dataText }
}
