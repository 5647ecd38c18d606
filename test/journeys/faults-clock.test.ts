import { existsSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { startTinySlm, type TinySlm } from '../../examples/tiny-slm/server.ts'
import { ACCESS_POLICY, ask, PEOPLE } from '../support/access.ts'
import { chat, newFolder, type RunningGateway, startGateway, stopAll } from '../support/gateway.ts'

/** Debian's `faketime`: what a process takes for the wall clock is what a file says, at every moment. */
const FAKETIME = [
  '/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1',
  '/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1',
].find(file => existsSync(file))

const POLICY = {
  'gateway.rego': `package gateway

decision := {"allow": true, "limits": [
	{"name": "n", "key": input.principal.id, "unit": "requests", "limit": 20, "window": "1m"},
	{"name": "c", "key": input.principal.id, "unit": "concurrency", "limit": 4},
]}
`,
}

/** Set for the process alone; the clock that only goes on is left as it is, as when an operator sets one. */
function clock(folder: string) {
  const file = path.join(folder, 'clock')
  const set = (offset: string): void => writeFileSync(file, offset)
  set('+0')
  const env = {
    LD_PRELOAD: String(FAKETIME),
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
    FAKETIME_TIMESTAMP_FILE: file,
    FAKETIME_NO_CACHE: '1',
  }
  return { set, env }
}

function clocks(): void {
  let model: TinySlm
  beforeAll(async () => {
    model = await startTinySlm()
  })
  afterEach(stopAll)
  afterAll(() => model.close())

  const statuses = async (gateway: RunningGateway, count: number, key?: string): Promise<number[]> => {
    const seen: number[] = []
    for (let one = 0; one < count; one++) {
      const answer = await chat(gateway, key === undefined ? {} : { key })
      await answer.arrayBuffer()
      seen.push(answer.status)
    }
    return seen
  }
  const verifies = async (gateway: RunningGateway): Promise<void> => {
    expect(await gateway.stop()).toBe(0)
    expect((await gateway.command('audit', 'verify')).code).toBe(0)
  }

  it.each(['memory', 'sqlite'])('limits go on limiting, and refuse nobody for ever: %s', async engine => {
    const folder = newFolder()
    const { set, env } = clock(folder)
    const gateway = await startGateway({
      folder,
      env,
      policy: POLICY,
      targets: [model.url],
      keys: [{ principal: 'dev' }],
      config: { store: engine === 'sqlite' ? { engine, path: 'store.db' } : { engine } },
    })
    expect(await statuses(gateway, 5)).toEqual(Array(5).fill(200))
    const admitted: number[] = []
    for (const offset of ['-1h', '+1h', '+0']) {
      set(offset)
      const seen = await statuses(gateway, 30)
      admitted.push(seen.filter(status => status === 200).length)
      // At the longest until the end of a window that begins now, whatever was written in another time.
      const refused = await chat(gateway)
      expect([offset, refused.status]).toEqual([offset, 429])
      expect(Number(refused.headers.get('retry-after'))).toBeLessThanOrEqual(61)
    }
    expect(admitted.every(count => count <= 20)).toBe(true)
    expect(admitted[1]).toBe(20)
    const records = gateway.audit().map(({ timestamp }) => Date.parse(timestamp))
    expect(Math.max(...records) - Math.min(...records)).toBeGreaterThan(1.9 * 3_600_000)
    await verifies(gateway)
  })

  it('a grant gets no longer, and one that was over stays over', async () => {
    const folder = newFolder()
    const { set, env } = clock(folder)
    const gateway = await startGateway({
      folder,
      env,
      policy: ACCESS_POLICY,
      targets: [model.url],
      keys: PEOPLE,
    })
    expect((await ask(gateway, 'ona', { duration: '30m' })).body.state).toBe('approved')
    expect(await statuses(gateway, 1, gateway.keys.ona)).toEqual([200])
    set('+1h')
    await expect.poll(() => statuses(gateway, 1, gateway.keys.ona)).toEqual([403])
    await gateway.audited(({ event }) => event === 'access.expired')
    set('-1h')
    expect(await statuses(gateway, 3, gateway.keys.ona)).toEqual([403, 403, 403])
    await verifies(gateway)
  })
}

if (FAKETIME === undefined)
  it('the wall clock cannot be set here: faketime is not installed', () => {
    console.warn('no faketime here: the clock is only set where it is handed in (journeys/faults)')
    expect(process.env.SALLYPORT_REQUIRE_FAKETIME).toBeUndefined()
  })
else describe('the wall clock, an hour back and an hour on', clocks)
