package gateway.routing_test

import data.gateway.routing
import data.gateway.testing

test_names_the_pool_of_the_model if {
	routing.pool == {"pool": "chat"} with input as testing.chat("dev", "tiny")
	routing.pool == {"pool": "large"} with input as testing.chat("ana", "tiny-large")
}

test_leaves_a_model_that_is_in_no_table_to_the_gateway if {
	routing.pool == {} with input as testing.chat("ana", "new")
}

test_leaves_it_to_the_gateway_when_it_has_no_such_pool if {
	elsewhere := object.union(
		object.remove(testing.chat("dev", "tiny"), ["pools"]),
		{"pools": {"gpu": {"models": ["tiny"], "healthy": 1, "targets": 1, "in_flight": 0, "queued": 0}}},
	)
	routing.pool == {} with input as elsewhere
}

test_needs_no_pool_where_there_is_no_model if {
	routing.pool == {} with input as testing.listing("dev")
}
