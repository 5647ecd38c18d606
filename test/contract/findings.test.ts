import { describe, expect, it } from 'vitest'
import { type Finding, formatFinding } from '../../src/contract/findings.ts'

const FINDING: Finding = {
  severity: 'error',
  code: 'rego_type_error',
  message: 'undefined ref',
  file: 'p/a.rego',
  line: 3,
  column: 7,
}

describe('formatFinding', () => {
  it('begins with file:line:column, which editors and terminals make a link of', () => {
    expect(formatFinding(FINDING)).toBe('p/a.rego:3:7: error: undefined ref [rego_type_error]')
  })

  it('names the file alone when the whole of it is meant', () => {
    expect(formatFinding({ ...FINDING, severity: 'warning', line: 0, column: 0 })).toBe(
      'p/a.rego: warning: undefined ref [rego_type_error]',
    )
  })
})
