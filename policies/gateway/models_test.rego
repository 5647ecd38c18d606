package gateway.models_test

import data.gateway.models
import data.gateway.testing

test_a_role_covers_its_models if {
	models.covering == ["developer"] with input as testing.chat("dev", "tiny")
	count(models.deny) == 0 with input as testing.chat("dev", "tiny")
}

test_an_admin_covers_models_that_are_in_no_table if {
	models.covering == ["admin"] with input as testing.chat("ana", "new")
}

test_a_developer_may_ask_for_the_large_model if {
	some refusal in models.deny with input as testing.chat("dev", "tiny-large")
	refusal.code == "access_required"
	refusal.access == {"requestable": true, "models": ["tiny-large"], "max_duration": "2h"}
}

test_ci_may_not_even_ask if {
	some refusal in models.deny with input as testing.chat("ci-bot", "tiny-large")
	refusal.code == "forbidden"
	not "access" in object.keys(refusal)
}

test_a_model_that_does_not_exist_looks_like_one_that_is_out_of_reach if {
	unknown := models.deny with input as testing.chat("ci-bot", "unknown")
	unreachable := models.deny with input as testing.chat("ci-bot", "tiny-large")
	unknown == unreachable
}

test_a_grant_covers_what_no_role_does if {
	asked := testing.granted(testing.chat("dev", "tiny-large"), [testing.grant("g_1", ["tiny-large"], [])])
	count(models.deny) == 0 with input as asked
}

test_operations_without_a_model_need_only_the_role if {
	models.covering == ["guest"] with input as testing.listing("guest")
	models.covering == ["admin"] with input as testing.something("ana")
}

test_a_chat_without_a_model_is_covered_by_no_role_for_some if {
	count(models.deny) == 1 with input as testing.chat("dev", null)
}

test_there_is_exactly_one_refusal_when_the_input_does_not_say if {
	count(models.deny) == 1 with input as {}
}
