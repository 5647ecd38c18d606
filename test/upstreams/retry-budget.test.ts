import { describe, expect, it } from 'vitest'
import { createRetryBudget } from '../../src/upstreams/retry-budget.ts'

describe('a retry budget', () => {
  it('is a share of the live traffic, and a few for those who have little', () => {
    const budget = createRetryBudget(() => 0)
    for (let request = 0; request < 100; request++) budget.count()
    let taken = 0
    while (budget.take(0.2)) taken++
    expect(taken).toBe(30)
  })

  it('is there again when the traffic that used it up is over', () => {
    let now = 0
    const budget = createRetryBudget(() => now)
    while (budget.take(0.2));
    now = 5000
    expect(budget.take(0.2)).toBe(false)
    now = 15_000
    let taken = 0
    while (budget.take(0.2)) taken++
    expect(taken).toBe(5)
    now = 60_000
    expect(budget.take(0)).toBe(true)
  })
})
