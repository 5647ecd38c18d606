# METADATA
# title: Opening hours
# description: Refuses while every role that covers the request is closed, and says when one opens.
package gateway.hours

import data.gateway.grants
import data.gateway.models
import data.gateway.tables

# METADATA
# title: Outside the hours
# description: A grant for the model opens it at any hour.
deny contains object.union_n([
	{
		"rule": "hours",
		"code": "outside_hours",
		"message": concat("", ["Outside the hours of your role: ", concat("; ", _hours), "."]),
		"reasons": [concat(" ", ["role", role, "is open", text(role)]) | some role in models.covering],
	},
	_retry,
	models.requestable,
]) if {
	count(models.covering) > 0
	not _open_to_somebody
}

# METADATA
# title: Roles that cover the request and are open
# description: In the order in which the principal holds them.
open := [role |
	some role in models.covering
	_open(role)
]

# METADATA
# title: The hours of a role, in words
# description: Such as "Monday, Tuesday 08:00–18:00 Europe/Berlin".
text(role) := concat(" ", [concat(" and ", _windows(role)), tables.hours[role].zone])

# METADATA
# title: The hours of all roles that cover the request, in words
# description: For the caller, who is to know when to come back.
_hours := [text(role) | some role in models.covering]

# METADATA
# title: Some role is open
# description: The positive form of the refusal.
_open_to_somebody if count(open) > 0

# METADATA
# title: A grant is for this request
# description: It has its own end.
_open_to_somebody if count(grants.covering) > 0

# METADATA
# title: A role without hours
# description: The clock is not even read.
_open(role) if not tables.hours[role]

# METADATA
# title: The list of models
# description: It may be read at any hour; it shows what may be called at this one.
_open(_) if input.request.operation == "models"

# METADATA
# title: Within a window
# description: A window holds its first minute and not its last.
_open(role) if {
	zone := tables.hours[role].zone
	[hour, minute, _] := time.clock([_now, zone])
	some window in tables.hours[role].windows
	[hour, minute] >= _time(window.from)
	[hour, minute] < _time(window.until)
	time.weekday([_now, zone]) in window.days
}

# METADATA
# title: When to come back
# description: To be merged into the refusal; empty when no role ever opens.
default _retry := {}

# METADATA
# title: The next opening
# description: The earliest of all roles that cover the request.
_retry := {"retry_after": _duration(min(waits))} if {
	waits := [wait | some role in models.covering; wait := _wait(role)]
	count(waits) > 0
}

# METADATA
# title: How long until a role opens
# description: |
#   In minutes that really pass. They are not those on the dial when the clocks change in between, so the dial
#   is read again at the hour of opening, and put right.
_wait(role) := (on_the_dial + (((opening - then) + 15120) % 10080)) - 5040 if {
	zone := tables.hours[role].zone
	now := _minute_of_week(_now, zone)
	[on_the_dial, opening] := min({[until, opening] |
		some opening in _openings(role)
		until := ((opening - now) + 10080) % 10080
		until > 0
	})
	then := _minute_of_week(_now + (on_the_dial * 60000000000), zone)
}

# METADATA
# title: When a role opens in the course of a week
# description: As minutes since Monday began.
_openings(role) := {opening |
	some window in tables.hours[role].windows
	[hour, minute] := _time(window.from)
	some day in window.days
	opening := (_days[day] * 1440) + ((hour * 60) + minute)
}

# METADATA
# title: An instant, on the clock of a zone
# description: As minutes since Monday began, daylight saving time included.
_minute_of_week(ns, zone) := (_days[time.weekday([ns, zone])] * 1440) + ((hour * 60) + minute) if {
	[hour, minute, _] := time.clock([ns, zone])
}

# METADATA
# title: Now
# description: The instant at which the request arrived.
_now := time.now_ns()

# METADATA
# title: A time of day as hour and minute
# description: Undefined for what is no time, and then the window is shut.
_time(clock) := [to_number(hour), to_number(minute)] if {
	[hour, minute] := split(clock, ":")
}

# METADATA
# title: A duration as the gateway reads it
# description: 540 minutes are 9h, 35 are 35m, 3750 are 62h30m.
_duration(minutes) := concat("", array.concat(hours, rest)) if {
	hours := [concat("", [format_int(floor(minutes / 60), 10), "h"]) | minutes >= 60]
	rest := [concat("", [format_int(minutes % 60, 10), "m"]) | minutes % 60 > 0]
}

# METADATA
# title: The windows of a role, in words
# description: One text for each.
_windows(role) := [words |
	some window in tables.hours[role].windows
	words := concat("", [concat(", ", window.days), " ", window.from, "–", window.until])
]

# METADATA
# title: The days of the week
# description: As time.weekday names them.
_days := {"Monday": 0, "Tuesday": 1, "Wednesday": 2, "Thursday": 3, "Friday": 4, "Saturday": 5, "Sunday": 6}
