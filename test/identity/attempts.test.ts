import { afterEach, describe, expect, it, vi } from 'vitest'
import { createFailedAttempts } from '../../src/identity/attempts.ts'

afterEach(() => void vi.useRealTimers())

describe('failed attempts', () => {
  it('lets so many pass and says how long to wait after that', async () => {
    const attempts = createFailedAttempts(3, 60_000)
    for (let count = 0; count < 3; count++) expect(await attempts.count('10.0.0.1')).toBeUndefined()
    const wait = await attempts.count('10.0.0.1')
    expect(wait).toBeGreaterThan(0)
    expect(wait).toBeLessThanOrEqual(60)
  })

  it('says before an attempt whether it would be one too many, counting nothing', async () => {
    const attempts = createFailedAttempts(2, 60_000)
    for (let look = 0; look < 10; look++) expect(await attempts.wait('10.0.0.1')).toBeUndefined()
    await attempts.count('10.0.0.1')
    expect(await attempts.wait('10.0.0.1')).toBeUndefined()
    await attempts.count('10.0.0.1')
    expect(await attempts.wait('10.0.0.1')).toBeGreaterThan(0)
    expect(await attempts.wait('10.0.0.2')).toBeUndefined()
  })

  it('counts each address for itself', async () => {
    const attempts = createFailedAttempts(1, 60_000)
    await attempts.count('10.0.0.1')
    expect(await attempts.count('10.0.0.1')).toBeDefined()
    expect(await attempts.count('10.0.0.2')).toBeUndefined()
  })

  it('forgets when the window is over', async () => {
    vi.useFakeTimers()
    const attempts = createFailedAttempts(1, 60_000)
    await attempts.count('10.0.0.1')
    expect(await attempts.count('10.0.0.1')).toBeDefined()
    vi.advanceTimersByTime(60_001)
    expect(await attempts.count('10.0.0.1')).toBeUndefined()
  })
})
