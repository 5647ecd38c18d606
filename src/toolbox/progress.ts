/** Progress of a long command, on a terminal and nowhere else. */
const EVERY_MS = 100

export interface Progress {
  add(count: number): void
  end(): void
}

export function createProgress(what: string): Progress {
  const { stderr } = process
  if (!stderr.isTTY) return { add() {}, end() {} }
  const began = performance.now()
  let done = 0
  let shown = 0
  return {
    add(count) {
      done += count
      const now = performance.now()
      if (now - shown < EVERY_MS) return
      shown = now
      const perSecond = Math.round(done / ((now - began) / 1000))
      stderr.write(`\r${done} ${what}, ${perSecond} a second\u001b[K`)
    },
    end: () => void stderr.write('\r\u001b[K'),
  }
}

export interface Bar {
  at(done: number): void
  end(): void
}

const BAR_CELLS = 30

/** @param total - Bytes. */
export function createBar(total: number): Bar {
  const { stderr } = process
  if (!stderr.isTTY || total === 0) return { at() {}, end() {} }
  let shown = 0
  return {
    at(done) {
      const now = performance.now()
      if (now - shown < EVERY_MS) return
      shown = now
      const part = Math.min(1, done / total)
      const cells = Math.round(part * BAR_CELLS)
      const mib = (bytes: number): string => (bytes / 1024 ** 2).toFixed(0)
      stderr.write(
        `\r[${'#'.repeat(cells)}${'.'.repeat(BAR_CELLS - cells)}] ${Math.floor(part * 100)} %, ${mib(done)} of ${mib(total)} MiB\u001b[K`,
      )
    },
    end: () => void stderr.write('\r\u001b[K'),
  }
}
