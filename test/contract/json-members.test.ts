import { describe, expect, it } from 'vitest'
import { elementsOf, membersOf, startOfMember } from '../../src/contract/json-members.ts'
import { chance } from '../support/random.ts'

const asObject = (text: string) => Object.fromEntries(membersOf(text) ?? [['none', '']])

describe('membersOf', () => {
  it('cuts values out as they stand, digits and white space within included', () => {
    expect(asObject(' { "a" : 1.50 , "b":[1, {"c": "}"}],"d":"x\\"y,", "e":{} ,"f":null}\n')).toEqual({
      a: '1.50',
      b: '[1, {"c": "}"}]',
      d: '"x\\"y,"',
      e: '{}',
      f: 'null',
    })
    expect(asObject('{}')).toEqual({})
  })

  it('is not misled by a member of the same name further inside, or in a string', () => {
    const text = '{"claims":{"x":1,"input":{"evil":true}},"note":",\\"input\\":{}","input":{"good":1}}'
    expect(membersOf(text)?.get('input')).toBe('{"good":1}')
    expect(text.slice(startOfMember(text, 'input', new Map()))).toBe('{"good":1}}')
  })

  it('takes the last of two, and reads escapes in keys, as JSON.parse does', () => {
    expect(asObject('{"a":1,"\\u0061":2}')).toEqual({ a: '2' })
  })

  it.each([
    '',
    '[]',
    '1',
    '{',
    '{"a"',
    '{"a":',
    '{"a":1',
    '{"a":"x',
    '{"a":{"b":1}',
    '{"a":1}x',
    '{"a" 1}',
    '{a:1}',
    '{"a":}',
    '{"a":1,}',
    '{"\\u00":1}',
  ])('knows that %j is no whole object', text => expect(membersOf(text)).toBeUndefined())

  it('finds what JSON.parse finds, and no beginning of it is whole', () => {
    const { integer, pick } = chance(7)
    const value = (depth: number): unknown => {
      if (depth === 0 || integer(3) === 0)
        return pick([0, -1.5e3, 'a"b\\', '{[,:]}', '', null, true, 'ü\u2028'])
      return integer(2) === 0
        ? Array.from({ length: integer(4) }, () => value(depth - 1))
        : Object.fromEntries(
            Array.from({ length: integer(4) }, (_, i) => [pick(['k', 'a,"', '}']) + i, value(depth - 1)]),
          )
    }
    for (let round = 0; round < 300; round++) {
      const object = { first: value(3), second: value(3) }
      const text = JSON.stringify(object, null, integer(2))
      const read = Object.fromEntries([...(membersOf(text) ?? [])].map(([key, of]) => [key, JSON.parse(of)]))
      expect(read).toEqual(object)
      expect(membersOf(text.slice(0, integer(text.length)))).toBeUndefined()
    }
  })
})

describe('elementsOf', () => {
  it('cuts the elements of a list out', () => {
    expect(elementsOf('[ {"a":[1,2]} , "x,]", 1.50 ]')).toEqual(['{"a":[1,2]}', '"x,]"', '1.50'])
    expect(elementsOf('[]')).toEqual([])
  })

  it.each(['{}', '[', '[1', '[1,', '[1]x', '["'])('knows that %j is no whole list', text =>
    expect(elementsOf(text)).toBeUndefined(),
  )
})
