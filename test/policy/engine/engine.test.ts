import { describe, expect, it } from 'vitest'
import { createEngine, EngineError } from '../../../src/policy/engine/engine.ts'
import { codeOf, compile, cpuMs, engineFor, INSTANT } from '../rego.ts'

const echo = 'package test\n\nanswer := input\n'

function evaluate(engine: ReturnType<typeof engineFor>, input: string): string | undefined {
  return engine.evaluate('test/answer', input, INSTANT)
}

describe('an evaluation', () => {
  it('keeps every digit of a number', () => {
    const text = '[12345678901234567890.125,1e400,1.0]'
    expect(evaluate(engineFor(echo), text)).toBe(text)
  })

  it('tells an input that is false, zero or null from none', () => {
    const engine = engineFor('package test\n\nanswer := "given" if input == input\n')
    for (const input of ['false', '0', 'null', '""']) expect(evaluate(engine, input)).toBe('"given"')
    expect(engine.evaluateWith('test/answer', undefined, INSTANT)).toBeUndefined()
  })

  it('takes an input that JSON cannot hold', () => {
    const engine = engineFor('package test\n\nanswer := count(input)\n')
    expect(engine.evaluateWith('test/answer', { term: '{1, 1.0, "a"}' }, INSTANT)).toBe('2')
  })

  it('has no value where the rule has none', () => {
    expect(evaluate(engineFor('package test\n\nanswer := 1 if input.x\n'), '{}')).toBeUndefined()
  })

  it('answers each entrypoint by its name, and refuses others', () => {
    const wasm = compile('package test\n\na := 1\n\nb := 2\n', 'test/a', 'test/b')
    const engine = createEngine({ wasm, dataText: '{}', builtinErrors: 'refuse' })
    expect(engine.entrypoints).toEqual(['test/a', 'test/b'])
    expect(engine.evaluate('test/b', '{}', INSTANT)).toBe('2')
    expect(codeOf(() => engine.evaluate('test/c', '{}', INSTANT))).toBe('bad_input')
  })

  it('refuses an input that is not JSON, and answers the next one', () => {
    const engine = engineFor(echo)
    for (const input of ['', '{', 'nul', '"\\ud800"', '{"a" 1}'])
      expect(codeOf(() => evaluate(engine, input))).toBe('bad_input')
    expect(evaluate(engine, '{"a":1}')).toBe('{"a":1}')
  })

  it('decides the same again with the same instant, and otherwise with another seed', () => {
    const engine = engineFor(
      'package test\n\nanswer := [time.now_ns(), rand.intn("x", 1000000), uuid.rfc4122("x")]\n',
    )
    const first = evaluate(engine, '{}')
    expect(first).toContain('1790000000123456789')
    expect(evaluate(engine, '{}')).toBe(first)
    expect(engine.evaluate('test/answer', '{}', { ...INSTANT, seed: 'decision-2' })).not.toBe(first)
  })

  it('leaves nothing behind: the memory of a thousand is the memory of one', () => {
    const engine = engineFor('package test\n\nanswer := count([x | some x in numbers.range(1, input.n)])\n', {
      maxMemoryBytes: 4 * 1024 * 1024,
    })
    for (let i = 0; i < 1000; i++) expect(evaluate(engine, '{"n":1000}')).toBe('1000')
  })
})

describe('data', () => {
  it('is in place, with half a surrogate pair as U+FFFD', () => {
    const engine = engineFor('package test\n\nanswer := data.x\n', {
      dataText: '{"x":["\\ud800","\\ud83d\\ude00","\\\\ud800"]}',
    })
    expect(evaluate(engine, '{}')).toBe('["\ufffd","\u{1f600}","\\\\ud800"]')
  })

  it('is refused when it is not JSON', () => {
    expect(codeOf(() => engineFor(echo, { dataText: '{"a":' }))).toBe('bad_data')
  })

  it('is refused when it does not fit, and loads at once when it does', () => {
    const dataText = JSON.stringify({
      keys: Object.fromEntries(Array.from({ length: 20_000 }, (_, i) => [`k${i}`, { roles: ['a'] }])),
    })
    expect(codeOf(() => engineFor(echo, { dataText, maxMemoryBytes: 2 * 1024 * 1024 }))).toBe('out_of_memory')
    expect(cpuMs(() => engineFor(echo, { dataText }))).toBeLessThan(5000)
  })
})

describe('a module', () => {
  it('that is none is refused', () => {
    for (const wasm of [
      new Uint8Array(),
      Buffer.from('not wasm at all'),
      compile(echo, 'test/answer').subarray(0, 5000),
    ]) {
      expect(codeOf(() => createEngine({ wasm, dataText: '{}', builtinErrors: 'refuse' }))).toBe('bad_module')
    }
  })

  it('that calls what is not offered is refused with all the names', () => {
    const rego = 'package test\n\nanswer := [http.send({"method": "get", "url": "x"}), opa.runtime()]\n'
    try {
      engineFor(rego)
      expect.unreachable()
    } catch (cause) {
      expect(cause).toBeInstanceOf(EngineError)
      expect(cause).toMatchObject({ code: 'unsupported_builtin', builtins: ['http.send', 'opa.runtime'] })
    }
  })
})

describe('a builtin that fails', () => {
  const host =
    'package test\n\ndefault answer := "allowed"\n\nanswer := "denied" if time.parse_rfc3339_ns(input.x) > 0\n'
  const own =
    'package test\n\ndefault answer := "allowed"\n\nanswer := "denied" if regex.match(input.x, "y")\n'

  it('refuses the decision, with its name and operands, wherever it runs', () => {
    for (const [rego, builtin] of [
      [host, 'time.parse_rfc3339_ns'],
      [own, 'regex.match'],
    ] as const) {
      const engine = engineFor(rego)
      try {
        evaluate(engine, '{"x":"["}')
        expect.unreachable()
      } catch (cause) {
        expect(cause).toMatchObject({ code: 'builtin_error', builtin })
        expect((cause as EngineError).argument).toContain('"["')
      }
      expect(codeOf(() => evaluate(engine, '{"x":5}'))).toBe('builtin_error')
    }
  })

  it('has no value where that was asked for', () => {
    for (const rego of [host, own])
      expect(evaluate(engineFor(rego, { builtinErrors: 'undefined' }), '{"x":"["}')).toBe('"allowed"')
  })

  it('is not one that merely has no value', () => {
    expect(evaluate(engineFor('package test\n\nanswer := object.get(input, "x", "default")\n'), '{}')).toBe(
      '"default"',
    )
    expect(
      evaluate(engineFor('package test\n\ndefault answer := "none"\n\nanswer := max(input)\n'), '[]'),
    ).toBe('"none"')
  })

  it('does not cost the instance: a thousand in a row are quick', () => {
    const engine = engineFor(host, { dataText: JSON.stringify({ big: 'x'.repeat(1_000_000) }) })
    const asked = (): void => {
      for (let i = 0; i < 1000; i++)
        expect(codeOf(() => evaluate(engine, '{"x":"odd"}'))).toBe('builtin_error')
    }
    expect(cpuMs(asked)).toBeLessThan(3000)
  })
})

describe('what goes wrong inside', () => {
  it('ends one evaluation: two answers of one rule', () => {
    const engine = engineFor('package test\n\nanswer := 1 if input.a\n\nanswer := 2 if input.b\n')
    expect(codeOf(() => evaluate(engine, '{"a":true,"b":true}'))).toBe('trap')
    expect(evaluate(engine, '{"b":true}')).toBe('2')
  })

  it('ends one evaluation: more memory than there is', () => {
    const engine = engineFor('package test\n\nanswer := count(numbers.range(1, input.n))\n', {
      maxMemoryBytes: 4 * 1024 * 1024,
    })
    expect(codeOf(() => evaluate(engine, '{"n":10000000}'))).toBe('out_of_memory')
    expect(evaluate(engine, '{"n":10}')).toBe('10')
    expect(codeOf(() => evaluate(engine, JSON.stringify('x'.repeat(5_000_000))))).toBe('out_of_memory')
    expect(evaluate(engine, '{"n":10}')).toBe('10')
  })
})

describe('a runaway', () => {
  const limit = { maxEvaluationMs: 50 }

  /** Without an end it would take minutes. */
  const endsSoon = (work: () => unknown): void =>
    expect(cpuMs(() => expect(codeOf(work)).toBe('timed_out'))).toBeLessThan(3000)

  it('is stopped in time, and the next evaluation answers', () => {
    const rego = `package test
answer := count([1 | some a in input.l; some b in input.l; some c in input.l; some d in input.l; a + b + c + d == -1])`
    const engine = engineFor(rego, limit)
    const list = JSON.stringify({ l: Array.from({ length: 200 }, (_, i) => i) })
    endsSoon(() => evaluate(engine, list))
    expect(evaluate(engine, '{"l":[1]}')).toBe('0')
  })

  it('is stopped after data had to be loaded again', () => {
    const dataText = JSON.stringify({
      keys: Object.fromEntries(Array.from({ length: 20_000 }, (_, i) => [`k${i}`, [i]])),
    })
    const rego = 'package test\n\nanswer := count([1 | some a in input.l; some b in data.keys; a == b])\n'
    const engine = engineFor(rego, { ...limit, dataText, maxEvaluationMs: 20 })
    const list = JSON.stringify({ l: Array.from({ length: 2000 }, (_, i) => i) })
    for (let i = 0; i < 2; i++) endsSoon(() => evaluate(engine, list))
    expect(evaluate(engine, '{"l":[]}')).toBe('0')
  })

  it('is stopped in a search and in a graph', () => {
    const search = engineFor('package test\n\nanswer := contains(input.a, input.b)\n', limit)
    const text = JSON.stringify({ a: 'a'.repeat(300_000), b: `${'a'.repeat(100_000)}b` })
    endsSoon(() => evaluate(search, text))
    const graph = Object.fromEntries(
      Array.from({ length: 40 }, (_, i) => [i, [`${i + 1}`, `${i + 2}`, `x${i}`]]),
    )
    const paths = engineFor('package test\n\nanswer := count(graph.reachable_paths(input, ["0"]))\n', limit)
    expect(['timed_out', undefined]).toContain(codeOf(() => evaluate(paths, JSON.stringify(graph))))
  })

  it('is none: replacing nothing, and numbers that are too large to reckon with', () => {
    const replace = engineFor('package test\n\nanswer := replace("abc", input.x, "-")\n', limit)
    expect(evaluate(replace, '{"x":""}')).toBe('"-a-b-c-"')
    const reckon = engineFor('package test\n\nanswer := input.x + 1\n', limit)
    expect(codeOf(() => evaluate(reckon, '{"x":1e100000000}'))).toBe('builtin_error')
    expect(evaluate(reckon, '{"x":1e30}')).toBe('1000000000000000000000000000001')
  })
})
