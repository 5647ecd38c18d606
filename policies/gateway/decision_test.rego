package gateway_test

import data.gateway
import data.gateway.testing

test_allows_a_developer if {
	gateway.decision == {
		"allow": true,
		"rule": "developer_always",
		"reasons": ["role developer may call tiny"],
		"pool": "chat",
		"limits": [
			{"name": "requests_per_minute", "key": "dev", "unit": "requests", "limit": 60, "window": "1m"},
			{"name": "streams", "key": "dev", "unit": "concurrency", "limit": 8},
			{"name": "team_requests_per_minute", "key": "team:search", "unit": "requests", "limit": 300, "window": "1m"},
		],
	} with input as testing.chat("dev", "tiny")
}

test_allows_an_admin_everything if {
	gateway.decision.allow with input as testing.chat("ana", "tiny-large")
	gateway.decision.allow with input as testing.chat("ana", "new")
	gateway.decision.allow with input as testing.something("ana")
}

test_allows_what_is_granted if {
	asked := testing.granted(testing.chat("dev", "tiny-large"), [testing.grant("g_1", ["tiny-large"], [])])
	decision := gateway.decision with input as asked
	decision.allow
	decision.rule == "granted"
	decision.pool == "large"
	decision.expires_at == "2026-03-02T14:00:00Z"
}

test_allows_the_credential_of_a_grant_what_is_granted_and_nothing_else if {
	asked := testing.granted(testing.chat("dev", "tiny-large"), [testing.grant("g_1", ["tiny-large"], [])])
	gateway.decision.rule == "granted" with input as testing.by_credential(asked)
	other := testing.granted(testing.chat("dev", "tiny"), [testing.grant("g_1", ["tiny-large"], [])])
	gateway.decision.allow == false with input as testing.by_credential(other)
}

test_refuses_with_the_way_to_ask if {
	gateway.decision == {
		"allow": false,
		"rule": "models",
		"status": 403,
		"code": "access_required",
		"reasons": ["no role covers the model; a grant would"],
		"access": {"requestable": true, "models": ["tiny-large"], "max_duration": "2h"},
	} with input as testing.chat("dev", "tiny-large")
}

test_who_comes_before_what_and_what_before_which if {
	codes := [refusal.code | some refusal in gateway.refusals] with input as {}
	codes == ["unauthenticated", "forbidden", "forbidden"]
	gateway.decision.status == 401 with input as {}
}

test_refuses_an_input_without_its_parts if {
	asked := testing.chat("ana", "tiny")
	every part in ["request", "principal"] {
		gateway.decision.allow == false with input as object.remove(asked, [part])
	}
	every part in ["operation", "model"] {
		gateway.decision.allow == false with input as _without(asked, "request", part)
	}
	every part in ["roles", "authenticated"] {
		gateway.decision.allow == false with input as _without(asked, "principal", part)
	}
	every part in ["id", "team"] {
		gateway.decision.allow == false with input as _without(testing.chat("dev", "tiny"), "principal", part)
	}
}

test_refuses_when_nothing_refuses_and_nothing_allows if {
	gateway.decision.rule == "default" with input as testing.chat("dev", "tiny")
		with data.gateway.tables.roles.developer.tier as "misspelt"
	gateway.decision.allow == false with input as testing.chat("dev", "tiny")
		with data.gateway.tables.roles.developer.tier as "misspelt"
}

test_refuses_without_tables if {
	gateway.decision.allow == false with input as testing.chat("ana", "tiny") with data.gateway.tables as {}
}

_without(asked, whole, part) := object.union(
	object.remove(asked, [whole]),
	{whole: object.remove(asked[whole], [part])},
)
