import { describe, expect, it } from 'vitest'
import { createUsageReader, type Usage, usageOf } from '../../src/limits/usage-reader.ts'

function readIn(streamed: boolean, parts: readonly Buffer[]): Usage | undefined {
  const reader = createUsageReader(streamed)
  for (const part of parts) reader.push(part)
  return reader.end()
}
const read = (streamed: boolean, text: string): Usage | undefined => readIn(streamed, [Buffer.from(text)])

const OPENAI = `data: {"choices":[{"delta":{"content":"grün ☃ 🎉"}}],"usage":null}\n\ndata: {"choices":[],"usage":{"prompt_tokens":12,"completion_tokens":34,"total_tokens":46}}\n\ndata: [DONE]\n\n`
const OPENAI_CRLF = OPENAI.replaceAll('\n', '\r\n')
const OLLAMA = `{"message":{"content":"ü"},"done":false}\n{"message":{"content":""},"done":true,"prompt_eval_count":12,"eval_count":34}\n`
const LLAMA_CPP = `data: {"content":"ü","stop":false}\n\ndata: {"content":"","stop":true,"tokens_predicted":34,"tokens_evaluated":12}\n\n`
const EXPECTED = { inputTokens: 12, outputTokens: 34 }

describe.each([
  ['OpenAI', OPENAI],
  ['OpenAI, with carriage returns', OPENAI_CRLF],
  ['Ollama', OLLAMA],
  ['llama.cpp', LLAMA_CPP],
])('a stream of %s', (_who, stream) => {
  const bytes = Buffer.from(stream)

  it('is read whole', () => {
    expect(readIn(true, [bytes])).toEqual(EXPECTED)
  })

  it('is read wherever it is cut in two', () => {
    for (let at = 0; at <= bytes.length; at++) {
      expect(readIn(true, [bytes.subarray(0, at), bytes.subarray(at)]), `cut at ${at}`).toEqual(EXPECTED)
    }
  })

  it('is read byte by byte', () => {
    expect(
      readIn(
        true,
        [...bytes].map(byte => Buffer.from([byte])),
      ),
    ).toEqual(EXPECTED)
  })

  it('is read when its last line feed is missing', () => {
    expect(read(true, stream.trimEnd())).toEqual(EXPECTED)
  })
})

describe('an answer in one piece', () => {
  it.each([
    ['OpenAI', '{"usage":{"prompt_tokens":12,"completion_tokens":34},"choices":[]}'],
    ['the Responses API', '{"usage":{"input_tokens":12,"output_tokens":34}}'],
    ['Ollama', '{"response":"","prompt_eval_count":12,"eval_count":34}'],
    ['llama.cpp', '{"content":"","tokens_predicted":34,"tokens_evaluated":12}'],
    ['llama.cpp, by its timings', '{"choices":[],"timings":{"cache_n":5,"prompt_n":7,"predicted_n":34}}'],
    ['an older llama.cpp, by its timings', '{"choices":[],"timings":{"prompt_n":12,"predicted_n":34}}'],
    [
      'OpenAI, over several lines',
      '{\n  "usage": {\n    "prompt_tokens": 12,\n    "completion_tokens": 34\n  }\n}\n',
    ],
  ])('of %s is read, wherever it is cut', (_who, text) => {
    const bytes = Buffer.from(text)
    for (let at = 0; at <= bytes.length; at++) {
      expect(readIn(false, [bytes.subarray(0, at), bytes.subarray(at)])).toEqual(EXPECTED)
    }
  })

  it.each([
    ['nothing', ''],
    ['half an answer', '{"usage":{"prompt_tokens":12,"comp'],
    ['no JSON', '<html>"usage"</html>'],
    ['an error', '{"error":{"message":"no"}}'],
    ['an answer that only talks of usage', '{"choices":[{"message":{"content":"the \\"usage\\" is 5"}}]}'],
  ])('that is %s reports nothing', (_what, text) => {
    expect(read(false, text)).toBeUndefined()
    expect(read(true, text)).toBeUndefined()
  })

  it('of more than four megabytes is not looked into, and takes no memory', () => {
    const padding = 'x'.repeat(5 * 1024 * 1024)
    expect(
      read(false, `{"content":"${padding}","usage":{"prompt_tokens":1,"completion_tokens":1}}`),
    ).toBeUndefined()
  })
})

describe('what counts', () => {
  it('is what was reported last', () => {
    const running = [1, 2, 3]
      .map(count => `data: {"usage":{"prompt_tokens":9,"completion_tokens":${count}}}\n\n`)
      .join('')
    expect(read(true, running)).toEqual({ inputTokens: 9, outputTokens: 3 })
  })

  it('is an explicit zero, also after another number: a zero is a report, not its absence', () => {
    expect(read(true, 'data: {"usage":{"prompt_tokens":9,"completion_tokens":0}}\n\n')).toEqual({
      inputTokens: 9,
      outputTokens: 0,
    })
    expect(
      read(
        true,
        'data: {"usage":{"prompt_tokens":9,"completion_tokens":5}}\n\ndata: {"usage":{"prompt_tokens":0,"completion_tokens":0}}\n\n',
      ),
    ).toEqual({ inputTokens: 0, outputTokens: 0 })
  })

  it('is not undone by a later null', () => {
    expect(
      read(true, 'data: {"usage":{"prompt_tokens":9,"completion_tokens":5}}\n\ndata: {"usage":null}\n\n'),
    ).toEqual({
      inputTokens: 9,
      outputTokens: 5,
    })
  })

  it('is not undone by a line that is longer than is looked into', () => {
    const reader = createUsageReader(true)
    reader.push(Buffer.from('data: {"usage":{"prompt_tokens":9,"completion_tokens":5}}\n\ndata: {"x":"'))
    for (let count = 0; count < 6; count++) reader.push(Buffer.alloc(1024 * 1024, 'x'))
    reader.push(Buffer.from('"}\n\n'))
    expect(reader.end()).toEqual({ inputTokens: 9, outputTokens: 5 })
  })

  it('is not what a model wrote: only the outermost object reports', () => {
    expect(
      read(true, 'data: {"choices":[{"delta":{"usage":{"prompt_tokens":0,"completion_tokens":0}}}]}\n\n'),
    ).toBeUndefined()
  })
})

describe('pieces of a stream', () => {
  it.each([
    'data: {"choices":[{"delta":{"content":"x"}}]}',
    'data: {"choices":[{"delta":{"reasoning_content":"x"}}]}',
    'data: {"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\\""}}]}}]}',
    'data: {"type":"response.output_text.delta","delta":"x"}',
    'data: {"content":"x","stop":false}',
    '{"message":{"role":"assistant","content":"","thinking":"x"},"done":false}',
    '{"response":"x","done":false}',
  ])('are counted in %s', line => {
    const reader = createUsageReader(true)
    reader.push(Buffer.from(`${line}\n\n${line}\n\n`))
    expect([reader.end(), reader.generated(), reader.pieces()]).toEqual([undefined, 2, 2])
  })
})

describe('usageOf', () => {
  it.each([-1, 1.5, '12', null, Number.NaN, 1e300, true])('takes %j for no count', prompt_tokens => {
    expect(usageOf({ usage: { prompt_tokens } })).toBeUndefined()
  })

  it.each([undefined, null, 5, 'usage', [], {}, { usage: 5 }, { usage: [] }])(
    'finds nothing in %j',
    value => {
      expect(usageOf(value)).toBeUndefined()
    },
  )

  it('takes what is not reported for zero when the other is', () => {
    expect(usageOf({ usage: { prompt_tokens: 12 } })).toEqual({ inputTokens: 12, outputTokens: 0 })
  })
})
