# METADATA
# title: Permission
# description: What allows a request, for the audit record. Undefined when nothing does.
package gateway.permission

import data.gateway.grants
import data.gateway.hours
import data.gateway.tables

# METADATA
# title: By a role, else by a grant
# description: The first of the principal's roles that covers the request and is open.
given := object.union(_by_role(role), _end(role)) if {
	role := hours.open[0]
} else := {
	"rule": "granted",
	"reasons": [reason | some grant in grants.covering; reason := _granted(grant)],
	"expires_at": grants.until(grants.covering),
} if {
	count(grants.covering) > 0
}

# METADATA
# title: By a role that is always open
# description: Named after the role.
_by_role(role) := {
	"rule": concat("_", [role, "always"]),
	"reasons": [concat(" ", ["role", role, "may", _deed])],
} if {
	not tables.hours[role]
}

# METADATA
# title: By a role that has hours
# description: With the hours, which were checked before.
_by_role(role) := {
	"rule": concat("_", [role, "office_hours"]),
	"reasons": [concat(" ", ["role", role, "may", _deed, hours.text(role)])],
} if {
	tables.hours[role]
}

# METADATA
# title: The reason of a permission by a grant
# description: In words.
_granted(grant) := concat(" ", ["grant", grant.id, "allows", input.request.model, "until", grant.expires_at])

# METADATA
# title: No end
# description: The principal's own roles end with its credential, which the gateway sees to.
_end(role) := {} if role in input.principal.roles

# METADATA
# title: The end of what is lent
# description: A stream that began with a lent role ends with it.
_end(role) := {"expires_at": grants.until(lenders)} if {
	not role in input.principal.roles
	lenders := [grant | some grant in input.grants; role in grant.roles]
}

# METADATA
# title: What is done, in words
# description: Some operations have no model.
_deed := concat(" ", ["call", input.request.model]) if {
	input.request.model != null
} else := "list the models" if {
	input.request.operation == "models"
} else := "do this" if {
	input.request.model == null
}
