package gateway.lending_test

import data.gateway
import data.gateway.lending
import data.gateway.testing

monday_noon := "2026-03-02T12:00:00+01:00"

monday_night := "2026-03-02T22:00:00+01:00"

saturday_noon := "2026-03-07T12:00:00+01:00"

test_a_developer_asks_one_lead if {
	gateway.access == {
		"outcome": "ask",
		"approvals": 1,
		"approvers": {"roles": ["lead"], "ids": []},
		"max_duration": "2h",
		"pending_for": "4h",
	} with input as testing.wanting("dev", {}) with time.now_ns as time.parse_rfc3339_ns(monday_noon)
}

test_at_night_and_at_the_weekend_who_is_on_call_decides_too_and_for_less_time if {
	every at in [monday_night, saturday_noon, "2026-03-02T07:59:59+01:00", "2026-03-02T18:00:00+01:00"] {
		terms := lending.terms with input as testing.wanting("dev", {})
			with time.now_ns as time.parse_rfc3339_ns(at)
		terms == {
			"outcome": "ask",
			"approvals": 1,
			"approvers": {"roles": ["lead", "oncall"], "ids": []},
			"max_duration": "1h",
			"pending_for": "30m",
		}
	}
}

test_on_call_engineers_get_two_hours_by_themselves_with_a_ticket if {
	terms := lending.terms with input as testing.wanting("ona", {"ticket": "OPS-7"})
		with time.now_ns as time.parse_rfc3339_ns(monday_night)
	terms.outcome == "approve"
	terms.max_duration == "2h"
}

test_without_a_ticket_they_ask_as_everybody_does if {
	terms := lending.terms with input as testing.wanting("ona", {})
		with time.now_ns as time.parse_rfc3339_ns(monday_noon)
	[terms.outcome, terms.approvals] == ["ask", 1]
}

test_production_data_asks_two_whoever_asks if {
	every name in ["dev", "ona"] {
		terms := lending.terms with input as testing.wanting(name, {"models": ["tiny-customers"], "ticket": "OPS-7"})
			with time.now_ns as time.parse_rfc3339_ns(monday_noon)
		[terms.outcome, terms.approvals, terms.max_duration] == ["ask", 2, "1h"]
	}
}

test_one_model_with_production_data_is_enough if {
	terms := lending.terms with input as testing.wanting("dev", {"models": ["tiny-large", "tiny-customers"]})
		with time.now_ns as time.parse_rfc3339_ns(monday_noon)
	[terms.approvals, terms.max_duration] == [2, "1h"]
}

test_breaking_the_glass_is_at_once_and_short if {
	terms := gateway.access with input as testing.wanting("ona", {"emergency": true, "models": ["tiny-customers"]})
		with time.now_ns as time.parse_rfc3339_ns(monday_night)
	[terms.outcome, terms.max_duration] == ["approve", "30m"]
	terms.approvers.roles == ["lead", "oncall"]
}

test_not_everybody_breaks_the_glass if {
	gateway.access.outcome == "deny" with input as testing.wanting("lea", {"emergency": true, "models": ["tiny"]})
}

test_what_nobody_may_ask_for_is_denied if {
	every asked in [
		{"models": ["unknown"]},
		{"models": ["tiny-large", "unknown"]},
		{"models": []},
		{"models": [], "roles": ["admin"]},
		{"roles": ["admin"]},
	] {
		gateway.access.outcome == "deny" with input as testing.wanting("dev", asked)
	}
	gateway.access.outcome == "deny" with input as testing.wanting("guest", {})
	gateway.access.outcome == "deny" with input as {}
}

test_a_role_can_be_asked_for if {
	terms := lending.terms with input as testing.wanting("lea", {"models": [], "roles": ["night_shift"]})
		with time.now_ns as time.parse_rfc3339_ns(monday_noon)
	[terms.outcome, terms.max_duration] == ["ask", "8h"]
}

test_of_models_and_roles_the_shortest_time_counts if {
	terms := lending.terms with input as testing.wanting("lea", {"models": ["tiny"], "roles": ["night_shift"]})
		with time.now_ns as time.parse_rfc3339_ns(monday_noon)
	terms.max_duration == "2h"
}

test_lent_roles_ask_for_nothing if {
	asked := testing.granted(testing.wanting("guest", {}), [testing.grant("g_1", [], ["developer"])])
	gateway.access.outcome == "deny" with input as asked
}

test_nobody_approves_their_own if {
	every name in ["dev", "ona"] {
		not gateway.access.self_approval with input as testing.wanting(name, {"ticket": "OPS-7"})
	}
}
