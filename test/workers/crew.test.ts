import { describe, expect, it } from 'vitest'
import { createCrew, type Member, type WorkerEnd, type WorkerProcess } from '../../src/workers/crew.ts'

interface TestProcess extends WorkerProcess {
  readonly number: number
  end(end?: Partial<WorkerEnd>): void
  begin(): void
  fail(): void
  readonly killed: boolean
}

function crewOf(count: number) {
  const started: TestProcess[] = []
  const told: string[] = []
  const due: { ms: number; work: () => void }[] = []
  const clock = { now: 0 }
  const members = new Map<WorkerProcess, { resolve(): void; reject(error: Error): void }>()
  const crew = createCrew({
    count,
    start(number) {
      let listener: (end: WorkerEnd) => void = () => {}
      const process = {
        number,
        pid: started.length + 1,
        killed: false,
        send: () => {},
        onMessage: () => {},
        onExit: (then: (end: WorkerEnd) => void) => {
          listener = then
        },
        end: (end: Partial<WorkerEnd> = {}) => listener({ code: 1, signal: null, ...end }),
        begin: () => members.get(process)?.resolve(),
        fail: () => members.get(process)?.reject(new Error('it cannot begin')),
        kill() {
          process.killed = true
          process.end({ code: null, signal: 'SIGKILL' })
        },
      }
      started.push(process)
      return process
    },
    join(_number, process): Member {
      const ready = new Promise<void>((resolve, reject) => members.set(process, { resolve, reject }))
      return {
        ready,
        ended: () => members.get(process)?.reject(new Error('it ended')),
        stop: async hurry => void told.push(`stop ${process.pid}${hurry ? ' now' : ''}`),
      }
    },
    onReady: number => told.push(`ready ${number}`),
    onFailed: (number, _pid, { message }) => told.push(`failed ${number}: ${message}`),
    onLost: (number, _pid, { code, signal }, again) =>
      told.push(`lost ${number} ${code ?? signal}, again in ${again}`),
    after(ms, work) {
      const one = { ms, work }
      due.push(one)
      return () => void due.splice(due.indexOf(one), 1)
    },
    steady: () => clock.now,
  })
  const pass = (): void => {
    for (const { ms, work } of due.splice(0)) {
      clock.now += ms
      work()
    }
  }
  return { crew, started, told, clock, due, pass }
}

const turn = (): Promise<void> => new Promise(resolve => void setImmediate(resolve))

describe('a crew', () => {
  it('is open when all of it is ready', async () => {
    const { crew, started, told } = crewOf(2)
    let open = false
    const opening = crew.open().then(() => {
      open = true
    })
    started[0]?.begin()
    await turn()
    expect(open).toBe(false)
    started[1]?.begin()
    await opening
    expect(told).toEqual(['ready 1', 'ready 2'])
  })

  it('is not opened at all when one cannot begin', async () => {
    const { crew, started, due } = crewOf(2)
    const opening = crew.open()
    started[0]?.begin()
    started[1]?.fail()
    await expect(opening).rejects.toThrow('it cannot begin')
    expect(started.map(({ killed }) => killed)).toEqual([true, true])
    expect(due).toEqual([])
  })

  it('replaces who ends, at once and later and later when it ends again and again, by its number', async () => {
    const { crew, started, told, clock, pass } = crewOf(2)
    const opening = crew.open()
    for (const process of started) process.begin()
    await opening
    told.length = 0
    for (let time = 0; time < 9; time++) {
      started.at(time === 0 ? 1 : -1)?.end()
      pass()
      started.at(-1)?.begin()
      await turn()
    }
    const pauses = told.filter(line => line.startsWith('lost')).map(line => Number(line.split(' ').at(-1)))
    expect(pauses).toEqual([0, 100, 200, 400, 800, 1600, 3200, 6400, 10_000])
    clock.now += 30_000
    started.at(-1)?.end({ code: null, signal: 'SIGSEGV' })
    expect(told.at(-1)).toBe('lost 2 SIGSEGV, again in 0')
    expect(started.slice(2).every(({ number }) => number === 2)).toBe(true)
    expect(crew.restarts().get(1)).toBe(0)
    expect(crew.restarts().get(2)).toBe(10)
  })

  it('ends and replaces a replacement that cannot begin', async () => {
    const { crew, started, told, pass } = crewOf(1)
    const opening = crew.open()
    started[0]?.begin()
    await opening
    started[0]?.end()
    pass()
    started[1]?.fail()
    await turn()
    expect(started[1]?.killed).toBe(true)
    expect(told).toContain('failed 1: it cannot begin')
    pass()
    started[2]?.begin()
    await turn()
    expect(told.at(-1)).toBe('ready 1')
  })

  it('replaces nobody any more once it stops', async () => {
    const { crew, started, told, due, pass } = crewOf(2)
    const opening = crew.open()
    for (const process of started) process.begin()
    await opening
    started[0]?.end()
    const stopping = crew.stop(true)
    started[1]?.end()
    await stopping
    pass()
    expect(due).toEqual([])
    expect(started).toHaveLength(2)
    expect(told).toContain('stop 2 now')
  })
})
