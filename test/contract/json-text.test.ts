import { describe, expect, it } from 'vitest'
import { scanJson, withMember } from '../../src/contract/json-text.ts'

const set = (text: string, name: string, value: string): string =>
  withMember(text, scanJson(text).members, name, value)
const valuesIn = (text: string): Record<string, string> =>
  Object.fromEntries(
    [...scanJson(text).members].map(([name, { start, end }]) => [name, text.slice(start, end)]),
  )

describe('the members of the outermost object', () => {
  it.each([
    ['{"a":1,"b":[1,{"a":2}],"c":{"a":{"b":3}}}', { a: '1', b: '[1,{"a":2}]', c: '{"a":{"b":3}}' }],
    [' { "a" : 1 , "b"\n:\t"x,}" } ', { a: ' 1 ', b: '\t"x,}" ' }],
    ['{"a":"{\\"b\\":1}","c\\u0064":"\\\\"}', { a: '"{\\"b\\":1}"', cd: '"\\\\"' }],
    ['{"a:b":{"c":"d:e"},"f":":"}', { 'a:b': '{"c":"d:e"}', f: '":"' }],
    ['{"":0}', { '': '0' }],
    ['{}', {}],
    ['[{"a":1}]', {}],
    ['"a:b"', {}],
  ])('are found in %s', (text, values) => {
    expect(valuesIn(text)).toEqual(values)
  })

  it('are found by any name', () => {
    expect([...scanJson('{"__proto__":1,"constructor":2}').members.keys()]).toEqual([
      '__proto__',
      'constructor',
    ])
  })
})

describe('withMember', () => {
  it.each([
    ['{"a":1,"b":2}', '{"a":1,"b":9}'],
    ['{"b":{"b":1},"c":{"b":2}}', '{"b":9,"c":{"b":2}}'],
    ['{"a":{"b":1}}', '{"b":9,"a":{"b":1}}'],
    ['{"\\u0062":1}', '{"\\u0062":9}'],
    ['{"a":"\\"b\\":1"}', '{"b":9,"a":"\\"b\\":1"}'],
    ['{}', '{"b":9}'],
    [' { } ', ' {"b":9 } '],
    ['{"n":12345678901234567890.10,"b":1e2}', '{"n":12345678901234567890.10,"b":9}'],
  ])('sets one in %s and leaves the rest as it was', (text, changed) => {
    expect(set(text, 'b', '9')).toBe(changed)
  })
})
