/**
 * Reads audit logs, with their rotated parts, plain or gzipped, and shows how far it is.
 */
import { fstatSync } from 'node:fs'
import { isPacked } from '../audit/lines.ts'
import { closeParts, type OpenPart, openParts, partsOf } from '../audit/parts.ts'
import { recordsIn } from '../audit/read-records.ts'
import { CommandFailure, EXIT } from './output.ts'
import { createBar } from './progress.ts'

/** About how much more there is in a gzipped log than its size. */
const PACKED_RATIO = 8

/**
 * @param afterBatch - What is waited for now and then, such as a reader that does not keep up.
 * @throws CommandFailure
 */
export async function readLogs(
  logs: readonly string[],
  take: (line: string) => void,
  afterBatch: () => Promise<void> | undefined = () => undefined,
): Promise<void> {
  const parts = opened(logs)
  const bar = createBar(parts.reduce((sum, { fd }) => sum + fstatSync(fd).size, 0))
  let before = 0
  try {
    for (const part of parts) {
      const { size } = fstatSync(part.fd)
      const ratio = isPacked(part) ? PACKED_RATIO : 1
      let read = 0
      for await (const batch of recordsIn(part)) {
        for (const { text } of batch) {
          read += text.length + 1
          take(text)
        }
        bar.at(before + Math.min(size, read / ratio))
        await afterBatch()
      }
      before += size
    }
  } catch (error) {
    throw unreadable(error)
  } finally {
    bar.end()
    closeParts(parts)
  }
}

/** A part that was named itself is not read a second time. */
function opened(logs: readonly string[]): OpenPart[] {
  try {
    return openParts(() => [...new Set(logs.flatMap(partsOf))])
  } catch (error) {
    throw unreadable(error)
  }
}

function unreadable(error: unknown): unknown {
  const { code, message } = error as NodeJS.ErrnoException
  return code === undefined ? error : new CommandFailure(EXIT.failure, `cannot read the log: ${message}`)
}
