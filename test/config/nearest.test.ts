import { describe, expect, it } from 'vitest'
import { nearest } from '../../src/config/nearest.ts'

const KNOWN = ['listen', 'admin', 'policy', 'identity', 'pools', 'store', 'audit', 'limits']

describe('nearest', () => {
  it.each([
    ['polcy', 'policy'],
    ['Policy', 'policy'],
    ['limit', 'limits'],
    ['identiy', 'identity'],
    ['auditt', 'audit'],
    ['lsiten', 'listen'],
  ])('takes %s for %s', (word, meant) => {
    expect(nearest(word, KNOWN)).toBe(meant)
  })

  it('says nothing rather than something far off', () => {
    expect(nearest('telemetry', KNOWN)).toBeUndefined()
    expect(nearest('anything', [])).toBeUndefined()
  })
})
