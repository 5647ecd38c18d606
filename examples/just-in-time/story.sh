#!/bin/sh
# The story of the README, told by machine: a model and a gateway are running.
#   SALLYPORT_URL  where the gateway is (http://127.0.0.1:8080)
set -eu
url=${SALLYPORT_URL:-http://127.0.0.1:8080}
config=examples/just-in-time/gateway.config.json

sallyport() { node dist/cli.js "$@"; }
json() { node -e 'let t = ""; process.stdin.on("data", d => (t += d)).on("end", () => console.log(eval("JSON.parse(t)." + process.argv[1])))' "$1"; }
key() { sallyport keys create --config "$config" --format json "$@" | json secret; }

dev=$(key --principal dev --roles developer)
lou=$(key --principal lou --roles lead)
ona=$(key --principal ona --roles oncall,developer)

chat() {
	curl -s -o /dev/null -w '%{http_code}' "$url/v1/chat/completions" \
		-H "authorization: Bearer $1" -H 'content-type: application/json' \
		-d '{"model": "tiny-large", "max_tokens": 8, "messages": [{"role": "user", "content": "hello"}]}'
}
# Prints what was done and the status of the answer; fails when it is not what was expected. A gateway
# takes a new key as soon as it sees its file change.
expect() {
	wanted=$1 said=$2 credential=$3 tries=0
	status=$(chat "$credential")
	while [ "$status" = 401 ] && [ "$wanted" != 401 ] && [ "$tries" -lt 50 ]; do
		tries=$((tries + 1))
		sleep 0.1
		status=$(chat "$credential")
	done
	echo "$status  $said"
	[ "$status" = "$wanted" ] || { echo "expected $wanted" >&2; exit 1; }
}
access() { SALLYPORT_KEY=$1; export SALLYPORT_KEY; shift; sallyport access "$@" --url "$url" --format json; }

expect 403 'dev, a developer, has no standing access to tiny-large' "$dev"
request=$(access "$dev" request --models tiny-large --duration 30m --reason 'a customer waits' | json id)
expect 403 'nor while nobody has answered' "$dev"
grant=$(access "$lou" approve "$request" --comment 'go' | json grant.id)
expect 200 'lou, a lead, says yes' "$dev"
access "$lou" revoke "$grant" >/dev/null
expect 403 'lou takes it back' "$dev"

lent=$(access "$ona" request --models tiny-large --duration 2h --reason 'the queue is stuck' --ticket OPS-7 --token)
token=$(echo "$lent" | json token)
expect 200 'ona, on call and with a ticket, needs nobody; a job runs with a credential of its own' "$token"
access "$ona" return "$(echo "$lent" | json grant.id)" >/dev/null
expect 401 'ona gives it back, and the credential is worth nothing' "$token"
access "$ona" request --models tiny-large --duration 10m --reason 'all is on fire' --emergency >/dev/null
expect 200 'or breaks the glass: at once, short, marked in every record' "$ona"

sallyport access report --config "$config"
