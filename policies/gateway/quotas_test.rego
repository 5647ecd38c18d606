package gateway.quotas_test

import data.gateway.quotas
import data.gateway.testing

test_an_admin_has_no_limits if {
	quotas.limits == [] with input as testing.chat("ana", "tiny")
}

test_a_developer_has_sixty_requests_a_minute if {
	quotas.limits == [
		{"name": "requests_per_minute", "key": "dev", "unit": "requests", "limit": 60, "window": "1m"},
		{"name": "streams", "key": "dev", "unit": "concurrency", "limit": 8},
		{"name": "team_requests_per_minute", "key": "team:search", "unit": "requests", "limit": 300, "window": "1m"},
	] with input as testing.chat("dev", "tiny")
}

test_ci_has_five_requests_a_minute_and_two_streams if {
	limits := {limit.name: limit.limit | some limit in quotas.limits} with input as testing.chat("ci-bot", "tiny")
	limits == {"requests_per_minute": 5, "streams": 2, "team_requests_per_minute": 300}
}

test_without_a_team_nothing_is_shared if {
	{limit.key | some limit in quotas.limits} == {"guest"} with input as testing.listing("guest")
}

test_under_a_grant_the_limits_of_the_first_role_hold if {
	asked := testing.granted(testing.chat("dev", "tiny-large"), [testing.grant("g_1", ["tiny-large"], [])])
	{limit.limit | some limit in quotas.limits; limit.name == "requests_per_minute"} == {60} with input as asked
}

test_the_credential_of_a_grant_has_a_tier_of_its_own if {
	asked := testing.granted(testing.chat("dev", "tiny-large"), [testing.grant("g_1", ["tiny-large"], [])])
	{limit.limit | some limit in quotas.limits; limit.name == "streams"} == {8} with input as testing.by_credential(asked)
}

test_the_role_that_allows_the_request_counts if {
	both := testing.being(testing.chat("dev", "tiny-large"), {"roles": ["developer", "admin"]})
	quotas.limits == [] with input as both
}

test_a_tier_that_misses_a_number_is_no_permission if {
	not quotas.limits with input as testing.chat("dev", "tiny")
		with data.gateway.tables.tiers.interactive as {"requests_per_minute": 60, "streams": 8}
}

test_a_tier_that_does_not_exist_is_no_permission if {
	not quotas.limits with input as testing.chat("dev", "tiny")
		with data.gateway.tables.roles.developer.tier as "misspelt"
}

test_a_team_that_the_input_does_not_tell_is_no_permission if {
	asked := testing.chat("dev", "tiny")
	silent := object.union(
		object.remove(asked, ["principal"]),
		{"principal": object.remove(asked.principal, ["team"])},
	)
	not quotas.limits with input as silent
}
