/**
 * The logs of workers that are no more: a gateway that is started with fewer of them closes what they had open.
 */
import path from 'node:path'
import { workerLog, workersWithLogs } from '../audit/worker-logs.ts'
import { ownAudit } from '../workers/own-config.ts'
import { openAudit, type TrailNeeds } from './trail.ts'

/** @param workers - How many there are now. */
export async function closeLeftLogs(needs: TrailNeeds, workers: number): Promise<void> {
  const { config, log, stateFolder } = needs
  const files = config.audit.sinks.flatMap(sink => (sink.type === 'file' ? [sink.path] : []))
  const left = new Set(files.flatMap(workersWithLogs).filter(worker => worker > workers))
  for (const worker of left) {
    const audit = ownAudit(config.audit, worker, workerLog)
    try {
      // What it had open is ended, on record, by opening it.
      const opened = await openAudit({
        ...needs,
        config: { ...config, audit: { ...audit, sinks: audit.sinks.filter(({ type }) => type === 'file') } },
        stateFolder: workerFolder(stateFolder, worker),
      })
      await opened.close()
    } catch (error) {
      log.warn('worker_log_not_closed', { worker, message: (error as Error).message })
    }
  }
}

/** Where a worker keeps what must outlive it. */
export function workerFolder(stateFolder: string, worker: number): string {
  return path.join(stateFolder, `worker-${worker}`)
}
