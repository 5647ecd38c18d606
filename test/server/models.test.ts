import { describe, expect, it } from 'vitest'
import type { RequestFacts } from '../../src/contract/request.ts'
import { listModels, type ModelQuestion } from '../../src/server/models.ts'
import { thrownBy } from '../support/thrown.ts'

const facts = (path: string): RequestFacts => ({
  method: 'GET',
  path,
  search: '?limit=5',
  segments: path.split('/').slice(1),
  operation: 'models',
  headers: new Map([['user-agent', 'curl']]),
  clientIp: '10.0.0.1',
  tls: false,
})
const MODELS = ['tiny', 'secret', 'org/model', 'b%20c']
const notSecret = ({ body }: ModelQuestion): boolean => (body.value as { model: string }).model !== 'secret'

describe('listModels', () => {
  it('lists what this caller may call, as OpenAI does', () => {
    const { object, data } = JSON.parse(listModels(facts('/v1/models'), MODELS, notSecret))
    expect(object).toBe('list')
    expect(data.map((model: { id: string }) => model.id)).toEqual(['tiny', 'org/model', 'b%20c'])
    expect(data[0]).toEqual({ id: 'tiny', object: 'model', created: 0, owned_by: 'sallyport' })
  })

  it('lists it as Ollama does', () => {
    expect(JSON.parse(listModels(facts('/api/tags'), ['tiny', 'secret'], notSecret))).toEqual({
      models: [{ name: 'tiny', model: 'tiny' }],
    })
  })

  it('asks of each model about a chat with it, from the same caller', () => {
    const asked: ModelQuestion[] = []
    listModels(facts('/v1/models'), ['tiny'], question => asked.push(question) > 0)
    expect(asked).toHaveLength(1)
    expect(asked[0]?.request).toEqual({
      ...facts(''),
      method: 'POST',
      path: '/v1/chat/completions',
      search: '',
      segments: ['v1', 'chat', 'completions'],
      operation: 'chat',
    })
    expect(asked[0]?.body.bytes.toString()).toBe(asked[0]?.body.text)
    expect(JSON.parse(asked[0]?.body.text ?? '')).toEqual(asked[0]?.body.value)
  })

  it.each([
    ['/v1/models/tiny', 'tiny'],
    ['/v1/models/org/model', 'org/model'],
    ['/v1/models/org%2Fmodel', 'org/model'],
    ['/v1/models/b%2520c', 'b%20c'],
  ])('answers %s with that one', (path, id) => {
    expect(JSON.parse(listModels(facts(path), MODELS, notSecret))).toMatchObject({ id, object: 'model' })
  })

  it('tells a model that may not be called no differently from one that is not there', () => {
    const [hidden, absent] = ['secret', 'absent'].map(name =>
      thrownBy(() => listModels(facts(`/v1/models/${name}`), MODELS, notSecret)),
    )
    expect(hidden).toMatchObject({ code: 'model_not_found', status: 404 })
    expect(hidden?.title?.replace('secret', 'absent')).toBe(absent?.title)
  })

  it('is an empty list for who may call nothing', () => {
    expect(JSON.parse(listModels(facts('/v1/models'), MODELS, () => false))).toEqual({
      object: 'list',
      data: [],
    })
  })
})
