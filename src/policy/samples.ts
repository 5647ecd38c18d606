/**
 * Sample inputs: what a policy is asked before it is put in force, so that an answer of the wrong
 * shape, or one that takes too long, is found then and not by the first caller.
 */

const NOON = { now_ns: 1_790_000_000_000_000_000n }

const person = {
  id: 'sample',
  kind: 'user',
  roles: ['developer'],
  team: 'sample',
  authenticated: true,
  method: 'api_key',
  key_id: 'k_sample0000',
  claims: {},
  expires_at: null,
}
const nobody = {
  ...person,
  id: 'anonymous',
  kind: 'anonymous',
  roles: [],
  team: null,
  authenticated: false,
  method: 'anonymous',
  key_id: null,
}
const administrator = { ...person, roles: ['admin'] }
const grant = {
  id: 'g_sample',
  roles: [],
  expires_at: '2030-01-01T00:00:00Z',
  approved_by: null,
  reason: 'sample',
}

/** @param models - The models that the pools serve, so that a sample reaches the rules on them. */
export function sampleInputs(models: readonly string[], pools: object): string[] {
  const model = models[0] ?? 'sample'
  return [
    sample(nobody, chat(model), [], pools),
    sample(person, chat(model), [], pools),
    sample(person, chat('sample-unknown-model'), [], pools),
    sample(administrator, chat(model), [{ ...grant, models: [model] }], pools),
    sample(
      person,
      {
        ...chat(model),
        method: 'GET',
        path: '/v1/models',
        segments: ['v1', 'models'],
        operation: 'models',
        model: null,
        stream: false,
        body: null,
      },
      [],
      pools,
    ),
    sample(
      administrator,
      { ...chat(model), path: '/other', segments: ['other'], operation: 'other', model: null, body: null },
      [],
      pools,
    ),
  ]
}

function chat(model: string) {
  return {
    id: '01SAMPLE000000000000000000',
    method: 'POST',
    path: '/v1/chat/completions',
    segments: ['v1', 'chat', 'completions'],
    query: {},
    headers: { 'content-type': 'application/json', 'user-agent': 'sample' },
    client_ip: '192.0.2.1',
    tls: false,
    operation: 'chat',
    model,
    stream: true,
    body: { model, stream: true, max_tokens: 16, messages: [{ role: 'user', content: 'sample' }] } as
      | object
      | null,
    body_bytes: 96,
    estimated_input_tokens: 24,
    max_output_tokens: 16,
  }
}

function sample(principal: object, request: object, grants: readonly object[], pools: object): string {
  const input = { request, principal, grants, pools, policy: { revision: 'sample', age_seconds: 0 } }
  return `${JSON.stringify(input).slice(0, -1)},"time":{"now_ns":${NOON.now_ns}}}`
}

export const SAMPLE_INSTANT = { nowNs: NOON.now_ns, seed: '01SAMPLE000000000000000000' }
