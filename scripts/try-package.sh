#!/usr/bin/env bash
# Packs the package, installs it in an empty folder without dev dependencies, and runs it there.
set -euo pipefail
here="$PWD"
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT

npm pack --silent --pack-destination "$folder" >/dev/null
cd "$folder"
npm init --yes >/dev/null
npm install --no-audit --no-fund --silent ./sallyport-*.tgz
npx sallyport --help >/dev/null
npx sallyport init site >/dev/null
cd site
npx sallyport check
npx sallyport test
npx sallyport keys create --principal me --roles developer >/dev/null
echo "the package works in an empty folder (packed from $(basename "$here"))"
