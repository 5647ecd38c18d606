import { execFileSync } from 'node:child_process'
import { closeSync, constants, openSync, readSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { GENESIS } from '../../src/audit/chain.ts'
import { createStdoutSink } from '../../src/audit/stdout-sink.ts'
import { temporaryFolder } from '../support/folder.ts'

/** A pipe that holds 64 KiB and does not wait. */
function pipe() {
  const fifo = path.join(temporaryFolder(), 'fifo')
  execFileSync('mkfifo', [fifo])
  const fd = openSync(fifo, constants.O_RDWR | constants.O_NONBLOCK)
  onTestFinished(() => closeSync(fd))
  /** All that is in it. */
  const drained = (): string => {
    const parts: Buffer[] = []
    for (;;) {
      const memory = Buffer.alloc(1 << 17)
      try {
        parts.push(memory.subarray(0, readSync(fd, memory)))
      } catch {
        return Buffer.concat(parts).toString()
      }
    }
  }
  return { fd, drained }
}

describe('standard output', () => {
  it('has whole lines, each that was taken once, also when its reader was slow', () => {
    const { fd, drained } = pipe()
    const sink = createStdoutSink(fd)
    const line = (number: number): string => `${JSON.stringify({ number, text: 'x'.repeat(9000) })}\n`
    const taken: number[] = []
    let read = ''
    for (let number = 0; number < 20; number++) {
      if (number === 12) read += drained()
      try {
        sink.append(Buffer.from(line(number)), GENESIS)
        taken.push(number)
      } catch (error) {
        expect((error as Error).message).toContain('nobody reads')
      }
    }
    read += drained()
    void sink.close()
    read += drained()
    expect(taken.length).toBeLessThan(20)
    expect(taken).toContain(12)
    expect(
      read
        .trimEnd()
        .split('\n')
        .map(text => JSON.parse(text).number),
    ).toEqual(taken)
  })

  it('that cannot be written is a failure', () => {
    const fd = openSync('/dev/full', 'w')
    onTestFinished(() => closeSync(fd))
    expect(() => createStdoutSink(fd).append(Buffer.from('{}\n'), GENESIS)).toThrow('ENOSPC')
  })
})
