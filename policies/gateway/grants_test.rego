package gateway.grants_test

import data.gateway.grants
import data.gateway.testing

test_a_grant_covers_its_models if {
	asked := testing.granted(testing.chat("dev", "tiny-large"), [testing.grant("g_1", ["tiny-large"], [])])
	[covering] := grants.covering with input as asked
	covering.id == "g_1"
}

test_a_grant_covers_no_other_model if {
	asked := testing.granted(testing.chat("dev", "tiny-large"), [testing.grant("g_1", ["tiny"], [])])
	count(grants.covering) == 0 with input as asked
}

test_a_grant_covers_nothing_without_a_model if {
	asked := testing.granted(testing.something("dev"), [testing.grant("g_1", ["tiny"], [])])
	count(grants.covering) == 0 with input as asked
}

test_a_grant_does_not_cover_operations_that_have_no_name if {
	other := testing.asking("dev", {"operation": "other"})
	count(grants.covering) == 0 with input as testing.granted(other, [testing.grant("g_1", ["tiny"], [])])
}

test_grants_lend_roles if {
	lending := [testing.grant("g_1", [], ["admin"]), testing.grant("g_2", ["tiny"], ["ci"])]
	grants.lent == ["admin", "ci"] with input as testing.granted(testing.chat("dev", "tiny"), lending)
}

test_of_several_grants_the_longest_counts if {
	longer := object.union(testing.grant("g_2", [], []), {"expires_at": "2026-03-02T15:00:00Z"})
	grants.until([testing.grant("g_1", [], []), longer, testing.grant("g_3", [], [])]) == "2026-03-02T15:00:00Z"
}
