package gateway.authenticated_test

import data.gateway.authenticated
import data.gateway.testing

test_knows_who_presented_a_credential if {
	authenticated.known with input as testing.chat("dev", "tiny")
	count(authenticated.deny) == 0 with input as testing.chat("dev", "tiny")
}

test_knows_a_guest if {
	authenticated.known with input as testing.listing("guest")
}

test_refuses_a_stranger if {
	some refusal in authenticated.deny with input as _anonymous([])
	refusal.code == "unauthenticated"
	refusal.status == 401
}

test_refuses_an_anonymous_admin if {
	count(authenticated.deny) == 1 with input as _anonymous(["admin"])
}

test_refuses_a_guest_who_is_also_something_more if {
	count(authenticated.deny) == 1 with input as _anonymous(["guest", "developer"])
}

test_refuses_when_the_input_does_not_say if {
	count(authenticated.deny) == 1 with input as {}
	count(authenticated.deny) == 1 with input as {"principal": {"roles": ["admin"]}}
	count(authenticated.deny) == 1 with input as {"principal": {"roles": ["admin"], "authenticated": "yes"}}
}

_anonymous(roles) := testing.being(testing.chat("guest", "tiny"), {"roles": roles})
