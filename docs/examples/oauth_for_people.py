"""OAuth2 for people: a program on somebody's computer asks them in their browser (code with PKCE, RFC 8252).

CLIENT_ID=… python oauth_for_people.py

The program is made on the page Programs, without a secret, with the address http://127.0.0.1/done.
"""

import base64
import hashlib
import os
import secrets
import sys
import webbrowser
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

import requests

URL, CLIENT_ID = os.environ["PIGEONHOLE_URL"], os.environ["CLIENT_ID"]


class Door(BaseHTTPRequestHandler):
    """Hears the one answer that the browser brings back."""

    def do_GET(self) -> None:
        """Keep what came, and say that the window may be closed."""
        self.server.heard = {key: values[0] for key, values in parse_qs(urlsplit(self.path).query).items()}
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.end_headers()
        self.wfile.write(b"Done. You may close this window.\n")

    def log_message(self, *words: object) -> None:
        """Be quiet."""


def ask_for_token(**form: str) -> dict:
    """Send a form to the token endpoint and return the tokens."""
    answer = requests.post(f"{URL}/oauth/token", data={"client_id": CLIENT_ID, **form}, timeout=60)
    if not answer.ok:
        sys.exit(f"No token: {answer.json()}")
    return answer.json()


door = HTTPServer(("127.0.0.1", 0), Door)  # any free port will do
redirect = f"http://127.0.0.1:{door.server_port}/done"
verifier, state = secrets.token_urlsafe(48), secrets.token_urlsafe(16)
challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
wish = {
    "response_type": "code",
    "client_id": CLIENT_ID,
    "redirect_uri": redirect,
    "scope": "read predict",
    "state": state,
    "code_challenge": challenge,
    "code_challenge_method": "S256",
}
address = f"{URL}/oauth/authorize?{urlencode(wish)}"
print(f"Open this if no browser opens:\n{address}", flush=True)
webbrowser.open(address)
door.handle_request()

if door.heard.get("state") != state:
    sys.exit("That answer was not meant for this program.")
if "code" not in door.heard:
    sys.exit(f"Not let in: {door.heard.get('error')}")
tokens = ask_for_token(
    grant_type="authorization_code", code=door.heard["code"], redirect_uri=redirect, code_verifier=verifier
)

# After an hour the refresh token gives the next pair; the old one is spent.
tokens = ask_for_token(grant_type="refresh_token", refresh_token=tokens["refresh_token"])

sign = {"Authorization": f"Bearer {tokens['access_token']}"}
for dataset in requests.get(f"{URL}/api/v1/datasets", headers=sign, timeout=60).json()["items"]:
    print(dataset["slug"], dataset["name"])
