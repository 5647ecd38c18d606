import { describe, expect, it } from 'vitest'
import { readTerm, writeTerm } from '../../../src/policy/values/terms.ts'
import {
  compare,
  equal,
  keyOf,
  RegoNumber,
  RegoObject,
  RegoSet,
  type Value,
} from '../../../src/policy/values/values.ts'

const number = (text: string) => new RegoNumber(text)

describe('numbers', () => {
  it('are equal however they are written, and keep their text', () => {
    for (const [a, b] of [
      ['1', '1.0'],
      ['100', '1e2'],
      ['0', '-0'],
      ['0.10', '1e-1'],
      ['123456789012345678901234567890', '12345678901234567890123456789e1'],
    ] as const) {
      expect(equal(number(a), number(b))).toBe(true)
    }
    expect(writeTerm(readTerm('1.50'))).toBe('1.50')
  })

  it('differ in their last digit', () => {
    expect(equal(number('9007199254740993'), number('9007199254740992'))).toBe(false)
    expect(compare(number('9007199254740993'), number('9007199254740992'))).toBeGreaterThan(0)
    expect(compare(number('1e400'), number('1e401'))).toBeLessThan(0)
    expect(compare(number('-1e400'), number('1'))).toBeLessThan(0)
  })

  it('are integers when they have no fraction', () => {
    expect(number('1e3').toBigInt()).toBe(1000n)
    expect(number('1.0').toBigInt()).toBe(1n)
    expect(number('1.5').toBigInt()).toBeUndefined()
    expect(number('1e1000000').toBigInt()).toBeUndefined()
  })
})

describe('the order of values', () => {
  it('is by type, then by value, texts by code point', () => {
    const sorted = [
      'null',
      'false',
      'true',
      '-1',
      '2',
      '10',
      '""',
      '"a"',
      '"\ufffd"',
      '"\u{1f600}"',
      '[]',
      '[1]',
      '[1,2]',
      '[2]',
      '{}',
      '{"a":1}',
      '{"a":2}',
      'set()',
      '{1}',
      '{1,2}',
    ].map(readTerm)
    for (let i = 1; i < sorted.length; i++) {
      expect(compare(sorted[i - 1] as Value, sorted[i] as Value), writeTerm(sorted[i] as Value)).toBeLessThan(
        0,
      )
    }
  })
})

describe('terms', () => {
  it('are read as they were written', () => {
    for (const text of [
      'null',
      '[1,"a",[]]',
      '{"a":{"b":set()}}',
      '{1,{2},[3]}',
      '{1:"x",[1]:"y"}',
      '"\\u0000\\n\\"é"',
    ]) {
      expect(writeTerm(readTerm(text))).toBe(text)
    }
  })

  it('may have spaces, comments, raw strings and trailing commas', () => {
    expect(writeTerm(readTerm(' { `a\\b` : [ 1 , 2 , ] , # so\n "c" : { 1 , } , } '))).toBe(
      '{"a\\\\b":[1,2],"c":{1}}',
    )
  })

  it('are refused when they are none', () => {
    for (const text of ['', '{', '[1 2]', '{1 2}', '01', '1 2', 'nulL', '{"a":}', 'set(', '"\n']) {
      expect(() => readTerm(text), text).toThrow(SyntaxError)
    }
  })

  it('put U+FFFD for half a surrogate pair, which the module gives up on', () => {
    expect(writeTerm('a\ud800b')).toBe('"a\ufffdb"')
    expect(writeTerm('\u{1f600}')).toBe('"\u{1f600}"')
  })
})

describe('collections', () => {
  it('hold one of what is equal, and tell lists of texts apart', () => {
    expect(new RegoSet([number('1'), number('1.0'), '1']).size).toBe(2)
    expect(keyOf(['a,b'])).not.toBe(keyOf(['a', 'b']))
    expect(new RegoObject([[['k'], 1 as unknown as Value]]).get(['k'])).toBe(1)
  })
})
