# METADATA
# title: Lending
# description: |
#   On which terms access is lent for a while. What may be asked for is in the tables: models by
#   `requestable_by`, roles by `access.roles`. Nobody approves their own request: no rule here says so.
package gateway.lending

import data.gateway.tables

# METADATA
# title: Breaking the glass
# description: At once, on nobody's word, for a short time; marked in every record, and announced.
terms := object.union(_deciders, {
	"outcome": "approve",
	"max_duration": tables.access.emergency.max_duration,
	"message": "Emergency access is short, and everybody is told of it.",
}) if {
	_askable
	input.access.emergency == true
	_holds(tables.access.emergency.roles)
} else := object.union(_deciders, {
	# On call and with a ticket: at once, but for production data.
	"outcome": "approve",
	"max_duration": _shortest([tables.access.oncall.max_duration, _longest]),
}) if {
	_askable
	input.access.emergency == false
	_holds(tables.access.oncall.roles)
	input.access.ticket != null
	not _production
} else := object.union(_deciders, {
	# Production data: two people, whatever the hour.
	"outcome": "ask",
	"approvals": 2,
	"max_duration": _longest,
	"pending_for": _hours.pending_for,
}) if {
	_askable
	input.access.emergency == false
	_production
} else := object.union(_deciders, {
	# Everybody else: one.
	"outcome": "ask",
	"approvals": 1,
	"max_duration": _shortest([_hours.max_duration, _longest]),
	"pending_for": _hours.pending_for,
}) if {
	_askable
	input.access.emergency == false
}

# METADATA
# title: Who decides
# description: At night and at the weekend on-call engineers too, as no lead may be awake. They may also revoke.
_deciders := {"approvers": {"roles": _hours.approvers, "ids": []}}

# METADATA
# title: The rules of the hour
# description: Of the working day, or of the rest of the week.
_hours := tables.access.day if _working

# METADATA
# title: The rules of nights and weekends
# description: For less time, and decided soon or not at all.
_hours := tables.access.night if not _working

# METADATA
# title: Working hours
# description: On the clock of the zone in the table; the first minute is in, the last is not.
_working if {
	zone := tables.access.zone
	time.weekday([time.now_ns(), zone]) in tables.access.day.days
	[hour, minute, _] := time.clock([time.now_ns(), zone])
	now := (hour * 60) + minute
	now >= tables.access.day.from_minute
	now < tables.access.day.until_minute
}

# METADATA
# title: Something that may be asked for
# description: Each model and each role of it, by a role that the principal holds itself and was not lent.
_askable if {
	count(input.access.models) + count(input.access.roles) > 0
	every model in input.access.models { _holds(tables.models[model].requestable_by) }
	every role in input.access.roles { _holds(tables.access.roles[role].requestable_by) }
}

# METADATA
# title: Production data
# description: One such model makes the whole request one.
_production if {
	some model in input.access.models
	tables.models[model].production_data == true
}

# METADATA
# title: The longest time
# description: That of the model or role that is lent for the shortest.
_longest := _shortest([tables.models[model].max_duration | some model in input.access.models]) if {
	count(input.access.roles) == 0
} else := _shortest(array.concat(
	[tables.models[model].max_duration | some model in input.access.models],
	[tables.access.roles[role].max_duration | some role in input.access.roles],
))

# METADATA
# title: The shortest of some durations
# description: As it was written.
_shortest(durations) := min([[time.parse_duration_ns(duration), duration] | some duration in durations])[1]

# METADATA
# title: The principal holds one of these roles
# description: Its own; roles that are lent to it ask for nothing.
_holds(roles) if {
	some role in input.principal.roles
	role in roles
}
