/**
 * What a worker of `serve --workers` runs.
 */
import { runWorker } from '../gateway/worker.ts'
import { createOperatorLog } from '../telemetry/operator-log.ts'
import { toPrimary, workerNumber } from '../workers/processes.ts'
import { EXIT } from './output.ts'
import { logLevel } from './serve.ts'
import { tuneEngine } from './tuning.ts'

tuneEngine()
const number = workerNumber()
const log = createOperatorLog(process.stderr, logLevel(process.env.SALLYPORT_LOG_LEVEL), { worker: number })
// A file that may not grow any more is an audit failure, not the end of the process.
process.on('SIGXFSZ', () => {})
const origin = Date.now() - performance.now()
runWorker({
  number,
  port: toPrimary(),
  log,
  now: Date.now,
  steady: () => origin + performance.now(),
  random: Math.random,
  exit: () => process.exit(EXIT.good),
})
