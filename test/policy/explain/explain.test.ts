import { describe, expect, it } from 'vitest'
import { openWorkshop } from '../../../src/policy/compile/compile.ts'
import { requireOpa } from '../../../src/policy/compile/opa-command.ts'
import { readSource } from '../../../src/policy/compile/source.ts'
import { type Explanation, explain, NoTrace } from '../../../src/policy/explain/explain.ts'
import { REFERENCE_POLICIES } from '../../support/gateway.ts'
import { snapshotOf } from '../../support/snapshot.ts'
import { rejectionOf } from '../../support/thrown.ts'

const AT = Date.parse('2026-03-02T12:00:00Z')
const DEVELOPER = { id: 'dev', roles: ['developer'], team: 'search', authenticated: true }

async function explained(
  policy: string,
  input: object,
  { at = AT, data = {} }: { at?: number; data?: object } = {},
): Promise<Explanation> {
  const isFolder = policy.startsWith('/')
  const files = { 'gateway.rego': `package gateway\n\n${policy}\n`, 'data.json': JSON.stringify(data) }
  const snapshot = isFolder ? readSource(policy) : snapshotOf(files)
  const workshop = await openWorkshop(snapshot, requireOpa(), 'policies')
  try {
    const question = {
      entrypoint: 'gateway/decision',
      input: JSON.stringify(input),
      nowNs: BigInt(at) * 1_000_000n,
      dataText: JSON.stringify(data),
    }
    return await explain(question, workshop, snapshot, file => `policies/${file}`)
  } finally {
    workshop.close()
  }
}
const named = ({ rules }: Explanation, name: string) =>
  rules.filter(rule => rule.name === `data.gateway.${name}`)
const messages = ({ needed }: Explanation) => needed.map(({ message }) => message)

describe('an explanation', () => {
  it('tells null from an empty object', async () => {
    const { rules } = await explained('decision := {"allow": true} if input.team != null', { team: null })
    expect(rules[0]?.failed).toMatchObject({
      expression: 'input.team != null',
      values: { 'input.team': null },
    })
  })

  it('has each rule that was tried with its place, and of those that failed what failed and what it saw', async () => {
    const found = await explained(
      'decision := {"allow": true} if allowed\n\ndefault decision := {"allow": false}\n\nallowed if {\n\tsome role in input.roles\n\trole in data.known\n\tinput.n <= data.most\n}',
      { roles: ['guest', 'developer'], n: 5 },
      { data: { known: ['developer'], most: 3 } },
    )
    expect(found.decision).toEqual({ allow: false })
    expect(found.rules).toEqual([
      {
        name: 'data.gateway.decision',
        file: 'policies/gateway.rego',
        line: 3,
        outcome: false,
        failed: { file: 'policies/gateway.rego', line: 3, expression: 'allowed', values: {} },
      },
      {
        name: 'data.gateway.allowed',
        file: 'policies/gateway.rego',
        line: 7,
        outcome: false,
        failed: {
          file: 'policies/gateway.rego',
          line: 10,
          expression: 'input.n <= data.most',
          values: { 'input.n': 5, 'data.most': 3 },
        },
      },
      { name: 'data.gateway.decision', file: 'policies/gateway.rego', line: 5, outcome: true },
    ])
    expect(messages(found)).toEqual(['input.n is 5, and would have to be at most 3'])
  })

  it('sees the instant of the record, and no other', async () => {
    const policy = 'decision := {"allow": time.now_ns() == input.at}'
    expect((await explained(policy, { at: AT * 1e6 })).decision).toEqual({ allow: true })
    expect((await explained(policy, { at: AT * 1e6 }, { at: AT + 1 })).decision).toEqual({ allow: false })
  })

  it('tells what is undefined from what is null', async () => {
    const policy = 'decision := {"allow": true} if {\n\tinput.a == null\n\tinput.b.c == 1\n}'
    const found = await explained(policy, { a: null })
    expect(named(found, 'decision')[0]?.failed).toMatchObject({
      expression: 'input.b.c == 1',
      values: {},
      undefined: ['input.b.c'],
    })
    expect(messages(found)).toEqual(['input.b.c is undefined, and would have to be 1'])
  })

  it('puts together what the compiler took apart', async () => {
    const policy =
      'decision := {"allow": true} if {\n\tsome who\n\tinput.people[who].team == "a"\n\tlower(trim(data.names[who], " ")) == concat("-", ["x", who])\n}'
    const found = await explained(policy, { people: { p: { team: 'a' } } }, { data: { names: { p: ' Y ' } } })
    expect(named(found, 'decision')[0]?.failed).toMatchObject({
      line: 6,
      expression: 'lower(trim(data.names[who], " ")) == concat("-", ["x", who])',
      values: { 'lower(trim(data.names[who], " "))': 'y', 'concat("-", ["x", who])': 'x-p' },
    })
  })

  it('looks into every, else and functions', async () => {
    const policy = [
      'decision := {"allow": true, "rule": "short"} if {',
      '\tevery m in input.messages { short(m) }',
      '} else := {"allow": true, "rule": "named"} if input.name == "x"',
      '',
      'short(m) if count(m.content) < 5',
    ].join('\n')
    const found = await explained(policy, { messages: [{ content: 'yes' }, { content: 'too long' }] })
    expect(found.decision).toBeUndefined()
    expect(found.rules.map(({ name, line, outcome }) => [name, line, outcome])).toEqual([
      ['data.gateway.decision', 3, false],
      // It held for the first message.
      ['data.gateway.short', 7, true],
      ['data.gateway.decision', 5, false],
    ])
    expect(messages(found)).toEqual(
      expect.arrayContaining([
        'count(m.content) is 8, and would have to be less than 5',
        'input.name is undefined, and would have to be "x"',
      ]),
    )
  })

  it('goes from a refusal by a deny rule to what the deny rule lacked', async () => {
    const policy = [
      'default decision := {"allow": false}',
      'decision := {"allow": true} if count(deny) == 0',
      'decision := {"allow": false, "reasons": sort(deny)} if count(deny) > 0',
      'deny contains "nobody" if not known',
      'deny contains "insecure" if input.tls == false',
      'known if input.roles[_] == "developer"',
    ].join('\n\n')
    const found = await explained(policy, { roles: ['guest'], tls: false })
    expect(messages(found)).toEqual([
      'input.roles is ["guest"], and would have to hold "developer"',
      'data.gateway.deny holds, and would have to fail: input.tls == false',
    ])
    expect(found.needed[1]).toMatchObject({ line: 11 })
    expect((await explained(policy, { roles: ['developer'], tls: true })).needed).toEqual([])
  })

  it('goes from {"allow": allow} to what allow lacked', async () => {
    const policy =
      'default allow := false\n\ndecision := {"allow": allow, "rule": "x"}\n\nallow if input.team == "search"'
    expect(messages(await explained(policy, { team: 'build' }))).toEqual([
      'input.team is "build", and would have to be "search"',
    ])
  })

  it('names builtins that failed, which the gateway refuses for and OPA does not', async () => {
    const policy =
      'default decision := {"allow": false}\n\ndecision := {"allow": true} if time.parse_rfc3339_ns(input.when) > 0'
    const { errors } = await explained(policy, { when: 'no date' })
    expect(errors).toEqual([expect.stringMatching(/^policies\/gateway\.rego:5: .*time\.parse_rfc3339_ns/)])
  })

  it('explains numbers that OPA cannot write into a trace', async () => {
    const policy = 'decision := {"allow": true} if to_number(input.hour) > 9'
    const found = await explained(policy, { hour: '08' })
    expect(named(found, 'decision')[0]?.failed?.values).toEqual({ 'to_number(input.hour)': 8 })
    expect(found.rules).toHaveLength(1)
  })

  it('is refused where there is no trace', async () => {
    expect((await rejectionOf(explained('decision := {"allow": true} if missing(1)', {}))).code).toBe(
      'no_trace',
    )
    expect(NoTrace).toBeDefined()
  })
})

describe('of the reference policy', () => {
  const chat = (principal: object, model: string) => ({
    request: { operation: 'chat', model },
    principal,
    grants: [],
    pools: { chat: { models: ['tiny'] } },
  })

  it('says which model a role would have to cover', async () => {
    const data = readSource(REFERENCE_POLICIES).files.length
    expect(data).toBeGreaterThan(5)
    const found = await explained(REFERENCE_POLICIES, chat(DEVELOPER, 'tiny-large'))
    expect(found.decision).toMatchObject({ allow: false, code: 'access_required' })
    expect(messages(found)).toContain(
      'input.request.model is "tiny-large", and would have to be one of ["tiny"]',
    )
    expect(messages(found)).toContain('input.grants is [], and would have to have a member that fits')
    expect(found.rules.find(({ name }) => name === 'data.gateway.models.deny')).toMatchObject({
      file: 'policies/gateway/models.rego',
      title: 'A model that can be asked for',
      outcome: true,
    })
  })

  it('says what time it would have to be', async () => {
    const night = Date.parse('2026-03-03T03:00:00Z')
    const found = await explained(REFERENCE_POLICIES, chat({ ...DEVELOPER, roles: ['analyst'] }, 'tiny'), {
      at: night,
    })
    expect(found.decision).toMatchObject({ code: 'outside_hours' })
    expect(messages(found)).toContain('[hour, minute] is [4,0], and would have to be at least [8,0]')
  })

  it('has nothing to ask of what is allowed', async () => {
    const found = await explained(REFERENCE_POLICIES, chat(DEVELOPER, 'tiny'))
    expect(found.decision).toMatchObject({ allow: true, rule: 'developer_always' })
    expect(found.needed).toEqual([])
  })
})
