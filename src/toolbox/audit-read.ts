/**
 * Reads audit logs, with their rotated parts, plain or gzipped, and shows how far it is.
 */
import { statSync } from 'node:fs'
import { isPacked } from '../audit/lines.ts'
import { partsOf } from '../audit/parts.ts'
import { recordsIn } from '../audit/read-records.ts'
import { CommandFailure, EXIT } from './output.ts'
import { createBar } from './progress.ts'

/** About how much more there is in a gzipped log than its size. */
const PACKED_RATIO = 8

/** @param take - May say with a promise that it can take no more for now. @throws CommandFailure */
export async function readLogs(
  logs: readonly string[],
  take: (line: string) => void,
  afterBatch: () => Promise<void> | undefined = () => undefined,
): Promise<void> {
  const files = [...new Set(logs.flatMap(partsOf))]
  const bar = createBar(files.reduce((sum, file) => sum + sizeOf(file), 0))
  let before = 0
  for (const file of files) {
    const size = sizeOf(file)
    try {
      const ratio = isPacked(file) ? PACKED_RATIO : 1
      let read = 0
      for await (const batch of recordsIn(file)) {
        for (const { text } of batch) {
          read += text.length + 1
          take(text)
        }
        bar.at(before + Math.min(size, read / ratio))
        await afterBatch()
      }
    } catch (error) {
      bar.end()
      const { code, message } = error as NodeJS.ErrnoException
      if (code === undefined) throw error
      throw new CommandFailure(EXIT.failure, `cannot read ${file}: ${code ?? message}`)
    }
    before += size
  }
  bar.end()
}

function sizeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0
}
