package gateway.hours_test

import data.gateway.hours
import data.gateway.testing

# In Berlin, 2026-03-02 is a Monday in winter, one hour ahead of UTC. The clocks go forward in the night
# to Sunday 2026-03-29 and back in the night to Sunday 2026-10-25.

test_open_on_its_first_minute if {
	hours.open == ["analyst"] with input as _lea with time.now_ns as _at("2026-03-02T08:00:00+01:00")
}

test_shut_just_before_its_first_minute if {
	hours.open == [] with input as _lea with time.now_ns as _at("2026-03-02T07:59:59+01:00")
}

test_open_just_before_its_last_minute_is_over if {
	hours.open == ["analyst"] with input as _lea with time.now_ns as _at("2026-03-02T17:59:59+01:00")
}

test_shut_when_its_last_minute_is_over if {
	hours.open == [] with input as _lea with time.now_ns as _at("2026-03-02T18:00:00+01:00")
}

test_shut_at_the_weekend if {
	hours.open == [] with input as _lea with time.now_ns as _at("2026-03-07T12:00:00+01:00")
}

test_the_day_is_that_of_the_zone if {
	tokyo := {"analyst": {"zone": "Asia/Tokyo", "windows": [{"days": ["Monday"], "from": "00:00", "until": "24:00"}]}}
	hours.open == ["analyst"] with input as _lea
		with data.gateway.tables.hours as tokyo
		with time.now_ns as _at("2026-03-01T15:00:00Z")
	hours.open == [] with input as _lea
		with data.gateway.tables.hours as tokyo
		with time.now_ns as _at("2026-03-02T15:00:00Z")
}

test_the_hours_move_with_the_clocks if {
	hours.open == [] with input as _lea with time.now_ns as _at("2026-03-27T06:59:00Z")
	hours.open == ["analyst"] with input as _lea with time.now_ns as _at("2026-03-27T07:00:00Z")
	hours.open == [] with input as _lea with time.now_ns as _at("2026-03-30T05:59:00Z")
	hours.open == ["analyst"] with input as _lea with time.now_ns as _at("2026-03-30T06:00:00Z")
}

test_without_hours_it_is_always_open if {
	hours.open == ["developer"] with input as testing.chat("dev", "tiny")
		with time.now_ns as _at("2026-03-08T03:00:00Z")
}

test_one_open_role_is_enough if {
	both := testing.being(_lea, {"roles": ["analyst", "developer"]})
	hours.open == ["developer"] with input as both with time.now_ns as _at("2026-03-08T03:00:00Z")
	count(hours.deny) == 0 with input as both with time.now_ns as _at("2026-03-08T03:00:00Z")
}

test_hours_that_are_no_times_are_shut if {
	odd := {"analyst": {"zone": "Europe/Berlin", "windows": [{"days": ["Monday"], "from": "8h", "until": "18:00"}]}}
	some refusal in hours.deny with input as _lea
		with data.gateway.tables.hours as odd
		with time.now_ns as _at("2026-03-02T12:00:00+01:00")
	refusal.code == "outside_hours"
	not "retry_after" in object.keys(refusal)
}

test_the_models_may_be_listed_at_any_hour if {
	count(hours.deny) == 0 with input as testing.listing("lea")
		with time.now_ns as _at("2026-03-08T03:00:00Z")
}

test_a_grant_opens_at_any_hour if {
	asked := testing.granted(_lea, [testing.grant("g_1", ["tiny"], [])])
	count(hours.deny) == 0 with input as asked with time.now_ns as _at("2026-03-08T03:00:00Z")
}

test_says_the_hours_and_how_to_ask_for_more if {
	some refusal in hours.deny with input as _lea with time.now_ns as _at("2026-03-02T23:00:00+01:00")
	refusal == {
		"rule": "hours",
		"code": "outside_hours",
		"message": "Outside the hours of your role: Monday, Tuesday, Wednesday, Thursday, Friday 08:00–18:00 Europe/Berlin.",
		"reasons": ["role analyst is open Monday, Tuesday, Wednesday, Thursday, Friday 08:00–18:00 Europe/Berlin"],
		"retry_after": "9h",
		"access": {"requestable": true, "models": ["tiny"], "max_duration": "2h"},
	}
}

test_says_nothing_of_hours_to_whom_no_role_covers if {
	count(hours.deny) == 0 with input as testing.chat("lea", "tiny-large")
		with time.now_ns as _at("2026-03-08T03:00:00Z")
}

test_counts_the_minutes_until_it_opens if {
	every at, wait in {
		"2026-03-03T07:25:30+01:00": "35m",
		"2026-03-03T07:59:59+01:00": "1m",
		"2026-03-02T18:00:00+01:00": "14h",
		"2026-03-06T18:30:00+01:00": "61h30m",
		"2026-03-07T00:00:00+01:00": "56h",
	} {
		_retry_after(_lea) == wait with time.now_ns as _at(at)
	}
}

test_counts_the_hour_that_the_change_of_the_clocks_takes_or_gives if {
	_retry_after(_lea) == "60h" with time.now_ns as _at("2026-03-27T19:00:00+01:00")
	_retry_after(_lea) == "62h" with time.now_ns as _at("2026-10-23T19:00:00+02:00")
}

test_counts_right_when_the_clocks_change_at_the_hour_of_opening if {
	night := {"analyst": {
		"zone": "Europe/Berlin",
		"windows": [{"days": ["Sunday", "Monday"], "from": "00:00", "until": "04:00"}],
	}}
	_retry_after(_lea) == "19h" with data.gateway.tables.hours as night
		with time.now_ns as _at("2026-03-29T05:00:00+02:00")
	_retry_after(_lea) == "20h" with data.gateway.tables.hours as night
		with time.now_ns as _at("2026-10-25T04:00:00+01:00")
}

test_takes_the_first_window_of_all_roles if {
	table := {
		"analyst": {"zone": "Europe/Berlin", "windows": [
			{"days": ["Tuesday"], "from": "08:00", "until": "09:00"},
			{"days": ["Monday"], "from": "20:00", "until": "21:00"},
		]},
		"developer": {"zone": "UTC", "windows": [{"days": ["Monday"], "from": "18:30", "until": "21:00"}]},
	}
	_retry_after(testing.being(_lea, {"roles": ["analyst", "developer"]})) == "30m" with data.gateway.tables.hours as table
		with time.now_ns as _at("2026-03-02T19:00:00+01:00")
}

test_a_window_once_a_week_opens_again_in_a_week if {
	table := {"analyst": {"zone": "UTC", "windows": [{"days": ["Monday"], "from": "08:00", "until": "09:00"}]}}
	_retry_after(_lea) == "167h" with data.gateway.tables.hours as table
		with time.now_ns as _at("2026-03-02T09:00:00Z")
}

test_does_not_say_when_what_never_opens_will_open if {
	some refusal in hours.deny with input as _lea
		with data.gateway.tables.hours as {"analyst": {"zone": "UTC", "windows": []}}
		with time.now_ns as _at("2026-03-02T09:00:00Z")
	refusal.code == "outside_hours"
	not "retry_after" in object.keys(refusal)
}

_lea := testing.chat("lea", "tiny")

_at(timestamp) := time.parse_rfc3339_ns(timestamp)

_retry_after(asked) := refusal.retry_after if {
	some refusal in hours.deny with input as asked
}
