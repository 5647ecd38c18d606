/**
 * A client of OPA asks our admin listener what it would ask OPA: both are asked here, of the same folder.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { requireOpa } from '../../src/policy/compile/opa-command.ts'
import { type RunningGateway, startGateway, stopAll } from '../support/gateway.ts'
import { freePort } from '../support/port.ts'

const POLICY = {
  'gateway.rego': `package gateway

decision := {"allow": true, "rule": "dev", "at": time.now_ns()} if input.principal.id == "now"

decision := {"allow": true, "rule": "dev", "reasons": []} if input.principal.id == "dev"

decision := {"allow": false, "reasons": [tables.first]} if input.principal.id == "other"

tables := data.tables

access := {"outcome": "ask"} if input.access.models
`,
  'tables/data.json':
    '{"hours": {"a": [1, {"b": 2.50}], "x/y": "slash"}, "big": 12345678901234567890, "first": "é", "": {"n": null}}',
}

const dev = { input: { principal: { id: 'dev' } } }

let opa: ChildProcess
let opaUrl: string
let gateway: RunningGateway

beforeAll(async () => {
  gateway = await startGateway({ policy: POLICY })
  const port = await freePort()
  opaUrl = `http://127.0.0.1:${port}`
  const args = ['run', '--server', '-a', `127.0.0.1:${port}`, '-b', path.join(gateway.folder, 'policies')]
  const found = requireOpa()
  opa = spawn(
    found.path,
    [...args, ...((await found.version()).startsWith('0.') ? ['--v1-compatible'] : [])],
    {
      stdio: 'ignore',
    },
  )
  await vi.waitFor(async () => expect((await fetch(`${opaUrl}/health`)).status).toBe(200), {
    timeout: 20_000,
  })
})
afterAll(async () => {
  opa.kill('SIGKILL')
  await stopAll()
})

async function ask(url: string, where: string, body?: string): Promise<[number, string]> {
  const response = await fetch(url + where, body === undefined ? {} : { method: 'POST', body })
  return [response.status, await response.text()]
}
const both = async (where: string, body?: string): Promise<[number, string][]> => [
  await ask(gateway.adminUrl, where, body),
  await ask(opaUrl, where, body),
]
const encoded = encodeURIComponent(JSON.stringify(dev.input))

describe("OPA's data API", () => {
  it.each([
    ['a decision', '/v1/data/gateway/decision', JSON.stringify(dev)],
    ['a part of a decision', '/v1/data/gateway/decision/rule', JSON.stringify(dev)],
    ['an undefined decision', '/v1/data/gateway/decision', '{"input": {}}'],
    ['a decision without an input', '/v1/data/gateway/decision', '{}'],
    ['a decision without a body', '/v1/data/gateway/decision', ''],
    ['a decision by GET', `/v1/data/gateway/decision?input=${encoded}`, undefined],
    ['a decision by GET, undefined', '/v1/data/gateway/decision', undefined],
    ['a further entrypoint', '/v1/data/gateway/access', '{"input": {"access": {"models": ["tiny"]}}}'],
    ['what is not there', '/v1/data/nothing/at/all', '{"input": {}}'],
    ['base data', '/v1/data/tables', undefined],
    ['base data, an element', '/v1/data/tables/hours/a/1/b', undefined],
    ['base data, beyond a list', '/v1/data/tables/hours/a/2', undefined],
    ['base data, a key with a slash', '/v1/data/tables/hours/x%2Fy', undefined],
    ['base data by POST', '/v1/data/tables/big', '{"input": {}}'],
    ['a scalar further down', '/v1/data/tables/big/more', undefined],
    ['something pretty', `/v1/data/gateway/decision?pretty=true&input=${encoded}`, undefined],
    ['an empty list, pretty', `/v1/data/tables/hours?pretty`, undefined],
    ['the instant of the input', '/v1/data/gateway/decision/rule', '{"input":{"principal":{"id":"now"}}}'],
  ])('answers %s as OPA does', async (_name, where, body) => {
    const [ours, theirs] = await both(where, body)
    expect(ours).toEqual(theirs)
  })

  it.each([
    ['a body that breaks off', '/v1/data/gateway/decision', '{"input":'],
    ['a body that is a list', '/v1/data/gateway/decision', '[]'],
    ['a parameter that is not JSON', '/v1/data/gateway/decision?input=x', undefined],
  ])('refuses %s with the status and the code of OPA', async (_name, where, body) => {
    const [ours, theirs] = (await both(where, body)).map(([status, text]) => [status, JSON.parse(text).code])
    expect(ours).toEqual(theirs)
    expect(ours).toEqual([400, 'invalid_parameter'])
  })

  it('decides with the clock of its input, as for a request', async () => {
    const input = { principal: { id: 'now' }, time: { now_ns: 1790000000000000 } }
    const [, text] = await ask(gateway.adminUrl, '/v1/data/gateway/decision/at', JSON.stringify({ input }))
    expect(text).toBe('{"result":1790000000000000}\n')
  })

  it('gives a package as far as it is compiled', async () => {
    const [, text] = await ask(gateway.adminUrl, '/v1/data/gateway', JSON.stringify(dev))
    expect(JSON.parse(text)).toEqual({ result: { decision: { allow: true, rule: 'dev', reasons: [] } } })
    const [, all] = await ask(gateway.adminUrl, '/v1/data', JSON.stringify(dev))
    expect(JSON.parse(all).result).toMatchObject({
      gateway: { decision: { rule: 'dev' } },
      tables: { first: 'é' },
    })
  })

  it('says of which revision an answer is, and what it took, where that is asked', async () => {
    const where = '/v1/data/gateway/decision?provenance=true&metrics=true'
    const [, text] = await ask(gateway.adminUrl, where, JSON.stringify(dev))
    const { revision } = (await gateway.status()).policy
    expect(JSON.parse(text)).toMatchObject({
      provenance: { bundles: { gateway: { revision } } },
      metrics: { timer_rego_query_eval_ns: expect.any(Number), timer_server_handler_ns: expect.any(Number) },
    })
  })

  it('takes no writes: data comes with the policy', async () => {
    const response = await fetch(`${gateway.adminUrl}/v1/data/tables`, { method: 'PUT', body: '{}' })
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'GET, HEAD, POST'])
  })
})
