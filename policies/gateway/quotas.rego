# METADATA
# title: Quotas
# description: How much the gateway is to let through, by the tier of the role that the request is made in.
package gateway.quotas

import data.gateway.hours
import data.gateway.roles
import data.gateway.tables

# METADATA
# title: No limits
# description: Only where the tables say so in as many words.
limits := [] if _tier == null

# METADATA
# title: The limits of the tier
# description: Undefined, and so a refusal, when the tables miss one of the numbers.
limits := array.concat(_personal, _shared) if _tier != null

# METADATA
# title: What one principal may use
# description: However many keys it has.
_personal := [
	{
		"name": "requests_per_minute",
		"key": input.principal.id,
		"unit": "requests",
		"limit": _tier.requests_per_minute,
		"window": "1m",
	},
	{
		"name": "streams",
		"key": input.principal.id,
		"unit": "concurrency",
		"limit": _tier.streams,
	},
]

# METADATA
# title: What a team may use together
# description: One counter for all its members.
_shared := [{
	"name": "team_requests_per_minute",
	"key": concat(":", ["team", input.principal.team]),
	"unit": "requests",
	"limit": _tier.team_requests_per_minute,
	"window": "1m",
}] if {
	input.principal.team != null
}

# METADATA
# title: Nothing is shared without a team
# description: Said by the input in as many words; a missing team is no answer.
_shared := [] if input.principal.team == null

# METADATA
# title: The tier
# description: Undefined, and so a refusal, when the role names none that exists.
_tier := tables.tiers[tables.roles[_role].tier]

# METADATA
# title: The tier of a credential that is worth one grant
# description: Its holder has no role.
_tier := tables.tiers[tables.access.tier] if {
	input.principal.method == "access_grant"
	not _role
}

# METADATA
# title: The role whose tier counts
# description: The first that allows the request; under a grant, the first that is held.
_role := hours.open[0] if {
	count(hours.open) > 0
} else := roles.held[0]
