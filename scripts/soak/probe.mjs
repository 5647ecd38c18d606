/**
 * Loaded into the gateway before anything else: says every so often, after a full garbage collection, how
 * much of the heap is really in use and what keeps the process awake. Nothing of it is in the package.
 */
import { appendFileSync } from 'node:fs'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { isMainThread } from 'node:worker_threads'

const { SOAK_PROBE, SOAK_PROBE_MS = '60000' } = process.env

if (SOAK_PROBE && isMainThread && process.argv[2] === 'serve') {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc')
  setInterval(() => {
    collect()
    const { heapUsed, external, arrayBuffers } = process.memoryUsage()
    const resources = {}
    for (const name of process.getActiveResourcesInfo()) resources[name] = (resources[name] ?? 0) + 1
    const line = { at: Date.now(), heapUsed, external, arrayBuffers, resources }
    appendFileSync(SOAK_PROBE, `${JSON.stringify(line)}\n`)
  }, Number(SOAK_PROBE_MS)).unref()
}
