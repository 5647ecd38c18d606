import { describe, expect, it } from 'vitest'
import { conversationOf } from '../../src/upstreams/conversation.ts'
import { retryAfterMs } from '../../src/upstreams/retry-after.ts'

const system = { role: 'system', content: 'You are a lighthouse keeper.' }
const user = (content: unknown) => ({ role: 'user', content })
const key = (body: unknown, characters = 4096, model = 'tiny') => conversationOf(body, model, characters)

describe('a conversation', () => {
  it('stays the same from turn to turn', () => {
    const opening = [system, user('Who keeps the lamp?')]
    const second = [...opening, { role: 'assistant', content: 'I do.' }, user('Since when?')]
    expect(key({ messages: second })).toBe(key({ messages: opening }))
    expect(key({ messages: opening })).toBeDefined()
  })

  it('is another one with another first question, other instructions, or another model', () => {
    const one = key({ messages: [system, user('a')] })
    expect(key({ messages: [system, user('b')] })).not.toBe(one)
    expect(key({ messages: [{ ...system, content: 'Be brief.' }, user('a')] })).not.toBe(one)
    expect(key({ messages: [system, user('a')] }, 4096, 'big')).not.toBe(one)
    expect(key({ messages: [system, user([{ type: 'text', text: 'a' }])] })).not.toBe(one)
  })

  it('is told by so many characters and no more', () => {
    const long = (end: string) => ({ messages: [user('x'.repeat(100) + end)] })
    expect(key(long('a'), 100)).toBe(key(long('b'), 100))
    expect(key(long('a'), 101)).not.toBe(key(long('b'), 101))
  })

  it('is known in the forms of OpenAI, Ollama and llama.cpp', () => {
    for (const body of [{ prompt: 'Once' }, { system: 'Be brief', prompt: 'x' }, { input_prefix: 'def f(' }])
      expect(key(body)).toBeDefined()
    expect(key({ prompt: 'Once' }, 4)).toBe(key({ prompt: 'Once upon' }, 4))
  })

  it('is none where nothing begins', () => {
    for (const body of [
      undefined,
      null,
      'text',
      [],
      {},
      { input: 'to embed' },
      { messages: [] },
      { messages: [1] },
    ])
      expect(key(body)).toBeUndefined()
  })
})

describe('Retry-After', () => {
  it('is seconds or a date on the clock of who says it', () => {
    expect(retryAfterMs('7', undefined)).toBe(7000)
    const date = 'Wed, 21 Oct 2015 07:28:00 GMT'
    expect(retryAfterMs('Wed, 21 Oct 2015 07:28:30 GMT', date)).toBe(30_000)
    expect(retryAfterMs('Wed, 21 Oct 2015 07:00:00 GMT', date)).toBe(0)
    for (const value of [undefined, 'soon', '-1']) expect(retryAfterMs(value, date)).toBeUndefined()
  })
})
