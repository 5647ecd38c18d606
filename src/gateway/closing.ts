/**
 * What was opened, to be closed in reverse: when a gateway stops, and when it could not start.
 */

export interface Closing {
  /** @returns The part itself. */
  add<T extends { close(): unknown }>(part: T): T
  /** Each once, whatever another one throws. */
  close(): Promise<void>
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
