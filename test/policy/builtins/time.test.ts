import { describe, expect, it } from 'vitest'
import { ask } from '../rego.ts'

describe('time zones', () => {
  it('change their clocks when they do', () => {
    const before = Date.UTC(2026, 2, 29, 0, 59) * 1e6
    const after = Date.UTC(2026, 2, 29, 1, 0) * 1e6
    expect(ask('time.clock([input.ns, "Europe/Berlin"])', { ns: before })).toBe('[1,59,0]')
    expect(ask('time.clock([input.ns, "Europe/Berlin"])', { ns: after })).toBe('[3,0,0]')
    expect(ask('time.format([input.ns, "Europe/Berlin", "RFC1123"])', { ns: after })).toBe(
      '"Sun, 29 Mar 2026 03:00:00 CEST"',
    )
  })

  it('know half and quarter hours, and what was before there were any', () => {
    const ns = Date.UTC(2026, 0, 1) * 1e6
    expect(ask('time.clock([input.ns, "Asia/Kathmandu"])', { ns })).toBe('[5,45,0]')
    expect(ask('time.clock([input.ns, "Australia/Lord_Howe"])', { ns })).toBe('[11,0,0]')
    expect(ask('time.date([input.ns, "America/New_York"])', { ns: -2_717_668_237_000_000_000 })).toBe(
      '[1883,11,18]',
    )
  })

  it('are refused in another spelling', () => {
    for (const zone of ['europe/berlin', '+01:00', 'Mars/Base'])
      expect(ask(`time.clock([0, "${zone}"])`)).toBeUndefined()
  })
})

describe('nanoseconds', () => {
  it('keep every digit', () => {
    expect(ask('time.parse_rfc3339_ns("2026-01-02T03:04:05.123456789Z")')).toBe('1767323045123456789')
    expect(ask('time.now_ns() - 1')).toBe('1790000000123456788')
  })
})
