import { describe, expect, it } from 'vitest'
import { withoutLoneSurrogates } from '../../../src/policy/values/well-formed.ts'

describe('withoutLoneSurrogates', () => {
  it.each([
    ['"\\ud800"', '\ufffd'],
    ['"\\uDFFF"', '\ufffd'],
    ['"a\\ud83dz"', 'a\ufffdz'],
    ['"\\ud83d\\ud83d\\ude00"', '\ufffd😀'],
    ['"\\ude00\\ud83d"', '\ufffd\ufffd'],
    ['"\\ud83d\\n"', '\ufffd\n'],
    ['"\\ud83d\\u0041"', '\ufffdA'],
    ['"\\ud83d\\\\ude00"', '\ufffd\\ude00'],
  ])('reads %s as Go does', (text, value) => {
    expect(JSON.parse(withoutLoneSurrogates(text))).toBe(value)
  })

  it.each([
    '"\\ud83d\\ude00"',
    '"\\\\ud800"',
    '"\\\\\\\\ud800 \\\\ude00"',
    '{"n":12345678901234567890,"e":"\\uD83D\\uDE00","f":1.0}',
    '"ud800"',
  ])('leaves %s as it is', text => {
    expect(withoutLoneSurrogates(text)).toBe(text)
  })
})
