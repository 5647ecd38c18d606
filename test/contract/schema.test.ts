import { describe, expect, it } from 'vitest'
import { compileSchema } from '../../src/contract/schema.ts'

const person = {
  type: 'object',
  required: ['name'],
  additionalProperties: false,
  properties: {
    name: { type: 'string' },
    since: { type: 'string', format: 'date-time' },
    age: { type: 'integer', default: 7 },
  },
}

describe('compileSchema', () => {
  it('says nothing of a value that fits', () => {
    expect(compileSchema(person)({ name: 'Ana' })).toEqual([])
  })

  it('says where, by which keyword, and what the schema wanted', () => {
    const [problem] = compileSchema(person)({ name: 5 })
    expect(problem).toMatchObject({
      pointer: '/name',
      keyword: 'type',
      params: { type: 'string' },
      schema: { type: 'string' },
    })
  })

  it('finds the first problem, or all when asked', () => {
    const value = { name: 5, age: 'x', extra: 1 }
    expect(compileSchema(person)(value)).toHaveLength(1)
    expect(compileSchema(person, { all: true })(value).map(problem => problem.keyword)).toEqual([
      'additionalProperties',
      'type',
      'type',
    ])
  })

  it('writes defaults only when asked', () => {
    const [plain, filled] = [{ name: 'a' }, { name: 'a' }]
    compileSchema(person)(plain)
    compileSchema(person, { defaults: true })(filled)
    expect(plain).toEqual({ name: 'a' })
    expect(filled).toEqual({ name: 'a', age: 7 })
  })

  it('judges each value by itself: what was wrong before is forgotten', () => {
    const validate = compileSchema(person)
    expect(validate({})).toHaveLength(1)
    expect(validate({ name: 'a' })).toEqual([])
  })

  it.each(['2026-01-01T18:00:00Z', '2026-01-01T18:00:00.123+02:00', '2026-01-01t18:00:00z'])(
    'takes %s for an instant',
    since => {
      expect(compileSchema(person)({ name: 'a', since })).toEqual([])
    },
  )

  it.each([
    '2026-01-01',
    '2026-01-01T18:00:00',
    'tomorrow',
    '2026-13-01T00:00:00Z',
    '2026-01-01T25:00:00Z',
    '2026-01-01 18:00:00Z',
    '',
  ])('takes %j for none', since => {
    expect(compileSchema(person)({ name: 'a', since })[0]?.keyword).toBe('format')
  })
})
