"""The programs that people may let in. No commits."""

from __future__ import annotations

import secrets

from sqlalchemy import select

from models import Client, db
from web import tokens
from web.oauth import redirects

SECRET_PREFIX = "pgs_"


def find(public_id: str) -> Client | None:
    """Return the client of this id, unless whoever made it is disabled."""
    if not public_id.isascii() or not public_id.isalnum():
        return None
    client = db.session.scalar(select(Client).filter_by(public_id=public_id))
    return client if client and client.user.is_enabled else None


def is_secret(client: Client, secret: str) -> bool:
    """Whether this is the client's secret; a public client has none, and the empty one is right."""
    if client.secret_hash is None:
        return not secret
    return secrets.compare_digest(client.secret_hash, tokens.digest(secret))


def may_redirect(client: Client, address: str) -> bool:
    """Whether the client's answers may go to this address."""
    return redirects.is_match(address, client.redirect_uris, client.secret_hash is None)
