/** A policy that asks leads, and what callers of the access API do. */
import type { RunningGateway } from './gateway.ts'

/**
 * Developers ask one lead; two for `secret`; on-call engineers need nobody; nobody gets longer than 2 h;
 * guests get nothing. Models are for who was granted them; admins need no grant.
 */
export const ACCESS_POLICY = {
  'gateway.rego': `package gateway

default decision := {"allow": false, "code": "access_required",
	"access": {"requestable": true, "models": ["tiny"], "max_duration": "2h"}}

decision := {"allow": true, "rule": "admin"} if "admin" in input.principal.roles

decision := {"allow": true, "rule": "granted"} if {
	not "admin" in input.principal.roles
	some grant in input.grants
	input.request.model in grant.models
}

leads := {"roles": ["lead"], "ids": []}

default access := {"outcome": "deny", "message": "Not for you."}

access := {"outcome": "approve", "approvers": leads, "max_duration": "2h", "max_uses": 1000} if {
	"oncall" in input.principal.roles
} else := {"outcome": "ask", "approvals": 2, "approvers": leads, "max_duration": "2h"} if {
	"developer" in input.principal.roles
	"secret" in input.access.models
} else := {"outcome": "ask", "approvers": leads, "max_duration": "2h", "pending_for": "2s"} if {
	"developer" in input.principal.roles
	input.access.reason == "be quick"
} else := {"outcome": "ask", "approvers": leads, "max_duration": "2h", "max_uses": 2} if {
	"developer" in input.principal.roles
	input.access.reason == "twice"
} else := {"outcome": "ask", "approvers": leads, "max_duration": "2h", "max_uses": 20} if {
	"developer" in input.principal.roles
	input.access.reason == "twenty times"
} else := {"outcome": "ask", "approvers": leads, "max_duration": "2h"} if {
	"developer" in input.principal.roles
}
`,
}

export const PEOPLE = [
  { principal: 'dev', roles: ['developer'] },
  { principal: 'deb', roles: ['developer', 'lead'] },
  { principal: 'lea', roles: ['lead'] },
  { principal: 'lou', roles: ['lead'] },
  { principal: 'ona', roles: ['oncall'] },
  { principal: 'ana', roles: ['admin'] },
  { principal: 'guest', roles: [] },
]

type Caller = Pick<RunningGateway, 'url' | 'keys'>

export interface Answer {
  readonly status: number
  // biome-ignore lint/suspicious/noExplicitAny: a test looks wherever it wants to
  readonly body: any
}

/** Calls the gateway's own API as a principal, or with a credential. */
export async function call(gateway: Caller, who: string, line: string, body?: object): Promise<Answer> {
  const [method, path] = line.split(' ') as [string, string]
  const response = await fetch(gateway.url + path, {
    method,
    headers: {
      authorization: `Bearer ${gateway.keys[who] ?? who}`,
      ...(body ? { 'content-type': 'application/json' } : {}),
    },
    ...(body ? { body: JSON.stringify(body) } : {}),
  })
  return { status: response.status, body: await response.json() }
}

export const ask = (gateway: Caller, who: string, asked: object = {}): Promise<Answer> =>
  call(gateway, who, 'POST /-/access/requests', {
    models: ['tiny'],
    duration: '1h',
    reason: 'incident 4512',
    ...asked,
  })
