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
