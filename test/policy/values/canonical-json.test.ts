import { describe, expect, it } from 'vitest'
import { canonicalJson, readJson } from '../../../src/policy/values/canonical-json.ts'

const canonical = (text: string): string => canonicalJson(readJson(text))

describe('canonical JSON', () => {
  it.each([
    ['white space goes', ' { "a" : [ 1 , 2 ] }\n', '{"a":[1,2]}'],
    ['keys are sorted, inside as well', '{"b":1,"a":{"d":1,"c":2}}', '{"a":{"c":2,"d":1},"b":1}'],
    ['by code point, not by UTF-16', '{"\\ud83d\\ude00":1,"\\uffee":2}', '{"\uffee":2,"😀":1}'],
    ['lists keep their order', '[3,1,2]', '[3,1,2]'],
    [
      'numbers keep their digits',
      '[1.50,1e3,1E+3,12345678901234567890,-0,0.0000001]',
      '[1.50,1e3,1E+3,12345678901234567890,-0,0.0000001]',
    ],
    ['text is not escaped for HTML', '"<a&b>"', '"<a&b>"'],
    ['but for the line separators', '"\u2028\\u2029"', '"\\u2028\\u2029"'],
    [
      'control characters are escaped as Go does',
      '"\\u0001\\u0008\\u000c\\t\\u007f\\/"',
      '"\\u0001\\b\\f\\t\u007f/"',
    ],
    ['a lone surrogate is U+FFFD', '"\\ud800x"', '"\ufffdx"'],
    ['empty documents', '{"a":{},"b":[],"c":""}', '{"a":{},"b":[],"c":""}'],
    ['words', '[null,true,false]', '[null,true,false]'],
  ])('%s', (_what, text, expected) => {
    expect(canonical(text)).toBe(expected)
  })

  // A reader that takes the first and one that takes the last would see two documents with one signature.
  it.each([
    '{"a":1,"a":2}',
    '{"x":[{"a":1,"\\u0061":2}]}',
    '{"\\ud800":1,"\\ufffd":2}',
    '{"a":1} {}',
    '{1,2}',
    'set()',
    "{'a':1}",
    '{"a":1,}',
    '# comment\n1',
    '',
  ])('is not had of %s', text => {
    expect(() => readJson(text)).toThrow(SyntaxError)
  })
})
