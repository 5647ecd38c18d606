# What the gateway asks when somebody asks for access, and again at each approval. Whoever may not ask is told
# no more than that; the terms are those of lending.rego.
package gateway

import data.gateway.lending

# METADATA
# title: No access unless there are terms
# description: Also for an input that no rule understands.
default access := {"outcome": "deny", "message": "You may not ask for this."}

# METADATA
# title: The terms
# description: Who must say yes, for how long it can be had, and how long a request may wait.
access := lending.terms
