# METADATA
# title: Routing
# description: Names the pool that serves the model, where the tables do and this gateway has it.
package gateway.routing

import data.gateway.tables

# METADATA
# title: Left to the gateway
# description: It takes the pool that serves the model.
default pool := {}

# METADATA
# title: By the table of models
# description: To be merged into the decision.
pool := {"pool": name} if {
	name := tables.models[input.request.model].pool
	input.pools[name]
}
