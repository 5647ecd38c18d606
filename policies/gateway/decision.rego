# METADATA
# title: The decision
# description: |
#   What the gateway asks about every request. It is refused by the first rule that refuses it; else it is
#   allowed by a role, or by a grant; and what nothing allows is refused.
package gateway

import data.gateway.authenticated
import data.gateway.hours
import data.gateway.models
import data.gateway.permission
import data.gateway.quotas
import data.gateway.roles
import data.gateway.routing

# METADATA
# title: Refused unless allowed
# description: The answer to an input that no rule understands.
default decision := {
	"allow": false,
	"rule": "default",
	"status": 403,
	"code": "forbidden",
	"message": "The policy does not allow this.",
	"reasons": ["nothing in the policy allows this request"],
}

# METADATA
# title: Refused
# description: The first refusal speaks for all of them.
decision := object.union({"allow": false, "status": 403}, refusals[0])

# METADATA
# title: Allowed
# description: With the limits that the gateway is to enforce; without them there is no permission.
decision := object.union_n([
	{"allow": true, "limits": quotas.limits},
	permission.given,
	routing.pool,
]) if {
	count(refusals) == 0
	authenticated.known
}

# METADATA
# title: Refusals, in their order of precedence
# description: Who, then what, then which model, then when.
refusals := [refusal |
	some rule in [authenticated.deny, roles.deny, models.deny, hours.deny]
	some refusal in rule
]
