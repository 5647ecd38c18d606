/**
 * What was opened, to be closed in reverse: when a gateway stops, and when it could not start.
 */

export interface Closing {
  /** @returns The part itself. */
  add<T extends { close(): unknown }>(part: T): T
  /** Each once, whatever another one throws. */
  close(): Promise<void>
}

/** @returns What was opened; where that fails, all of it is closed again. @throws as `open` */
export async function openOrClose<T>(open: (closing: Closing) => Promise<T>): Promise<T> {
  const closing = createClosing()
  try {
    return await open(closing)
  } catch (error) {
    await closing.close()
    throw error
  }
}

export function createClosing(): Closing {
  const parts: { close(): unknown }[] = []
  return {
    add(part) {
      parts.push(part)
      return part
    },
    async close() {
      for (const part of parts.splice(0).reverse()) {
        try {
          await part.close()
        } catch {
          // The others are to be closed all the same.
        }
      }
    },
  }
}
