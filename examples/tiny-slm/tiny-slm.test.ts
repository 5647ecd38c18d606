import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'
import { createInterface } from 'node:readline'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import OpenAI from 'openai'
import { afterEach, describe, expect, it } from 'vitest'
import { startTinySlm, type TinySlm, type TinySlmOptions } from './server.ts'

const opened: TinySlm[] = []
const ASKED = {
  model: 'tiny',
  messages: [{ role: 'user' as const, content: 'Who keeps the lamp?' }],
  seed: 7,
}

async function start(options: TinySlmOptions = {}) {
  const slm = await startTinySlm(options)
  opened.push(slm)
  return { slm, ai: new OpenAI({ baseURL: `${slm.url}/v1`, apiKey: 'unused', maxRetries: 0 }) }
}

function post(slm: TinySlm, path: string, body: unknown, init: RequestInit = {}) {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  return fetch(slm.url + path, {
    method: 'POST',
    body: text,
    headers: { 'content-type': 'application/json' },
    ...init,
  })
}

async function collect<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const one of stream) all.push(one)
  return all
}

afterEach(async () => {
  await Promise.all(opened.splice(0).map(slm => slm.close()))
})

describe('an answer', () => {
  it('has the shape and the usage that the SDK expects', async () => {
    const { ai } = await start({ name: 'one' })
    const { data, response } = await ai.chat.completions.create({ ...ASKED, max_tokens: 40 }).withResponse()
    const [choice] = data.choices
    expect(data).toMatchObject({ object: 'chat.completion', model: 'tiny', system_fingerprint: 'one' })
    expect(choice?.message.role).toBe('assistant')
    expect(choice?.message.content).toMatch(/\w+ \w+/)
    expect(data.usage?.prompt_tokens).toBeGreaterThan(5)
    expect(data.usage?.completion_tokens).toBeLessThanOrEqual(40)
    expect(data.usage?.total_tokens).toBe(
      (data.usage?.prompt_tokens ?? 0) + (data.usage?.completion_tokens ?? 0),
    )
    expect(response.headers.get('x-tiny-slm')).toBe('one')
  })

  it('is the same for the same seed, and another for another', async () => {
    const { ai } = await start()
    const say = async (seed: number) =>
      (await ai.chat.completions.create({ ...ASKED, seed })).choices[0]?.message.content
    const [first, again, other] = await Promise.all([say(1), say(1), say(2)])
    expect(again).toBe(first)
    expect(other).not.toBe(first)
  })

  it('does not depend on the seed where the temperature is 0 and the prompt is continued', async () => {
    const { ai } = await start()
    const say = async (seed: number) =>
      (
        await ai.completions.create({
          model: 'tiny',
          prompt: 'The keeper of the',
          temperature: 0,
          seed,
          max_tokens: 8,
        })
      ).choices[0]?.text
    expect(await say(1)).toBe(await say(2))
  })

  it('costs more prompt tokens when the prompt is longer', async () => {
    const { ai } = await start()
    const cost = async (content: string) =>
      (await ai.chat.completions.create({ ...ASKED, messages: [{ role: 'user', content }] })).usage
        ?.prompt_tokens ?? 0
    expect((await cost('the gate and the lamp')) - (await cost('the gate'))).toBe(3)
  })

  it('ends with length at the ceiling, under either name of it', async () => {
    const { ai } = await start()
    const ends = { ...ASKED, ignore_eos: true }
    const old = await ai.chat.completions.create({ ...ends, max_tokens: 3 })
    const current = await ai.chat.completions.create({ ...ends, max_completion_tokens: 5, max_tokens: 3 })
    expect(old.choices[0]?.finish_reason).toBe('length')
    expect(old.usage?.completion_tokens).toBe(3)
    expect(current.usage?.completion_tokens).toBe(5)
  })

  it('ends before a stop string that spans several tokens, whole or streamed', async () => {
    const { ai } = await start()
    const whole =
      (await ai.chat.completions.create({ ...ASKED, max_tokens: 30 })).choices[0]?.message.content ?? ''
    const stop = whole.slice(9, 18)
    const cut = await ai.chat.completions.create({ ...ASKED, max_tokens: 30, stop: ['never said', stop] })
    const chunks = await collect(
      await ai.chat.completions.create({ ...ASKED, max_tokens: 30, stop, stream: true }),
    )
    const expected = whole.slice(0, whole.indexOf(stop))
    expect(cut.choices[0]).toMatchObject({ finish_reason: 'stop', message: { content: expected } })
    expect(chunks.map(chunk => chunk.choices[0]?.delta.content ?? '').join('')).toBe(expected)
  })

  it('loses no text that only looked like the beginning of a stop string', async () => {
    const { ai } = await start()
    const whole = await ai.chat.completions.create({ ...ASKED, max_tokens: 30 })
    const end = whole.choices[0]?.message.content?.slice(-4)
    const same = await ai.chat.completions.create({ ...ASKED, max_tokens: 30, stop: `${end} and never this` })
    expect(same.choices[0]?.message.content).toBe(whole.choices[0]?.message.content)
  })
})

describe('a stream', () => {
  it('gives the same text in pieces, and the usage last, in a chunk without choices', async () => {
    const { ai } = await start()
    const whole = await ai.chat.completions.create(ASKED)
    const chunks = await collect(
      await ai.chat.completions.create({ ...ASKED, stream: true, stream_options: { include_usage: true } }),
    )
    expect(chunks[0]?.choices[0]?.delta).toEqual({ role: 'assistant', content: '' })
    expect(chunks.map(chunk => chunk.choices[0]?.delta.content ?? '').join('')).toBe(
      whole.choices[0]?.message.content,
    )
    expect(chunks.at(-2)?.choices[0]?.finish_reason).toBe(whole.choices[0]?.finish_reason)
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: whole.usage })
    expect(new Set(chunks.map(chunk => chunk.id)).size).toBe(1)
  })

  it('says nothing of usage unless asked', async () => {
    const { slm } = await start()
    const text = await (
      await post(slm, '/v1/chat/completions', { ...ASKED, stream: true, max_tokens: 3 })
    ).text()
    expect(text).not.toContain('usage')
    expect(text.endsWith('data: [DONE]\n\n')).toBe(true)
  })

  it('continues a prompt through /v1/completions', async () => {
    const { ai } = await start()
    const asked = { model: 'tiny', prompt: 'The keeper of the', seed: 3, max_tokens: 12 }
    const whole = await ai.completions.create(asked)
    const chunks = await collect(await ai.completions.create({ ...asked, stream: true }))
    expect(whole).toMatchObject({ object: 'text_completion', usage: { prompt_tokens: 4 } })
    expect(chunks.map(chunk => chunk.choices[0]?.text).join('')).toBe(whole.choices[0]?.text)
  })

  it('is written at the speed asked for', async () => {
    const { ai } = await start({ tokensPerSecond: 200 })
    const from = performance.now()
    await collect(
      await ai.chat.completions.create({ ...ASKED, stream: true, max_tokens: 30, ...{ ignore_eos: true } }),
    )
    expect(performance.now() - from).toBeGreaterThan(30 / 0.2 - 20)
  })

  it('stops generating as soon as the client leaves', async () => {
    const { slm, ai } = await start({ tokensPerSecond: 50 })
    const stream = await ai.chat.completions.create({
      ...ASKED,
      stream: true,
      max_tokens: 100_000,
      ...{ ignore_eos: true },
    })
    for await (const _ of stream) break
    const { generated_tokens } = await slm.until(now => now.aborted === 1 && now.in_flight === 0)
    expect(generated_tokens).toBeLessThan(200)
    expect(slm.stats()).toMatchObject({ completed: 0, failed: 0 })
  })

  it('waits for a reader who does not read', async () => {
    const { slm } = await start()
    const body = JSON.stringify({ ...ASKED, stream: true, max_tokens: 100_000, ignore_eos: true })
    const socket = connect(slm.port, '127.0.0.1').pause()
    socket.write(
      `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    )
    await slm.until(now => now.generated_tokens > 0)
    let before = -1
    while (before !== slm.stats().generated_tokens) {
      before = slm.stats().generated_tokens
      await setTimeout(150)
    }
    expect(before).toBeLessThan(100_000)
    socket.resume()
    await once(socket, 'end')
    expect(slm.stats()).toMatchObject({ generated_tokens: 100_000, completed: 1 })
  })
})

describe('slots', () => {
  it('let the others wait, first come first served', async () => {
    const { slm, ai } = await start({ slots: 1, tokensPerSecond: 200 })
    const order: number[] = []
    const ask = async (turn: number) => {
      const answer = ai.chat.completions.create({ ...ASKED, max_tokens: 10 }).then(() => order.push(turn))
      await slm.until(now => now.requests === turn && (now.queued === turn - 1 || order.length > 0))
      return { answer }
    }
    const asked = [await ask(1), await ask(2), await ask(3)]
    await Promise.all(asked.map(each => each.answer))
    expect(order).toEqual([1, 2, 3])
    expect(slm.stats()).toMatchObject({ most_running: 1, completed: 3, queued: 0 })
  })

  it('are not kept for a client who left the queue', async () => {
    const { slm, ai } = await start({ slots: 1, tokensPerSecond: 100 })
    const [ending, leaving] = [new AbortController(), new AbortController()]
    const endless = { ...ASKED, max_tokens: 100_000, ...{ ignore_eos: true } }
    const first = ai.chat.completions.create(endless, { signal: ending.signal })
    await slm.until(now => now.generated_tokens > 0)
    const second = ai.chat.completions.create(ASKED, { signal: leaving.signal })
    await slm.until(now => now.queued === 1)
    leaving.abort()
    await expect(second).rejects.toBeInstanceOf(OpenAI.APIUserAbortError)
    await slm.until(now => now.queued === 0 && now.aborted === 1)
    const third = ai.chat.completions.create(ASKED)
    await slm.until(now => now.queued === 1)
    ending.abort()
    await expect(first).rejects.toBeInstanceOf(OpenAI.APIUserAbortError)
    await third
    expect(await slm.until(now => now.in_flight === 0)).toMatchObject({
      completed: 1,
      aborted: 2,
      most_running: 1,
    })
  })
})

describe('memory', () => {
  it('spares the beginning of a prompt that was read before, as long as it is remembered', async () => {
    const { slm, ai } = await start({ remembered: 2 })
    const unseen = async (...contents: string[]): Promise<number> => {
      const before = slm.stats().unseen_tokens
      const messages = contents.map(content => ({ role: 'user' as const, content }))
      await ai.chat.completions.create({ model: 'tiny', max_tokens: 1, messages })
      return slm.stats().unseen_tokens - before
    }
    const lamp = 'Who keeps the lamp when the night is long and the sea is high?'
    const first = await unseen(lamp)
    expect(first).toBeGreaterThan(10)
    expect(await unseen(lamp, 'And then?')).toBeLessThan(first)
    expect(await unseen(lamp, 'And then?')).toBe(0)
    await unseen('Another one')
    await unseen('A third one')
    expect(await unseen(lamp)).toBeGreaterThan(first / 2)
  })
})

describe('the rest of the interface', () => {
  it('embeds the same words in the same direction, in either encoding', async () => {
    const { ai } = await start()
    const input = ['the gate is open', 'The gate is open.', 'soup']
    const asked = await ai.embeddings.create({ model: 'tiny', input })
    const floats = await ai.embeddings.create({ model: 'tiny', input, encoding_format: 'float' })
    const vectors = asked.data.map(each => each.embedding)
    expect(vectors).toEqual(floats.data.map(each => each.embedding))
    expect(vectors[0]).toHaveLength(32)
    expect(Math.hypot(...(vectors[2] ?? []))).toBeCloseTo(1, 5)
    expect(vectors[2]).not.toEqual(vectors[0])
    expect(asked.usage.prompt_tokens).toBeGreaterThanOrEqual(10)
  })

  it('lists and describes its models', async () => {
    const { ai } = await start({ models: ['tiny', 'lab/tiny-large'] })
    expect((await collect(ai.models.list())).map(each => each.id)).toEqual(['tiny', 'lab/tiny-large'])
    expect((await ai.models.retrieve('lab/tiny-large')).object).toBe('model')
  })

  it('does not know a model that it does not serve', async () => {
    const { ai } = await start()
    const answer = ai.chat.completions.create({ ...ASKED, model: 'huge' })
    await expect(answer).rejects.toMatchObject({ status: 404, code: 'model_not_found' })
    await expect(answer).rejects.toBeInstanceOf(OpenAI.NotFoundError)
  })

  it.each([
    ['no JSON', '{"model":'],
    ['no object', '[]'],
    ['no messages', { model: 'tiny' }],
    ['messages that are empty', { ...ASKED, messages: [] }],
    ['a message without a role', { ...ASKED, messages: [{ content: 'x' }] }],
    ['a model that is no name', { ...ASKED, model: 3 }],
    ['no tokens', { ...ASKED, max_tokens: 0 }],
    ['a ceiling that is text', { ...ASKED, max_tokens: '10' }],
    ['too much heat', { ...ASKED, temperature: 2.5 }],
    ['two answers', { ...ASKED, n: 2 }],
    ['an empty stop', { ...ASKED, stop: [''] }],
    ['stream options without a stream', { ...ASKED, stream_options: { include_usage: true } }],
  ])('says what is wrong with %s', async (_, body) => {
    const { slm } = await start()
    const response = await post(slm, '/v1/chat/completions', body)
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({ error: { type: 'invalid_request_error' } })
  })

  it('is healthy, and does not count the question', async () => {
    const { slm } = await start()
    const response = await fetch(`${slm.url}/health`)
    expect(await response.json()).toEqual({ status: 'ok' })
    expect(slm.stats().requests).toBe(0)
  })

  it('tells which bytes and which header lines reached it', async () => {
    const { slm } = await start()
    const body = `{"model":"tiny", "messages":[{"role":"user","content":"h\u00e9"}],"max_tokens":1 }\n`
    await (await post(slm, '/v1/chat/completions', body, { headers: { 'X-Trace': 'a' } })).text()
    const { last } = (await (await fetch(`${slm.url}/stats`)).json()) as { last: Record<string, unknown> }
    expect(last).toMatchObject({
      method: 'POST',
      path: '/v1/chat/completions',
      headers: { 'x-trace': 'a' },
      raw_headers: expect.arrayContaining(['X-Trace', 'a']),
      body_sha256: createHash('sha256').update(body).digest('hex'),
      body,
    })
  })
})

describe('a fault', () => {
  it('resets the connection of who arrives', async () => {
    const { slm, ai } = await start({ fault: 'refuse' })
    await expect(ai.chat.completions.create(ASKED)).rejects.toBeInstanceOf(OpenAI.APIConnectionError)
    expect((await slm.until(now => now.in_flight === 0)).failed).toBe(1)
    expect((await fetch(`${slm.url}/health`)).status).toBe(200)
  })

  it('can be the whole server and not only its answers', async () => {
    const { slm } = await start()
    slm.setFault('refuse', { health: true })
    await expect(fetch(`${slm.url}/health`)).rejects.toThrow()
    slm.setFault('500', { health: true })
    expect((await fetch(`${slm.url}/health`)).status).toBe(503)
  })

  it('never answers, until the client gives up', async () => {
    const { slm, ai } = await start({ fault: 'hang' })
    const leaving = new AbortController()
    const answer = ai.chat.completions.create(ASKED, { signal: leaving.signal })
    await slm.until(now => now.last?.body_sha256 != null)
    leaving.abort()
    await expect(answer).rejects.toThrow()
    expect(await slm.until(now => now.in_flight === 0)).toMatchObject({ aborted: 1, failed: 0 })
  })

  it('dies in the middle of an answer, after some of it has arrived', async () => {
    const { slm, ai } = await start({ fault: 'break' })
    const words: string[] = []
    const stream = await ai.chat.completions.create({ ...ASKED, stream: true })
    await expect(async () => {
      for await (const chunk of stream) words.push(chunk.choices[0]?.delta.content ?? '')
    }).rejects.toThrow()
    expect(words).toHaveLength(4)
    await expect(ai.chat.completions.create(ASKED)).rejects.toThrow()
    expect((await slm.until(now => now.in_flight === 0)).failed).toBe(2)
  })

  it('answers what no client can read', async () => {
    const { slm, ai } = await start({ fault: 'garbage' })
    await expect(ai.chat.completions.create(ASKED)).rejects.toThrow()
    await expect(async () =>
      collect(await ai.chat.completions.create({ ...ASKED, stream: true })),
    ).rejects.toThrow()
    expect((await slm.until(now => now.in_flight === 0)).failed).toBe(2)
  })

  it('can come with every second request only, and go again', async () => {
    const { slm, ai } = await start()
    const status = async () =>
      ai.models.list().then(
        () => 200,
        error => error.status,
      )
    expect((await post(slm, '/fault', { fault: '500:2' })).status).toBe(200)
    expect([await status(), await status(), await status(), await status()]).toEqual([200, 500, 200, 500])
    await post(slm, '/fault', { fault: null })
    expect([await status(), await status()]).toEqual([200, 200])
  })

  it('must be one that is known', async () => {
    const { slm } = await start()
    expect((await post(slm, '/fault', { fault: 'explode' })).status).toBe(400)
    expect((await post(slm, '/fault', { fault: 'hang:0' })).status).toBe(400)
    expect((await post(slm, '/fault', {})).status).toBe(400)
    await expect(startTinySlm({ fault: 'explode' })).rejects.toThrow(RangeError)
  })
})

describe('the command line', () => {
  const command = (...args: string[]) =>
    spawn(
      process.execPath,
      ['--import', 'tsx', fileURLToPath(new URL('main.ts', import.meta.url)), ...args],
      {
        stdio: ['ignore', 'pipe', 'ignore'],
      },
    )

  it('says where it listens, serves, and ends at SIGTERM', async () => {
    const child = command('--port', '0', '--model', 'a', '--model', 'b', '--name', 'cli')
    const [line] = await once(createInterface(child.stdout), 'line')
    const { event, url } = JSON.parse(line)
    const models = await fetch(`${url}/v1/models`)
    expect(event).toBe('listening')
    expect(models.headers.get('x-tiny-slm')).toBe('cli')
    expect(((await models.json()) as { data: unknown[] }).data).toHaveLength(2)
    child.kill('SIGTERM')
    expect(await once(child, 'exit')).toEqual([0, null])
  })

  it.each([[['--slots', '0']], [['--fault', 'explode']], [['--nonsense']]])('refuses %j', async args => {
    const [code] = await once(command(...args), 'exit')
    expect(code).toBe(2)
  })
})
