# METADATA
# title: Roles
# description: Refuses an operation that no role of the principal is for.
package gateway.roles

import data.gateway.grants
import data.gateway.tables

# METADATA
# title: No role for this
# description: A grant for the model stands in for the operation, but not for having a role at all.
deny contains {
	"rule": "roles",
	"code": "forbidden",
	"message": "Your roles do not allow this.",
	"reasons": [reason],
} if {
	not _operates
	reason := concat("", ["no role of the principal may do this; known ones: [", concat(", ", held), "]"])
}

# METADATA
# title: Roles the principal holds
# description: Its own and those that are lent to it, as far as the tables know them.
held := [role |
	some role in array.concat(input.principal.roles, grants.lent)
	tables.roles[role]
]

# METADATA
# title: Roles for this operation
# description: Those of the held roles that may do it, whatever the model and the hour.
operating := [role |
	some role in held
	_may(role)
]

# METADATA
# title: Some role is for this operation
# description: The positive form of the refusal.
_operates if count(operating) > 0

# METADATA
# title: A grant is for this operation
# description: Its holder still needs a role, for the limits that come with it.
_operates if {
	count(held) > 0
	count(grants.covering) > 0
}

# METADATA
# title: The credential of a grant
# description: It is worth the grant alone, so there is no role to hold.
_operates if {
	input.principal.method == "access_grant"
	count(grants.covering) > 0
}

# METADATA
# title: Anybody with a role may list the models
# description: The list shows only those that may be called.
_may(_) if input.request.operation == "models"

# METADATA
# title: Operations in the table
# description: By name.
_may(role) if input.request.operation in tables.roles[role].operations

# METADATA
# title: All operations
# description: Also those the gateway has no name for, which it calls other.
_may(role) if {
	"*" in tables.roles[role].operations
	is_string(input.request.operation)
}
