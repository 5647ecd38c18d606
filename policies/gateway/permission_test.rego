package gateway.permission_test

import data.gateway.permission
import data.gateway.testing

test_says_which_role_allowed_it if {
	permission.given == {
		"rule": "developer_always",
		"reasons": ["role developer may call tiny"],
	} with input as testing.chat("dev", "tiny")
}

test_says_within_which_hours if {
	permission.given == {
		"rule": "analyst_office_hours",
		"reasons": ["role analyst may call tiny Monday, Tuesday, Wednesday, Thursday, Friday 08:00–18:00 Europe/Berlin"],
	} with input as testing.chat("lea", "tiny")
		with time.now_ns as time.parse_rfc3339_ns("2026-03-02T12:00:00+01:00")
}

test_says_what_was_done_without_a_model if {
	permission.given.reasons == ["role guest may list the models"] with input as testing.listing("guest")
	permission.given.reasons == ["role admin may do this"] with input as testing.something("ana")
}

test_a_grant_allows_until_its_end if {
	asked := testing.granted(testing.chat("dev", "tiny-large"), [testing.grant("g_1", ["tiny-large"], [])])
	permission.given == {
		"rule": "granted",
		"reasons": ["grant g_1 allows tiny-large until 2026-03-02T14:00:00Z"],
		"expires_at": "2026-03-02T14:00:00Z",
	} with input as asked
}

test_the_principals_own_role_comes_before_a_grant if {
	asked := testing.granted(testing.chat("dev", "tiny"), [testing.grant("g_1", ["tiny"], [])])
	permission.given.rule == "developer_always" with input as asked
	not permission.given.expires_at with input as asked
}

test_a_lent_role_allows_until_its_end if {
	asked := testing.granted(testing.chat("dev", "tiny-large"), [testing.grant("g_1", [], ["admin"])])
	permission.given.rule == "admin_always" with input as asked
	permission.given.expires_at == "2026-03-02T14:00:00Z" with input as asked
}

test_is_not_given_by_default if {
	not permission.given with input as {}
	not permission.given with input as testing.chat("guest", "tiny")
}
