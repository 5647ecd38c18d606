import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { accessSchema } from '../../src/contract/access.schema.ts'
import { configSchema } from '../../src/contract/config.schema.ts'
import { decisionSchema } from '../../src/contract/decision.schema.ts'
import { inputSchema } from '../../src/contract/input.schema.ts'
import { scenarioSchema } from '../../src/contract/scenario.schema.ts'
import { compileForeignSchema, compileSchema } from '../../src/contract/schema.ts'
import { sampleInputs } from '../../src/policy/samples.ts'

const SCHEMAS: readonly [string, object][] = [
  ['gateway.config', configSchema],
  ['input', inputSchema],
  ['decision', decisionSchema],
  ['access', accessSchema],
  ['scenario', scenarioSchema],
]

describe('the published schemas', () => {
  it.each(SCHEMAS)('are what the code goes by: %s', (name, schema) => {
    const published = readFileSync(new URL(`../../schemas/${name}.schema.json`, import.meta.url), 'utf8')
    expect(JSON.parse(published)).toEqual(JSON.parse(JSON.stringify(schema)))
  })

  // The gateway itself takes them for good, unread.
  it.each(SCHEMAS)('are schemas: %s', (_name, schema) => {
    expect(() => compileForeignSchema(schema)).not.toThrow()
    expect(() => compileForeignSchema({ ...schema, type: 'objekt' })).toThrow(/schema is invalid/)
  })
})

describe('the input schema', () => {
  const validate = compileSchema(inputSchema)

  it('fits every sample that a policy is tried on', () => {
    const pools = { chat: { models: ['tiny'], healthy: 1, targets: 1, in_flight: 0, queued: 0 } }
    for (const sample of [...sampleInputs(['tiny'], pools), ...sampleInputs([], {})]) {
      expect(validate(JSON.parse(sample))).toEqual([])
    }
  })

  it('is closed, so that the type checker finds a misspelt name', () => {
    const [text = ''] = sampleInputs(['tiny'], {})
    const sample = JSON.parse(text)
    expect(validate({ ...sample, request: { ...sample.request, boddy: {} } })).toHaveLength(1)
    expect(validate({ ...sample, extra: 1 })).toHaveLength(1)
  })
})
