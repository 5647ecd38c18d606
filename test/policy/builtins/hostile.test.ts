/** What a request may bring to a builtin: it answers or fails, soon. */
import { describe, expect, it } from 'vitest'
import { ask, codeOf, cpuMs, engineFor, INSTANT } from '../rego.ts'

/** What is not soon takes minutes, or has no end. */
const SOON_MS = 5000

function endsSoon(engine: ReturnType<typeof engineFor>, input: string): void {
  expect(cpuMs(() => codeOf(() => engine.evaluate('test/answer', input, INSTANT)))).toBeLessThan(SOON_MS)
}

describe('hostile input', () => {
  const long = 'a'.repeat(50_000)

  it.each([
    ['regex.replace(input.x, "(a*)*b", "x")', { x: long }],
    ['regex.split("(a|aa)+$", input.x)', { x: `${long}b` }],
    ['regex.globs_match(input.x, input.y)', { x: 'a*'.repeat(200), y: 'a*'.repeat(200) }],
    ['sprintf("%1000000d%*d", [1, 1000000, 2])', {}],
    ['sprintf(input.x, [1e308, 1])', { x: '%'.repeat(5000) }],
    [
      'strings.render_template("{{define \\"a\\"}}{{template \\"a\\" .}}{{end}}{{template \\"a\\" .}}", {})',
      {},
    ],
    [
      'yaml.unmarshal(input.x)',
      {
        x: `a: &a [x,x,x,x,x,x,x,x,x]\n${'bcdefghi'
          .split('')
          .map((c, i) => `${c}: &${c} [${Array(9).fill(`*${'abcdefgh'[i]}`).join()}]\n`)
          .join('')}`,
      },
    ],
    ['json.match_schema({}, {"$ref": "#"})', {}],
    ['json.match_schema("1e100", {"multipleOf": 1e-300})', {}],
    ['units.parse("1e999999")', {}],
    ['net.cidr_expand("::/0")', {}],
    ['numbers.range_step(0, 1e18, 1)', {}],
    ['format_int(1e9999, 2)', {}],
    ['graphql.is_valid(input.x, "type Query { a: Int }")', { x: '{'.repeat(20_000) }],
    ['crypto.x509.parse_certificates(input.x)', { x: Buffer.alloc(20_000, 0x30).toString('base64') }],
    ['replace(input.x, "a", input.x)', { x: long }],
    ['semver.compare(input.x, input.x)', { x: `${'9'.repeat(20_000)}.0.0` }],
    ['time.add_date(0, 9e15, 9e15, 9e15)', {}],
    ['time.parse_ns(input.x, input.x)', { x: '2006'.repeat(5000) }],
    ['uuid.parse(input.x)', { x: long }],
    ['bits.lsh(1, 1e15)', {}],
    ['bits.and(input.x, 1)', `{"x": ${'9'.repeat(100_000)}}`],
    ['units.parse(input.x)', { x: '9'.repeat(200_000) }],
  ])('%s', (expression, input) => {
    const engine = engineFor(`package test\n\nanswer := ${expression}\n`)
    endsSoon(engine, typeof input === 'string' ? input : JSON.stringify(input))
  })

  it.each([
    ['indexof_n(input.x, input.y)'],
    ['replace(input.x, input.y, "")'],
    ['strings.count(input.x, input.y)'],
    ['strings.replace_n({input.y: "", "b": "c"}, input.x)'],
    ['contains(input.x, input.y)'],
    ['regex.split("a|b", input.x)'],
    ['strings.any_prefix_match([s | some i in input.n; s := sprintf("%d", [i])], input.n_texts)'],
    ['strings.render_template("{{range 90000}}{{range 90000}}{{end}}{{end}}", {})'],
    ['json.match_schema(input.deep, input.schema)'],
  ])('%s ends when its time is up', expression => {
    const n = Array.from({ length: 5000 }, (_, i) => i)
    let deep: unknown = 1
    for (let i = 0; i < 60; i++) deep = { a: deep }
    const either = { anyOf: [{ $ref: '#' }, { $ref: '#' }] }
    const input = {
      x: 'a'.repeat(400_000),
      y: `b${'a'.repeat(200_000)}`,
      n,
      n_texts: n.map(i => `x${i}`),
      deep,
      schema: { properties: { a: either }, not: { type: 'integer' } },
    }
    const engine = engineFor(`package test\n\nanswer := ${expression}\n`, { maxEvaluationMs: 50 })
    endsSoon(engine, JSON.stringify(input))
  })

  it('does not fetch what a schema refers to', () => {
    expect(ask('json.verify_schema({"$ref": "http://127.0.0.1:1/x"})[0]')).toBe('false')
    expect(ask('json.verify_schema({"$ref": "#/%zz"})[0]')).toBe('false')
    expect(ask('json.verify_schema({"$ref": "file:///etc/passwd"})[0]')).toBe('false')
  })
})
