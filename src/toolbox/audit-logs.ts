/**
 * Which files are a log, where several workers serve together and each has one of its own.
 */
import path from 'node:path'
import { workerLogs } from '../audit/worker-logs.ts'

export const withWorkers = (file: string): string[] => [file, ...workerLogs(file)]

/** The files of each log, as they were named: those of each worker are a chain of their own. */
export function chainsIn(files: readonly string[]): string[][] {
  const chains = new Map<string, string[]>()
  for (const file of files) {
    const worker = WORKER.exec(path.basename(file))?.[1] ?? ''
    chains.set(worker, [...(chains.get(worker) ?? []), file])
  }
  return [...chains.values()]
}

const WORKER = /\.worker-(\d{1,4})(?:\.|$)/
