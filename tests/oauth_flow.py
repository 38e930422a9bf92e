"""What tests of OAuth2 share: a client, the browser's way through the consent page, the client's requests."""

from __future__ import annotations

import base64
import hashlib
from urllib.parse import parse_qs, urlencode, urlsplit

from models import Client, db
from web import tokens

CALLBACK = "https://shop.example/done"
VERIFIER = "a-verifier-of-at-least-forty-three-characters-1"
SECRET = "pgs_secret"


def challenge_of(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def make_client(user, secret: str | None = SECRET, **more) -> Client:
    """A client of the user's that may do everything but administrate."""
    facts = {
        "name": "Shop",
        "public_id": "shop1",
        "redirect_uris": [CALLBACK],
        "grants": ["authorization_code", "refresh_token"],
        "scopes": ["read", "predict"],
    }
    client = Client(user=user, secret_hash=secret and tokens.digest(secret), **(facts | more))
    db.session.add(client)
    db.session.commit()
    return client


def address(**changes) -> str:
    """The path to which a program sends the browser."""
    asked = {
        "response_type": "code",
        "client_id": "shop1",
        "redirect_uri": CALLBACK,
        "scope": "read",
        "state": "a b/ü=%",
        "code_challenge": challenge_of(VERIFIER),
        "code_challenge_method": "S256",
    } | changes
    return "/oauth/authorize?" + urlencode({k: v for k, v in asked.items() if v is not None})


def let_in(client, **changes) -> dict[str, str]:
    """What the program hears when the user lets it in."""
    answer = client.post(address(**changes), data={"decision": "allow"})
    assert answer.status_code == 303, answer.text
    return heard(answer)


def heard(answer) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.location).query).items()}


def ask(client, secret: str | None = SECRET, **form):
    """The answer to a token request."""
    sent = {"client_id": "shop1"} | ({"client_secret": secret} if secret else {}) | form
    return client.post("/oauth/token", data={k: v for k, v in sent.items() if v is not None})


def change(client, code: str, **more):
    """The answer when the program changes its code."""
    sent = {"grant_type": "authorization_code", "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
    return ask(client, code=code, **(sent | more))


def call(client, token: str, path: str = "/api/v1/datasets/flowers/runs"):
    return client.get(path, headers={"Authorization": f"Bearer {token}"})


def tokens_of(client, **changes) -> dict[str, str]:
    """The tokens of a program that was let in."""
    return change(client, let_in(client, **changes)["code"]).json


def refresh(client, token: str, **more):
    """The answer when the program comes back for new tokens."""
    return ask(client, grant_type="refresh_token", refresh_token=token, **more)


def is_alive(client, token: dict[str, str]) -> bool:
    """Whether the API takes an access token."""
    return call(client, token["access_token"]).status_code != 401
