#!/bin/sh
# OAuth2 for a program itself, with curl: id and secret become an access token for an hour.
#   CLIENT_ID=… CLIENT_SECRET=… sh oauth_client.sh
set -eu
: "${PIGEONHOLE_URL:?where the server is, such as http://127.0.0.1:5000}" "${CLIENT_ID:?of a program made on the page Programs}" "${CLIENT_SECRET:?its secret}"
field() { sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p" | head -n 1; }

token=$(curl -sS --fail-with-body -u "$CLIENT_ID:$CLIENT_SECRET" -d grant_type=client_credentials -d scope=read \
  "$PIGEONHOLE_URL/oauth/token" | field access_token)
curl -sS --fail-with-body -H "Authorization: Bearer $token" "$PIGEONHOLE_URL/api/v1/datasets"

# Give it back when you are done; it would stop by itself after an hour.
curl -sS --fail-with-body -u "$CLIENT_ID:$CLIENT_SECRET" -d "token=$token" "$PIGEONHOLE_URL/oauth/revoke"
