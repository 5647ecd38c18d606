/** The policy of the soak, in as many editions as there are turns: limits for some, grants for others. */
export const PEOPLE = [
  { principal: 'dev', roles: ['developer'], team: 'search' },
  { principal: 'gil', roles: ['guest'] },
  { principal: 'lea', roles: ['lead'] },
  { principal: 'out', roles: [] },
]

export function policyOf(turn: number): Record<string, string> {
  return {
    'gateway.rego': `package gateway

default decision := {"allow": false, "code": "access_required", "access": {"requestable": true, "models": ["tiny"]}}

limits := [
	{"name": "requests", "key": input.principal.id, "unit": "requests", "limit": 1000000, "window": "1m"},
	{"name": "streams", "key": input.principal.id, "unit": "concurrency", "limit": 100},
	{"name": "tokens", "key": input.principal.id, "unit": "tokens", "limit": 100000000, "window": "1h"},
]

decision := {"allow": true, "rule": "soak_${turn % 5}", "limits": limits} if "developer" in input.principal.roles

decision := {"allow": true, "rule": "granted", "limits": limits} if {
	"guest" in input.principal.roles
	count(input.grants) > 0
}

default access := {"outcome": "deny", "message": "Not for you."}

access := {"outcome": "approve", "max_duration": "1m"} if {
	"guest" in input.principal.roles
	input.access.emergency
} else := {"outcome": "ask", "approvers": {"roles": ["lead"], "ids": []}, "max_duration": "1m", "pending_for": "5s"} if {
	"guest" in input.principal.roles
}
`,
  }
}
