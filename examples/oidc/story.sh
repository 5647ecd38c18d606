#!/bin/sh
# The story of the README, told by machine: a provider, a model and a gateway are running.
#   SALLYPORT_URL  where the gateway is (http://127.0.0.1:8080)
#   OIDC_ISSUER    where the provider is (http://127.0.0.1:9100)
#   PROVIDER_PID   the process of the provider, so that it can be given a new key
set -eu
url=${SALLYPORT_URL:-http://127.0.0.1:8080}
issuer=${OIDC_ISSUER:-http://127.0.0.1:9100}

token() { npx tsx examples/oidc/main.ts token --issuer "$issuer" "$@"; }

# Prints what was asked for and the status of the answer; fails when it is not what was expected.
expect() {
	wanted=$1 said=$2 credential=$3
	status=$(curl -s -o /dev/null -w '%{http_code}' "$url/v1/chat/completions" \
		-H "authorization: Bearer $credential" -H 'content-type: application/json' \
		-d '{"model": "tiny", "max_tokens": 8, "messages": [{"role": "user", "content": "hello"}]}')
	echo "$status  $said"
	[ "$status" = "$wanted" ] || { echo "expected $wanted" >&2; exit 1; }
}

service=$(token)
expect 200 'ci-bot, a developer, with a JWT' "$service"
expect 200 'ci-bot, with a token that only the provider understands' "$(token --opaque)"
expect 403 'bob, whom the provider knows and no policy lets in' "$(token bob)"
expect 401 'nobody, with a token whose signature was changed' "${service%????}AAAA"
expect 401 'nobody, with a token that the provider never gave' 'made-up'

if [ -n "${PROVIDER_PID:-}" ]; then
	kill -HUP "$PROVIDER_PID"
	expect 200 'ci-bot, with a JWT by a key that is new' "$(token)"
	expect 200 'ci-bot, with the JWT by the key before' "$service"
fi

curl -s "$url/-/whoami" -H "authorization: Bearer $service"
echo
