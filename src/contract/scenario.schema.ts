/**
 * A scenario file: who asks for what and when, and what the policy must say. As a schema, and as types.
 *
 * An expectation is a subset of a decision; its keys are the decision's, so that a misspelt one is
 * an error and not an expectation that always holds.
 */
import { type Decision, decisionSchema } from './decision.schema.ts'

const strings = { type: 'array', items: { type: 'string' } } as const
const nullableString = { anyOf: [{ type: 'string' }, { type: 'null' }] } as const
const instant = { type: 'string', format: 'date-time', description: 'RFC 3339, with its offset' } as const
const data = { type: 'object', description: "Merged over the policy's data; a list replaces a list" } as const

const principal = {
  type: 'object',
  description: 'What is not said is as of an API key of a person without a team',
  additionalProperties: false,
  properties: {
    id: { type: 'string', description: 'Its name in `principals` unless given' },
    kind: { type: 'string', description: '`user` unless given; `anonymous` is not authenticated' },
    roles: strings,
    team: nullableString,
    authenticated: { type: 'boolean' },
    method: { type: 'string' },
    key_id: nullableString,
    claims: { type: 'object' },
    expires_at: nullableString,
  },
} as const

const request = {
  type: 'object',
  description: 'A `model` alone is a chat with it; the rest of `input` is filled as the gateway would',
  minProperties: 1,
  additionalProperties: false,
  properties: {
    model: { type: 'string' },
    method: { type: 'string', description: '`POST` with a body or a model, else `GET`' },
    path: { type: 'string', description: 'With the query, if there is one' },
    headers: { type: 'object', additionalProperties: { type: 'string' } },
    body: {},
  },
} as const

const grant = {
  type: 'object',
  description: 'As in `input.grants`; one that has ended by then is not shown to the policy',
  additionalProperties: false,
  properties: {
    id: { type: 'string' },
    models: strings,
    roles: strings,
    expires_at: instant,
    approved_by: nullableString,
    reason: { type: 'string' },
    emergency: { type: 'boolean' },
  },
} as const

/** Of each key of a decision its type; what is inside may be a part. */
function partOf(schema: object): object {
  const { type, description } = schema as { type?: unknown; description?: string }
  return {
    ...(typeof type === 'string' ? { type } : {}),
    ...(description === undefined ? {} : { description }),
  }
}

const expectation = {
  type: 'object',
  description: 'A subset of the decision. Objects may have more keys; lists have as many members',
  minProperties: 1,
  additionalProperties: false,
  properties: Object.fromEntries(
    Object.entries(decisionSchema.properties).map(([key, schema]) => [key, partOf(schema)]),
  ),
} as const

const named = (schema: object): object => ({
  anyOf: [{ type: 'string', description: 'A name' }, schema],
  description: 'A name, or a document',
})

export const scenarioSchema = {
  $schema: 'http://json-schema.org/draft-07/schema#',
  title: 'Sallyport scenarios',
  description: 'Requests, and what the policy must say of them: *.scenario.yaml',
  type: 'object',
  additionalProperties: false,
  anyOf: [{ required: ['cases'] }, { required: ['matrix'] }],
  properties: {
    $schema: { type: 'string' },
    at: instant,
    data,
    principals: { type: 'object', additionalProperties: principal },
    requests: { type: 'object', additionalProperties: request },
    cases: {
      type: 'array',
      items: {
        type: 'object',
        required: ['name', 'principal', 'request', 'expect'],
        additionalProperties: false,
        properties: {
          name: { type: 'string', minLength: 1 },
          principal: named(principal),
          request: named(request),
          at: instant,
          grants: { type: 'array', items: grant },
          data,
          expect: expectation,
        },
      },
    },
    matrix: {
      type: 'array',
      items: {
        type: 'object',
        required: ['principals', 'requests', 'expect'],
        additionalProperties: false,
        properties: {
          principals: { ...strings, minItems: 1 },
          requests: { ...strings, minItems: 1 },
          at: {
            anyOf: [instant, { type: 'array', items: instant, minItems: 1 }],
            description: 'RFC 3339, one or a list',
          },
          expect: {
            type: 'object',
            description: 'By principal, then by request; `*` is any. The most specific counts',
            minProperties: 1,
            additionalProperties: {
              type: 'object',
              minProperties: 1,
              additionalProperties: expectation,
            },
          },
        },
      },
    },
  },
} as const

export interface ScenarioPrincipal {
  readonly id?: string
  readonly kind?: string
  readonly roles?: readonly string[]
  readonly team?: string | null
  readonly authenticated?: boolean
  readonly method?: string
  readonly key_id?: string | null
  readonly claims?: Readonly<Record<string, unknown>>
  readonly expires_at?: string | null
}

export interface ScenarioRequest {
  readonly model?: string
  readonly method?: string
  readonly path?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: unknown
}

export interface ScenarioGrant {
  readonly id?: string
  readonly models?: readonly string[]
  readonly roles?: readonly string[]
  readonly expires_at?: string
  readonly approved_by?: string | null
  readonly reason?: string
  readonly emergency?: boolean
}

export type Expectation = Partial<Decision>

export interface ScenarioCase {
  readonly name: string
  readonly principal: string | ScenarioPrincipal
  readonly request: string | ScenarioRequest
  readonly at?: string
  readonly grants?: readonly ScenarioGrant[]
  readonly data?: Readonly<Record<string, unknown>>
  readonly expect: Expectation
}

export interface ScenarioMatrix {
  readonly principals: readonly string[]
  readonly requests: readonly string[]
  readonly at?: string | readonly string[]
  readonly expect: Readonly<Record<string, Readonly<Record<string, Expectation>>>>
}

export interface Scenario {
  readonly at?: string
  readonly data?: Readonly<Record<string, unknown>>
  readonly principals?: Readonly<Record<string, ScenarioPrincipal>>
  readonly requests?: Readonly<Record<string, ScenarioRequest>>
  readonly cases?: readonly ScenarioCase[]
  readonly matrix?: readonly ScenarioMatrix[]
}
