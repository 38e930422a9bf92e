"""What clients are given: codes, access tokens, refresh tokens. No commits; only the SHA-256 is stored."""

from __future__ import annotations

import secrets
from datetime import timedelta

from flask import current_app
from sqlalchemy import delete, select, update

from models import AuthorizationCode, Client, Consent, RefreshToken, Token, User, db, now
from web import tokens

CODE_SECONDS = 120  # RFC 6749, 4.1.2 allows ten minutes
REFRESH_PREFIX = "pgr_"


def give_code(client: Client, user: User, code: str, scopes: list[str], address: str, challenge: str) -> None:
    """Note that the user lets the client in, and the code that it may change for tokens.

    Args:
        address: where the code is sent; the client must name it again.
        challenge: PKCE's, by S256.
    """
    db.session.add(
        AuthorizationCode(
            consent_id=begin_consent(client, user).id,
            code_hash=tokens.digest(code),
            redirect_uri=address,
            scopes=scopes,
            code_challenge=challenge,
            expires_at=now() + timedelta(seconds=CODE_SECONDS),
        )
    )


def begin_consent(client: Client, user: User) -> Consent:
    """Note that the user lets the client in."""
    consent = Consent(client=client, user=user)
    db.session.add(consent)
    db.session.flush()
    return consent


def find_code(text: str) -> AuthorizationCode | None:
    """Return the code of this text, be it used or past its time."""
    return db.session.scalar(select(AuthorizationCode).filter_by(code_hash=tokens.digest(text)))


def find_refresh_token(text: str) -> RefreshToken | None:
    """Return the refresh token of this text, be it used or past its time."""
    return db.session.scalar(select(RefreshToken).filter_by(token_hash=tokens.digest(text)))


def use_up(secret: AuthorizationCode | RefreshToken) -> bool:
    """Use a code or refresh token, which works once; False where somebody else was faster."""
    unused = update(type(secret)).filter_by(id=secret.id, used_at=None).values(used_at=now())
    return db.session.execute(unused).rowcount == 1


def give_access_token(
    text: str, user: User, client: Client, scopes: list[str], consent: Consent | None
) -> None:
    """Add an access token of this text; `consent` is None where a client acts for the user who made it."""
    lifetime = timedelta(seconds=access_seconds())
    facts = {"name": client.name, "scopes": scopes, "expires_at": now() + lifetime}
    token = Token(user=user, client=client, token_hash=tokens.digest(text), **facts)
    token.consent_id = consent.id if consent else None
    db.session.add(token)


def give_refresh_token(text: str, consent: Consent, scopes: list[str]) -> None:
    """Add a refresh token of this text."""
    expires_at = now() + timedelta(days=current_app.config["PIGEONHOLE"].refresh_token_days)
    facts = {"scopes": scopes, "expires_at": expires_at}
    db.session.add(RefreshToken(consent=consent, token_hash=tokens.digest(text), **facts))


def make_refresh_text() -> str:
    """Return the text of a new refresh token."""
    return REFRESH_PREFIX + secrets.token_urlsafe(32)


def access_seconds() -> int:
    """Return how long an access token lives."""
    return 60 * current_app.config["PIGEONHOLE"].access_token_minutes


def revoke(consent_id: int) -> None:
    """End a consent: its code, its refresh tokens and its access tokens are gone with it."""
    db.session.execute(delete(Consent).filter_by(id=consent_id))
