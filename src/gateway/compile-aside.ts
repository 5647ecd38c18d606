/**
 * Compiles a policy in a thread of its own: what is read, written, unpacked and tried for it would hold
 * requests up.
 */
import path from 'node:path'
import { Worker } from 'node:worker_threads'
import type { Finding } from '../contract/findings.ts'
import type { PoolFacts } from '../contract/input.schema.ts'
import { Refused } from '../policy/activate/activation.ts'
import type { CompileNeeds } from '../policy/activate/edition.ts'
import type { Stepper } from '../policy/activate/load.ts'
import type { Bundle } from '../policy/bundles/bundle.ts'
import type { Snapshot } from '../policy/compile/source.ts'
import type { ScenarioSetting } from '../policy/tests/own-tests.ts'

/** What the thread is given: values, no functions. */
export interface CompileOrder {
  readonly snapshot: Snapshot
  readonly shown: string
  readonly entrypoint: string
  readonly strict: boolean
  readonly runsTests: boolean
  readonly scenarios: (Omit<ScenarioSetting, 'pools' | 'readRequest'> & PoolsAtRest) | undefined
  readonly now: number | undefined
}

interface PoolsAtRest {
  readonly pools: Readonly<Record<string, PoolFacts>>
}

/** What the thread tells; the last one is the bundle, or why there is none. */
export type CompileNews =
  | { readonly begins: string }
  | { readonly ends: string }
  | { readonly bundle: Bundle }
  | { readonly refused: readonly Finding[] }

/** Beside this file, as it is run: compiled, or from its source. */
const EXTENSION = path.extname(import.meta.url)
const THREAD = new URL(`./compile-thread${EXTENSION}`, import.meta.url)

/** @throws Refused, and what kept the thread from its work */
export async function compileAside(snapshot: Snapshot, needs: CompileNeeds, step: Stepper): Promise<Bundle> {
  const { shown, entrypoint, strict = false, ownTests, scenarios, now } = needs
  const order: CompileOrder = {
    snapshot,
    shown,
    entrypoint,
    strict,
    runsTests: ownTests !== undefined,
    scenarios: scenarios && {
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
  const ends = new Map<string, () => void>()
  const steps: Promise<void>[] = []
  try {
    return await new Promise<Bundle>((resolve, reject) => {
      worker.on('message', (news: CompileNews) => {
        if ('begins' in news) {
          const over = new Promise<void>(end => ends.set(news.begins, end))
          steps.push(step(news.begins, () => over))
        } else if ('ends' in news) ends.get(news.ends)?.()
        else if ('refused' in news) reject(new Refused(news.refused))
        else resolve(news.bundle)
      })
      worker.once('error', reject)
      worker.once('exit', status => reject(new Error(`the compiler's thread ended with ${status}`)))
    })
  } finally {
    for (const end of ends.values()) end()
    await Promise.all(steps)
    await worker.terminate()
  }
}
