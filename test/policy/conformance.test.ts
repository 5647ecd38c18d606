/**
 * Our own conformance cases: expressions and what `opa eval` makes of them, by family. Cases without
 * `want` have no value there. The figures for OPA's own suite are in docs/conformance.md.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { load } from '../../src/policy/conformance.ts'
import { readTerm, writeTerm } from '../../src/policy/values/terms.ts'
import { keyOf, RegoObject, type Value } from '../../src/policy/values/values.ts'
import { codeOf, compile } from './rego.ts'

const FOLDER = join(import.meta.dirname, 'cases')

describe.each(readdirSync(FOLDER))('%s', file => {
  const cases = readTerm(readFileSync(join(FOLDER, file), 'utf8')) as RegoObject[]
  const expressions = cases.map(one => one.get('expression') as string)

  it('has the answers of OPA', async () => {
    const rules = expressions.map((expression, i) => `r${i} := ${expression}`)
    const wasm = compile(`package test\n\n${rules.join('\n\n')}\n`, 'test')
    const subject = await load({ wasm })
    const [binding] = readTerm(subject.evaluate()) as RegoObject[]
    const answers = binding?.get('result') as RegoObject
    const shown = (value: Value | undefined) => (value === undefined ? undefined : writeTerm(inOrder(value)))
    const given = Object.fromEntries(expressions.map((text, i) => [text, shown(answers.get(`r${i}`))]))
    const wanted = Object.fromEntries(expressions.map((text, i) => [text, shown(cases[i]?.get('want'))]))
    expect(given).toEqual(wanted)
  })
})

/** Sets leave a policy as lists in no order, and equal numbers may be written differently. */
function inOrder(value: Value): Value {
  if (Array.isArray(value)) return value.map(inOrder).sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1))
  if (value instanceof RegoObject)
    return new RegoObject(value.sorted().map(([k, v]) => [k, inOrder(v)] as const))
  return readTerm(keyOf([value]).slice(1, -1))
}

describe('sallyport/conformance', () => {
  const wasm = compile('package test\n\nanswer := input\n', 'test/answer')

  it('answers a result set, empty where there is no value', async () => {
    const subject = await load({ wasm, dataText: '{}', builtinErrors: 'undefined' })
    expect(subject.evaluate({ inputText: '1.50' })).toBe('[{"result":1.50}]')
    expect(subject.evaluate({ inputText: 'null' })).toBe('[{"result":null}]')
    expect(subject.evaluate({})).toBe('[]')
    expect(subject.evaluate({ inputTerm: '{"a": {1, 1.0,},}' })).toBe('[{"result":{"a":[1]}}]')
    subject.close()
  })

  it('refuses a module that calls what is not offered', async () => {
    const asks = compile(
      'package test\n\nanswer := http.send({"method": "get", "url": "x"})\n',
      'test/answer',
    )
    await expect(load({ wasm: asks })).rejects.toMatchObject({ code: 'unsupported_builtin' })
  })

  it('throws for a builtin that fails when told to', async () => {
    const fails = compile('package test\n\nanswer := time.parse_ns("2006", "x")\n', 'test/answer')
    const strict = await load({ wasm: fails, builtinErrors: 'refuse' })
    expect(codeOf(() => strict.evaluate())).toBe('builtin_error')
    expect((await load({ wasm: fails, builtinErrors: 'undefined' })).evaluate()).toBe('[]')
  })
})
