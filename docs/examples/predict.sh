#!/bin/sh
# Predict with curl: one image, many, bare bytes, base64, an older version.
#   sh predict.sh flowers photo.jpg another.jpg
set -eu
: "${PIGEONHOLE_URL:?where the server is, such as http://127.0.0.1:5000}" "${PIGEONHOLE_TOKEN:?a token with the scope predict}"
predict="$PIGEONHOLE_URL/api/v1/datasets/$1/predict"
sign="Authorization: Bearer $PIGEONHOLE_TOKEN"

# One image as a form.
curl -sS --fail-with-body -H "$sign" -F "image=@$2" "$predict"

# Several at once: {"predictions": […]} in the order sent.
curl -sS --fail-with-body -H "$sign" -F "image=@$2" -F "image=@$3" "$predict"

# The bare bytes.
curl -sS --fail-with-body -H "$sign" -H "Content-Type: image/jpeg" --data-binary "@$2" "$predict"

# Base64 in JSON, as programs send it that have no files.
printf '{"image": "%s"}' "$(base64 <"$2" | tr -d '\n')" |
  curl -sS --fail-with-body -H "$sign" -H "Content-Type: application/json" --data-binary @- "$predict"

# Version 1 whatever is live, and the likeliest label only.
curl -sS --fail-with-body -H "$sign" -F "image=@$2" "$predict?version=1&top=1"
