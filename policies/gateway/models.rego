# METADATA
# title: Models
# description: Refuses a model that no role covers, and says when access to it can be asked for.
package gateway.models

import data.gateway.grants
import data.gateway.roles
import data.gateway.tables

# METADATA
# title: A model that can be asked for
# description: Without words of its own, so that the gateway tells how to ask.
deny contains {
	"rule": "models",
	"code": "access_required",
	"reasons": ["no role covers the model; a grant would"],
	"access": access,
} if {
	not _covered
	access := requestable.access
}

# METADATA
# title: A model that is out of reach
# description: The same answer for a model that does not exist, so that names cannot be guessed.
deny contains {
	"rule": "models",
	"code": "forbidden",
	"message": "Your roles do not cover this model.",
	"reasons": ["no role covers the model, and none may ask for it"],
} if {
	not _covered
	not requestable.access
}

# METADATA
# title: Roles for this operation and this model
# description: Whatever the hour.
covering := [role |
	some role in roles.operating
	_covers(role)
]

# METADATA
# title: What asking would give
# description: To be merged into a refusal; empty where nobody may ask.
default requestable := {}

# METADATA
# title: A role that may ask
# description: The table of models says which roles may, and for how long.
requestable := {"access": {"requestable": true, "models": [input.request.model], "max_duration": model.max_duration}} if {
	model := tables.models[input.request.model]
	some role in roles.held
	role in model.requestable_by
}

# METADATA
# title: Some role covers the model
# description: The positive form of both refusals.
_covered if count(covering) > 0

# METADATA
# title: A grant covers the model
# description: Whatever the roles say.
_covered if count(grants.covering) > 0

# METADATA
# title: Operations without a model
# description: The role alone decides.
_covers(_) if input.request.operation in {"models", "other"}

# METADATA
# title: Models in the table
# description: By name.
_covers(role) if input.request.model in tables.roles[role].models

# METADATA
# title: All models
# description: Also those that are added later.
_covers(role) if "*" in tables.roles[role].models
