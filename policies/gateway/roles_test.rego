package gateway.roles_test

import data.gateway.roles
import data.gateway.testing

test_a_developer_may_chat_complete_and_embed if {
	every operation in ["chat", "completion", "embedding"] {
		count(roles.deny) == 0 with input as testing.asking("dev", {"operation": operation})
	}
}

test_everybody_with_a_role_may_list_the_models if {
	every name, _ in testing.people {
		count(roles.deny) == 0 with input as testing.listing(name)
	}
}

test_nobody_without_a_role_may_list_the_models if {
	count(roles.deny) == 1 with input as testing.being(testing.listing("dev"), {"roles": []})
}

test_a_role_that_the_tables_do_not_know_is_no_role if {
	asked := testing.being(testing.listing("dev"), {"roles": ["emperor"]})
	roles.held == [] with input as asked
	count(roles.deny) == 1 with input as asked
}

test_only_an_admin_may_do_what_has_no_name if {
	count(roles.deny) == 0 with input as testing.something("ana")
	every name in ["dev", "ci-bot", "lea", "guest"] {
		count(roles.deny) == 1 with input as testing.something(name)
	}
}

test_a_guest_may_not_chat if {
	some refusal in roles.deny with input as testing.chat("guest", "tiny")
	refusal.code == "forbidden"
	refusal.reasons == ["no role of the principal may do this; known ones: [guest]"]
}

test_a_guest_may_chat_under_a_grant if {
	asked := testing.granted(testing.chat("guest", "tiny"), [testing.grant("g_1", ["tiny"], [])])
	count(roles.deny) == 0 with input as asked
}

test_a_grant_is_not_enough_without_a_role if {
	asked := testing.granted(testing.chat("dev", "tiny"), [testing.grant("g_1", ["tiny"], [])])
	count(roles.deny) == 1 with input as testing.being(asked, {"roles": []})
}

test_lent_roles_come_after_the_principals_own if {
	asked := testing.granted(testing.chat("dev", "tiny"), [testing.grant("g_1", [], ["admin"])])
	roles.held == ["developer", "admin"] with input as asked
}

test_refuses_when_the_input_does_not_say if {
	count(roles.deny) == 1 with input as {}
	count(roles.deny) == 1 with input as {"principal": {"roles": ["developer"]}}
	count(roles.deny) == 1 with input as {"request": {"operation": "chat"}}
}

test_the_credential_of_a_grant_needs_no_role if {
	covered := testing.granted(testing.chat("dev", "tiny-large"), [testing.grant("g_1", ["tiny-large"], [])])
	count(roles.deny) == 0 with input as testing.by_credential(covered)
	count(roles.deny) == 1 with input as testing.by_credential(testing.chat("dev", "tiny-large"))
}
