# METADATA
# title: For tests
# description: Inputs as the gateway makes them. Used by the tests only, and in no bundle.
package gateway.testing

# METADATA
# title: The people of the demo
# description: As they are in the gateway's own configuration.
people := {
	"ana": {"id": "ana", "roles": ["admin"], "team": "platform"},
	"dev": {"id": "dev", "roles": ["developer"], "team": "search"},
	"ci-bot": {"id": "ci-bot", "kind": "service", "roles": ["ci"], "team": "build"},
	"lea": {"id": "lea", "roles": ["analyst"], "team": "finance"},
	"ona": {"id": "ona", "roles": ["oncall", "developer"], "team": "platform"},
	"guest": {
		"id": "guest", "kind": "anonymous", "roles": ["guest"], "authenticated": false,
		"method": "anonymous", "key_id": null,
	},
}

# METADATA
# title: A chat with a model
# description: By one of the people, at no particular time.
chat(name, model) := asking(name, {"model": model, "body": {"model": model, "messages": []}})

# METADATA
# title: The list of models
# description: Asked for by one of the people.
listing(name) := asking(name, {
	"method": "GET",
	"path": "/v1/models",
	"segments": ["v1", "models"],
	"operation": "models",
	"model": null,
	"body": null,
	"body_bytes": 0,
})

# METADATA
# title: Something that has no name here
# description: Asked for by one of the people.
something(name) := asking(name, {
	"path": "/slots", "segments": ["slots"], "operation": "other",
	"model": null, "body": null,
})

# METADATA
# title: Any request
# description: A chat, and what is different about this one.
asking(name, different) := {
	"request": object.union(_request, different),
	"principal": object.union(_principal, people[name]),
	"grants": [],
	"pools": {
		"chat": {"models": ["tiny"], "healthy": 2, "targets": 2, "in_flight": 0, "queued": 0},
		"large": {"models": ["tiny-large"], "healthy": 1, "targets": 1, "in_flight": 0, "queued": 0},
	},
	"policy": {"revision": "test", "age_seconds": 1},
	"time": {"now_ns": 0},
}

# METADATA
# title: A question for access
# description: To the large model for an hour, and what is different about this one.
wanting(name, different) := {
	"principal": object.union(_principal, people[name]),
	"access": object.union(
		{
			"models": ["tiny-large"], "roles": [], "duration_seconds": 3600,
			"reason": "incident 4512", "ticket": null, "emergency": false,
		},
		different,
	),
	"approver": null,
	"approvals": [],
	"grants": [],
	"policy": {"revision": "test", "age_seconds": 1},
	"time": {"now_ns": 0},
}

# METADATA
# title: With a grant
# description: The same input, and what has been approved.
granted(asked, grants) := object.union(asked, {"grants": grants})

# METADATA
# title: With something else in it
# description: The same input with one part of the principal changed.
being(asked, different) := object.union(asked, {"principal": different})

# METADATA
# title: A grant
# description: For some models and some roles.
grant(id, models, roles) := {
	"id": id,
	"models": models,
	"roles": roles,
	"expires_at": "2026-03-02T14:00:00Z",
	"approved_by": "ana",
	"reason": "incident 4512",
}

# METADATA
# title: With the credential of a grant
# description: Whoever shows it holds none of the principal's own roles.
by_credential(asked) := being(asked, {"roles": [], "method": "access_grant", "key_id": null})

_request := {
	"id": "01TEST",
	"method": "POST",
	"path": "/v1/chat/completions",
	"segments": ["v1", "chat", "completions"],
	"query": {},
	"headers": {"user-agent": "test"},
	"client_ip": "127.0.0.1",
	"tls": false,
	"operation": "chat",
	"model": "tiny",
	"stream": false,
	"body": {"model": "tiny", "messages": []},
	"body_bytes": 80,
	"estimated_input_tokens": 20,
	"max_output_tokens": 64,
}

_principal := {
	"id": "",
	"kind": "user",
	"roles": [],
	"team": null,
	"authenticated": true,
	"method": "api_key",
	"key_id": "k_1",
	"claims": {},
	"expires_at": null,
}
