# METADATA
# title: Known callers
# description: Refuses whoever is unknown to the gateway.
package gateway.authenticated

import data.gateway.tables

# METADATA
# title: Unknown caller
# description: Fires unless the caller is positively known, so also when the input does not say.
deny contains {
	"rule": "authenticated",
	"status": 401,
	"code": "unauthenticated",
	"message": "This needs a credential.",
	"reasons": ["the caller is not authenticated, and anonymous callers have no role here"],
} if {
	not known
}

# METADATA
# title: A good credential was presented
# description: The gateway has checked it before the policy is asked.
known if input.principal.authenticated == true

# METADATA
# title: An anonymous caller whom the tables allow for
# description: Each of its roles must be marked, or a misconfigured anonymous admin would be one.
known if {
	input.principal.authenticated == false
	count(input.principal.roles) > 0
	every role in input.principal.roles {
		tables.roles[role].anonymous == true
	}
}
