#!/bin/sh
# Make a dataset with curl and bring images in: some by hand, a whole zip in the background.
#   sh upload.sh "Flowers" daisy.jpg daisy photos.zip
set -eu
: "${PIGEONHOLE_URL:?where the server is, such as http://127.0.0.1:5000}" "${PIGEONHOLE_TOKEN:?a token with the scopes read and write}"
api="$PIGEONHOLE_URL/api/v1"
sign="Authorization: Bearer $PIGEONHOLE_TOKEN"
field() { sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p" | head -n 1; }

# Make it. With the same Idempotency-Key it is made once, however often this is sent.
made=$(curl -sS --fail-with-body -H "$sign" -H "Content-Type: application/json" -H "Idempotency-Key: $(date +%s)-$$" \
  -d "{\"name\": \"$1\"}" "$api/datasets")
slug=$(printf '%s' "$made" | field slug)

# One image with its label; `image` and `label` may be repeated.
curl -sS --fail-with-body -H "$sign" -F "image=@$2" -F "label=$3" "$api/datasets/$slug/items"

# A zip whose folders are the labels: it is taken in the background, so ask until it is in.
import=$(curl -sS --fail-with-body -H "$sign" -F "archive=@$4" "$api/datasets/$slug/imports" | field url)
while state=$(curl -sS --fail-with-body -H "$sign" "$PIGEONHOLE_URL$import" | field state); do
  case $state in queued | running) sleep 1 ;; *) break ;; esac
done
echo "$slug: the import has $state"
[ "$state" = finished ]
