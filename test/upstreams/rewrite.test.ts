import { describe, expect, it } from 'vitest'
import type { Rewrite } from '../../src/contract/decision.schema.ts'
import { parseBody } from '../../src/server/strict-json.ts'
import { rewrittenBody } from '../../src/upstreams/rewrite.ts'

const CHAT = '/v1/chat/completions'
const rewritten = (body: string, rewrite: Rewrite | undefined, path = CHAT): string | undefined =>
  rewrittenBody(parseBody(Buffer.from(body)), rewrite, path)?.toString()

describe('a body that nothing is to be changed in', () => {
  it.each([
    ['no rewrite', undefined],
    ['headers alone', { headers: { set: { 'x-a': '1' } } }],
    ['the model it names already', { model: 'tiny' }],
    ['a ceiling that is above', { max_tokens: 100 }],
    ['a ceiling that is equal', { max_tokens: 64 }],
  ] as [string, Rewrite | undefined][])('goes out as the very bytes that came in: %s', (_what, rewrite) => {
    const body = parseBody(Buffer.from(' {"model" : "tiny", "max_tokens":64 } '))
    expect(rewrittenBody(body, rewrite, CHAT)).toBe(body.bytes)
  })

  it.each(['[]', '"text"', '5', 'null', '[{"model":"a"}]'])('is one that is no object: %s', text => {
    expect(rewritten(text, { model: 'b', max_tokens: 5 })).toBe(text)
  })

  it('is none where there is none', () => {
    expect(rewrittenBody(undefined, { model: 'b' }, CHAT)).toBeUndefined()
  })
})

describe('a ceiling where none was given', () => {
  it.each([
    ['/v1/chat/completions', '{"max_tokens":5,"model":"m"}'],
    ['/v1/responses', '{"max_output_tokens":5,"model":"m"}'],
    ['/completion', '{"n_predict":5,"model":"m"}'],
    ['/api/chat', '{"options":{"num_predict":5},"model":"m"}'],
    ['/v1/embeddings', '{"model":"m"}'],
    ['/api/embed', '{"model":"m"}'],
  ])('is named as %s names it, and not where nothing is generated', (path, expected) => {
    expect(rewritten('{"model":"m"}', { max_tokens: 5 }, path)).toBe(expected)
  })
})

describe('the model', () => {
  it('is changed and every other byte is left as it came', () => {
    const body =
      '{ "n":12345678901234567890, "model":"tiny","f":1.0,\n\t"e":1E300, "s":"\\u00fc\\ud83d\\ude00ü" }'
    expect(rewritten(body, { model: 'tiny-q4' })).toBe(body.replace('"tiny"', '"tiny-q4"'))
  })

  it.each([
    ['{"a":{"model":"x"},"model":"y"}', '{"a":{"model":"x"},"model":"z"}'],
    ['{"model":"y","a":[{"model":"x"},{"model":"x"}]}', '{"model":"z","a":[{"model":"x"},{"model":"x"}]}'],
    ['{"a":"\\"model\\":\\"x\\"","model":"y"}', '{"a":"\\"model\\":\\"x\\"","model":"z"}'],
    ['{"a":"model","model":"y"}', '{"a":"model","model":"z"}'],
    ['{"mod\\u0065l":"y"}', '{"mod\\u0065l":"z"}'],
    ['{"model":{"name":"y","x":[1,"}"]}}', '{"model":"z"}'],
    ['{"model":null,"b":1}', '{"model":"z","b":1}'],
  ])('is found where it stands, in %s', (body, changed) => {
    expect(rewritten(body, { model: 'z' })).toBe(changed)
  })

  it('may be written with blanks around it', () => {
    expect(JSON.parse(rewritten('{ "model"\n : \t"y" , "b" : 2 }', { model: 'z' }) ?? '')).toEqual({
      model: 'z',
      b: 2,
    })
  })

  it('is added where the body names none', () => {
    expect(rewritten('{"b":1}', { model: 'z' })).toBe('{"model":"z","b":1}')
    expect(rewritten('{}', { model: 'z' })).toBe('{"model":"z"}')
    expect(rewritten('{ }', { model: 'z' })).toBe('{"model":"z" }')
  })

  it('cannot break out of its place', () => {
    const model = 'a","admin":true,"b":"\n☃'
    expect(JSON.parse(rewritten('{"model":"y","b":1}', { model }) ?? '')).toEqual({ model, b: 1 })
  })
})

describe('the ceiling of tokens', () => {
  it.each([
    ['{"max_tokens":500}', '{"max_tokens":256}'],
    ['{"max_completion_tokens":500}', '{"max_completion_tokens":256}'],
    ['{"max_tokens":500,"max_completion_tokens":100}', '{"max_tokens":256,"max_completion_tokens":100}'],
    [
      '{"max_tokens":100,"max_completion_tokens":500,"n_predict":600}',
      '{"max_tokens":100,"max_completion_tokens":256,"n_predict":256}',
    ],
    ['{"max_output_tokens":500}', '{"max_output_tokens":256}'],
    ['{"n_predict":-1}', '{"n_predict":256}'],
    ['{"max_tokens":-1}', '{"max_tokens":256}'],
    ['{"max_tokens":null}', '{"max_tokens":256}'],
    ['{"max_tokens":"5"}', '{"max_tokens":256}'],
    ['{"max_tokens":1e300}', '{"max_tokens":256}'],
    ['{"max_tokens":99999999999999999999}', '{"max_tokens":256}'],
    ['{"max_tokens":{"max_tokens":1}}', '{"max_tokens":256}'],
    ['{}', '{"max_tokens":256}'],
    ['{"messages":[{"max_tokens":1}]}', '{"max_tokens":256,"messages":[{"max_tokens":1}]}'],
  ])('lowers %s', (body, changed) => {
    expect(rewritten(body, { max_tokens: 256 })).toBe(changed)
  })

  it.each([
    '{"max_tokens":0}',
    '{"max_tokens":1}',
    '{"max_tokens":255.5}',
    '{"n_predict":256}',
    '{"max_tokens":1,"n_predict":2}',
  ])('never raises: %s', body => {
    expect(rewritten(body, { max_tokens: 256 })).toBe(body)
  })

  it.each([
    ['/completion', '{"n_predict":256}'],
    ['/infill', '{"n_predict":256}'],
    ['/v1/completions', '{"max_tokens":256}'],
  ])('has, on %s, the name that is read there', (path, changed) => {
    expect(rewritten('{}', { max_tokens: 256 }, path)).toBe(changed)
  })

  it('and the model are changed together', () => {
    expect(rewritten('{"max_tokens":500,"model":"a","x":1.0}', { model: 'b', max_tokens: 256 })).toBe(
      '{"max_tokens":256,"model":"b","x":1.0}',
    )
  })
})

describe("Ollama's own API", () => {
  it.each([
    ['{"model":"a"}', '{"options":{"num_predict":256},"model":"a"}'],
    ['{"options":{}}', '{"options":{"num_predict":256}}'],
    ['{"options":null}', '{"options":{"num_predict":256}}'],
    ['{"options":[1]}', '{"options":{"num_predict":256}}'],
    [
      '{"options":{"num_predict":-1,"seed":12345678901234567890}}',
      '{"options":{"num_predict":256,"seed":12345678901234567890}}',
    ],
    [
      '{"options":{"temperature":1.0,"num_predict":500},"x":1}',
      '{"options":{"temperature":1.0,"num_predict":256},"x":1}',
    ],
    ['{"options":{"stop":["}"],"num_predict":null}}', '{"options":{"stop":["}"],"num_predict":256}}'],
    ['{"max_tokens":5}', '{"options":{"num_predict":256},"max_tokens":5}'],
  ])('keeps its ceiling in options: %s', (body, changed) => {
    expect(rewritten(body, { max_tokens: 256 }, '/api/chat')).toBe(changed)
  })

  it('keeps a lower one as it is', () => {
    const body = '{"options":{"num_predict":5,"seed":12345678901234567890}}'
    expect(rewritten(body, { max_tokens: 256 }, '/api/generate')).toBe(body)
  })
})
