#!/bin/sh
# Train with curl and wait until the version answers.
#   sh train.sh flowers
set -eu
: "${PIGEONHOLE_URL:?where the server is, such as http://127.0.0.1:5000}" "${PIGEONHOLE_TOKEN:?a token with the scopes read and train}"
sign="Authorization: Bearer $PIGEONHOLE_TOKEN"
field() { sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p" | head -n 1; }

run=$(curl -sS --fail-with-body -H "$sign" -H "Content-Type: application/json" -d '{"recipe": "quick"}' \
  "$PIGEONHOLE_URL/api/v1/datasets/$1/runs" | field url)
while state=$(curl -sS --fail-with-body -H "$sign" "$PIGEONHOLE_URL$run" | field state); do
  case $state in queued | running) sleep 1 ;; *) break ;; esac
done
echo "$run has $state"
[ "$state" = finished ]
