# METADATA
# title: Grants
# description: What somebody has approved for a while. The gateway shows only grants that are in force.
package gateway.grants

# METADATA
# title: Roles that are lent
# description: They count like the principal's own, after them.
lent := [role |
	some grant in input.grants
	some role in grant.roles
]

# METADATA
# title: Grants for this request
# description: A grant for a model covers every operation that uses a model.
covering := [grant |
	some grant in input.grants
	input.request.model in grant.models
	input.request.operation in {"chat", "completion", "embedding"}
]

# METADATA
# title: The last moment of what is lent
# description: A stream must not outlive the grant it stands on; of several grants, the longest counts.
until(grants) := max([grant.expires_at | some grant in grants])
