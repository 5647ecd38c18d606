import { describe, expect, it } from 'vitest'
import { parseBody } from '../../src/server/strict-json.ts'
import { chance } from '../support/random.ts'
import { thrownBy } from '../support/thrown.ts'

const parse = (body: string | Buffer) => parseBody(Buffer.from(body as string))
const refusal = (body: string | Buffer) => thrownBy(() => parse(body))
const nested = (depth: number, open: string, close: string): string =>
  open.repeat(depth) + close.repeat(depth)

describe('parseBody', () => {
  it('keeps the bytes, the text and the value', () => {
    const bytes = Buffer.from(' {"model": "tïny"} ')
    expect(parseBody(bytes)).toMatchObject({ bytes, text: ' {"model": "tïny"} ', value: { model: 'tïny' } })
    expect(parseBody(bytes).bytes).toBe(bytes)
  })

  it.each(['null', 'true', '0', '""', '[]', '{}', ' \t\r\n[1] \n'])('takes JSON of any kind: %j', body => {
    expect(parse(body).value).toEqual(JSON.parse(body))
  })

  it.each([
    ['nothing but blanks', '  '],
    ['half a value', '{"a":'],
    ['a value and a half', '{} {'],
    ['two values', '{}{}'],
    ['something after the value', '{}\0'],
    ['a comment', '{/* */}'],
    ['a trailing comma', '{"a":1,}'],
    ['single quotes', "{'a':1}"],
    ['NaN', '{"a":NaN}'],
    ['a raw line feed in a string', '{"a":"\n"}'],
    ['a leading zero', '{"a":01}'],
    ['a BOM', '\ufeff{}'],
  ])('refuses %s', (_what, body) => {
    expect(refusal(body)).toMatchObject({ code: 'invalid_request', status: 400 })
  })

  it.each([
    ['a lone continuation byte', [0x80]],
    ['too long a form', [0xc0, 0xaf]],
    ['a surrogate', [0xed, 0xa0, 0x80]],
    ['half a character', [0xe2, 0x98]],
    ['a code point beyond Unicode', [0xf4, 0x90, 0x80, 0x80]],
    ['latin1', [0xfc]],
  ])('refuses invalid UTF-8: %s', (_what, bytes) => {
    expect(refusal(Buffer.from([0x22, ...bytes, 0x22])).code).toBe('invalid_request')
  })

  it('refuses UTF-16', () => {
    expect(refusal(Buffer.from('\ufeff{}', 'utf16le')).code).toBe('invalid_request')
  })

  it('never repeats the body: it may hold a secret', () => {
    const error = refusal('{"password": s3cret}') as Error
    expect(`${error.message} ${error.cause} ${JSON.stringify(error)}`).not.toContain('s3cret')
  })
})

/**
 * A policy reads the last of two members with one name, llama.cpp the first: whoever sends
 * `{"model": "forbidden", "model": "allowed"}` gets what the policy did not see.
 */
describe('a key that stands there twice', () => {
  it.each([
    '{"model":"a","model":"b"}',
    '{"model":"a","x":1,"model":"a"}',
    '{"model":"a","mod\\u0065l":"b"}',
    '{"\\u006dodel":"a","\\u006Dodel":"b"}',
    '{"a\\/b":1,"a/b":2}',
    '{"__proto__":1,"__proto__":2}',
    '{"":1,"":2}',
    '{"a":{"b":1,"b":2}}',
    '[{"a":[{"b":1,"c":{},"b":2}]}]',
    '{"a":{"x":1},"b":[1,{"x":2}],"a":3}',
    '{"ü":1,"\\u00fc":2}',
    '{"\\"":1,"\\u0022":2}',
    '{"a\\\\":1,"a\\\\":2}',
  ])('is refused in %s', body => {
    expect(refusal(body).code).toBe('invalid_request')
  })

  it.each([
    '{"a":1,"b":{"a":2},"c":[{"a":3},{"a":4}]}',
    '{"a":"a","b":"a"}',
    '{"a":"\\"b\\":1,\\"b\\":2"}',
    '{"a":["b","b"]}',
    '{"__proto__":1,"constructor":2}',
    '{"a\\\\":1,"a\\\\\\\\":2}',
    '{"a":1,"A":2}',
    '{"ü":1,"u\\u0308":2}',
    '{"a":"\\\\","b":"\\\\\\"","c":"]}"}',
  ])('is not seen where there is none, as in %s', body => {
    expect(parse(body).text).toBe(body)
  })

  it('does not change the prototype of what was parsed', () => {
    const value = parse('{"__proto__":{"admin":true}}').value as { admin?: boolean }
    expect(value.admin).toBeUndefined()
    expect(Object.keys(value)).toEqual(['__proto__'])
  })

  it('is found, and found only there, in a thousand bodies made by chance', () => {
    const { integer, pick } = chance(7)
    const value = (depth: number): string => {
      const kind = integer(depth > 3 ? 2 : 4)
      if (kind === 0) return pick(['1', 'null', '"a"', '"\\\\"', '"{\\"a\\":1,"', '-2.5e7'])
      if (kind === 1) return pick(['[]', '{}', '""'])
      if (kind === 2) return `[${Array.from({ length: integer(4) }, () => value(depth + 1)).join(', ')}]`
      const keys = ['a', 'b', 'c,', 'd}', 'e\\"', 'f\\\\'].slice(0, integer(7))
      return `{${keys.map(key => `"${key}" : ${value(depth + 1)}`).join(' ,')}}`
    }
    for (let count = 0; count < 1000; count++) {
      const body = `{"x":${value(0)},"y":${value(0)}}`
      expect(parse(body).value).toEqual(JSON.parse(body))
      expect(refusal(body.replace(/\}$/, ',"x":1}')).code).toBe('invalid_request')
    }
  })
})

describe('depth', () => {
  it.each([
    ['lists', '[', ']'],
    ['objects', '{"a":', '}'],
  ])('of 64 is taken and of 65 refused: %s', (_what, open, close) => {
    const inner = open === '[' ? '' : '1'
    expect(parse(open.repeat(64) + inner + close.repeat(64)).text).toHaveLength(
      64 * (open.length + 1) + inner.length,
    )
    expect(refusal(open.repeat(65) + inner + close.repeat(65)).code).toBe('invalid_request')
  })

  it('counts what is open at one time, not what stands side by side', () => {
    expect(
      parse(`[${Array.from({ length: 200 }, () => nested(63, '[', ']')).join(',')}]`).text.length,
    ).toBeGreaterThan(10_000)
  })

  it('of half a million is refused like any other, without a fault', () => {
    expect(refusal(nested(500_000, '[', ']')).code).toBe('invalid_request')
    expect(refusal('['.repeat(500_000)).code).toBe('invalid_request')
  })
})
