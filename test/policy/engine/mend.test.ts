import { describe, expect, it } from 'vitest'
import { mend } from '../../../src/policy/engine/mend.ts'
import { i32, takeApart, u32 } from '../../../src/policy/engine/wasm-binary.ts'
import { ask, codeOf, compile, cpuMs } from '../rego.ts'

describe('a module', () => {
  const wasm = compile('package test\n\nanswer := replace(input.x, "a", "b")\n', 'test/answer')

  it('is the same when it is taken apart and put together', () => {
    const parts = takeApart(wasm)
    const again = takeApart(parts.toBytes())
    expect(again.names.get('opa_malloc')).toBe(parts.names.get('opa_malloc'))
    expect(WebAssembly.validate(parts.toBytes())).toBe(true)
  })

  it('is valid when it is mended', () => {
    expect(WebAssembly.validate(mend(wasm))).toBe(true)
  })

  it('without function names, or cut short, is refused', () => {
    expect(codeOf(() => mend(wasm.subarray(0, 100)))).toBe('bad_module')
    const nameless = Buffer.from(wasm)
    nameless.write('gone', nameless.lastIndexOf('\x04name') + 1)
    expect(codeOf(() => mend(nameless))).toBe('bad_module')
  })
})

describe('integers', () => {
  it('are written as LEB128', () => {
    expect([...u32(624485)]).toEqual([0xe5, 0x8e, 0x26])
    expect([...i32(64)]).toEqual([0xc0, 0x00])
    expect([...i32(63)]).toEqual([0x3f])
  })
})

describe('numbers', () => {
  const digits = '7'.repeat(3990)

  it('are multiplied exactly, however long they are', () => {
    for (const other of [7n, 10n ** 700n - 1n, BigInt(digits)]) {
      const product = (BigInt(digits) * other).toString()
      expect(ask('input.a * input.b', `{"a": ${digits}, "b": ${other}}`)).toBe(product)
    }
  })

  it('are found in a set whatever way they are written', () => {
    for (const number of ['435', '4.35e2', '43500e-2', '435.0'])
      expect(ask('input.n in {435, 0.1}', `{"n": ${number}}`), number).toBe('true')
    for (const number of ['0.1', '1e-1', '0.10'])
      expect(ask('{0.1: "tenth"}[input.n]', `{"n": ${number}}`), number).toBe('"tenth"')
    expect(ask('input.n in {100000000000000000000}', '{"n": 1e20}')).toBe('true')
    expect(ask('input.n in {0}', '{"n": -0}')).toBe('true')
  })

  it('are compared however large, and soon refused where no number can be that large', () => {
    const compared = (): void => {
      expect(ask('input.n > 5', '{"n": 1e400000}')).toBe('true')
      expect(ask('[-1e20000, 2, 1e20000] == sort([2, 1e20000, -1e20000])')).toBe('true')
      expect(ask('{input.n: 1}', '{"n": 1e2000000000}')).toBe('{"1e2000000000":1}')
      expect(codeOf(() => ask('input.n > 5', '{"n": 1e999999999999}'))).toBe('bad_input')
      expect(codeOf(() => ask('input.n + 1', '{"n": 1e400000}', 'refuse'))).toBe('builtin_error')
    }
    compared()
    // Now that each is compiled.
    expect(cpuMs(compared)).toBeLessThan(5000)
  })
})

describe('builtins that the module has itself', () => {
  it('answer where the module alone would not, or would answer otherwise than OPA', () => {
    expect(ask('replace("ab", "", "-")')).toBe('"-a-b-"')
    expect(ask('strings.replace_n({"a": "b", "b": "c"}, "ab")')).toBe('"bc"')
    expect(ask('net.cidr_contains("10.0.0.0/8", "::ffff:10.1.2.3")')).toBe('true')
    expect(ask('format_int(5000000000, 16)')).toBe('"12a05f200"')
    expect(ask('json.unmarshal("[1 2]")')).toBeUndefined()
    expect(ask('to_number("1e")')).toBeUndefined()
    expect(ask('concat(",", {"c", "a", "b"})')).toBe('"a,b,c"')
    expect(ask('json.marshal({"b": 1, "a": "<"})')).toBe('"{\\"a\\":\\"\\\\u003c\\",\\"b\\":1}"')
  })

  it('say in strict mode that they failed', () => {
    for (const expression of [
      '1 / input.zero',
      'input.zero / input.zero',
      '"a" + input.x',
      'object.get(input.x, "a", 1)',
      'count(input.zero)',
      'glob.match("[", [], "x")',
      'sum(input.list)',
      'regex.match("(", "x")',
      'base64.decode("%")',
      'input.x - {1}',
    ]) {
      const input = { zero: 0, x: 'text', list: ['a'] }
      expect(
        codeOf(() => ask(expression.replace('"a" + input.x', 'input.x + 1'), input, 'refuse')),
        expression,
      ).toBe('builtin_error')
    }
  })
})
