import { describe, expect, it } from 'vitest'
import { openWorkshop } from '../../src/policy/compile/compile.ts'
import { requireOpa } from '../../src/policy/compile/opa-command.ts'
import { pathsInPlan } from '../../src/policy/compile/plan-reads.ts'
import { readSource } from '../../src/policy/compile/source.ts'
import { type ReadPaths, readsFrom } from '../../src/policy/reads.ts'
import { temporaryFolder } from '../support/folder.ts'
import { REFERENCE_POLICIES } from '../support/gateway.ts'

async function pathsOf(policy: string | Readonly<Record<string, string>>): Promise<ReadPaths | undefined> {
  const folder = typeof policy === 'string' ? policy : temporaryFolder(policy)
  const workshop = await openWorkshop(readSource(folder), requireOpa(), 'policies')
  try {
    return await workshop.reads('gateway/decision')
  } finally {
    workshop.close()
  }
}
const rego = (body: string) => pathsOf({ 'gateway.rego': `package gateway\n\n${body}\n` })
const MESSAGES = '/input/request/body/messages'
const readsMessages = async (body: string): Promise<boolean> =>
  readsFrom(await rego(body)).mayDependOn(MESSAGES)

describe('what a policy reads', () => {
  it('is told of the reference policy to the member', async () => {
    const reads = readsFrom(await pathsOf(REFERENCE_POLICIES))
    for (const pointer of [
      '/input/request/model',
      '/input/principal/roles',
      '/input/principal',
      '/input/grants/0/id',
    ])
      expect([pointer, reads.mayDependOn(pointer)]).toEqual([pointer, true])
    for (const pointer of [
      '/input/request/body',
      MESSAGES,
      '/input/request/headers/x-team',
      '/input/principal/claims',
    ])
      expect([pointer, reads.mayDependOn(pointer)]).toEqual([pointer, false])
  })

  it.each([
    ['itself', 'decision := {"allow": true} if input.request.body.messages'],
    ['a member of it', 'decision := {"allow": true} if input.request.body.messages[0].role == "user"'],
    ['whatever is around it', 'decision := {"allow": count(input.request.body) > 0}'],
    [
      'a key that is only known when it is asked',
      'decision := {"allow": true} if input.request.body[input.request.model]',
    ],
    ['every key', 'decision := {"allow": true} if { some k; input.request.body[k] == 1 }'],
    ['the whole input', 'decision := {"allow": object.get(input, ["request", "body"], {}) == {}}'],
    ['what a rule hands on', 'decision := {"allow": true} if _body.messages\n\n_body := input.request.body'],
    [
      'an argument of a function',
      'decision := {"allow": true} if f(input.request)\n\nf(r) if r.body.messages[_].content == "x"',
    ],
    [
      'what a function hands on',
      'decision := {"allow": true} if f(input.request).messages\n\nf(r) := r.body',
    ],
    ['what is walked', 'decision := {"allow": true} if { walk(input.request, [p, "x"]); count(p) > 0 }'],
    ['what is put into something else', 'decision := {"allow": x.b != {}} if x := {"b": input.request.body}'],
    ['under another name', 'decision := {"allow": true} if { r := input.request; b := r.body; b.messages }'],
    [
      'another input',
      'decision := {"allow": true} if f with input as input.request.body\n\nf if input.messages',
    ],
    [
      'in a comprehension',
      'decision := {"allow": count([1 | some m in input.request.body.messages; m.x]) == 0}',
    ],
    ['in a negation', 'decision := {"allow": true} if not input.request.body.messages'],
    ['in every', 'decision := {"allow": true} if every m in input.request.body.messages { m.content }'],
    [
      'a rule that is chosen by its name',
      'decision := {"allow": true} if data.gateway.rules[input.request.model]\n\nrules.a if input.request.body.messages',
    ],
  ])('holds what it looks at: %s', async (_, body) => expect(await readsMessages(body)).toBe(true))

  it.each([
    ['its neighbour', 'decision := {"allow": input.request.body.max_tokens < 5}'],
    [
      'what is above it, to go elsewhere',
      'decision := {"allow": true} if { b := input.request.body; b.temperature < 1 }',
    ],
    [
      'a function that is given something else',
      'decision := {"allow": f(input.principal)}\n\nf(p) if p.messages',
    ],
    ['a rule that nothing reaches', 'decision := {"allow": true}\n\nother := input.request.body.messages'],
  ])('does not hold what it leaves alone: %s', async (_, body) =>
    expect(await readsMessages(body)).toBe(false),
  )

  it('is everything where a plan has something unknown in it', () => {
    const plan = {
      static: { strings: [] },
      plans: { plans: [{ name: 'gateway/decision', blocks: [{ stmts: [{ type: 'NewStmt', stmt: {} }] }] }] },
      funcs: { funcs: null },
    }
    expect(pathsInPlan(JSON.stringify(plan))).toBeUndefined()
    expect(readsFrom(undefined).mayDependOn(MESSAGES)).toBe(true)
    expect(readsFrom({ touched: 'x', whole: [] }).mayDependOn(MESSAGES)).toBe(true)
  })

  it('is asked by JSON pointer, whatever is in a key', async () => {
    const reads = readsFrom(
      await rego('decision := {"allow": true} if input.request.headers["a/b~c"] == "x"'),
    )
    expect(reads.mayDependOn('/input/request/headers/a~1b~0c')).toBe(true)
    expect(reads.mayDependOn('/input/request/headers/a')).toBe(false)
    expect(reads.mayDependOn('/input')).toBe(true)
    expect(reads.mayDependOn('/nd_builtin_cache')).toBe(false)
  })
})
