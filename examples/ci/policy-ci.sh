#!/usr/bin/env bash
# What a change to the policies must pass, the same on a laptop as in CI.
#
#   SALLYPORT     the command                                (npx sallyport)
#   CONFIG        the gateway's config                       (gateway.config.json)
#   COVERAGE      lines that the tests must reach, per cent  (90)
#   SIGNING_KEY   a private key in PEM; without it the bundle is not signed
#   RECORDED      audit logs of recorded traffic, separated by spaces; without it nothing is replayed
#   MAX_FLIPS     recorded decisions that may come out otherwise (0)
#   BUNDLE        where the bundle goes                      (bundle.tar.gz)
set -euo pipefail
SALLYPORT=${SALLYPORT:-npx sallyport}
CONFIG=${CONFIG:-gateway.config.json}
BUNDLE=${BUNDLE:-bundle.tar.gz}

step() { printf '\n== %s\n' "$1"; }

step 'check: the config, types, strict mode, builtins'
$SALLYPORT check --config "$CONFIG" --format "${FORMAT:-pretty}"

step "test: unit tests and scenarios, coverage of at least ${COVERAGE:-90} %"
$SALLYPORT test --config "$CONFIG" --threshold "${COVERAGE:-90}" --format "${FORMAT:-pretty}"

step 'build: one bundle, signed if there is a key'
if [ -n "${SIGNING_KEY:-}" ]; then
	$SALLYPORT build --config "$CONFIG" -o "$BUNDLE" --signing-key "$SIGNING_KEY"
else
	$SALLYPORT build --config "$CONFIG" -o "$BUNDLE"
fi

if [ -n "${RECORDED:-}" ]; then
	step "replay: recorded traffic, at most ${MAX_FLIPS:-0} flips"
	# shellcheck disable=SC2086 # several files
	$SALLYPORT replay $RECORDED --config "$CONFIG" --policy "$BUNDLE" --max-flips "${MAX_FLIPS:-0}"
fi
