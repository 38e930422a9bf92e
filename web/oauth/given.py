"""What clients hold: found, judged, described, taken back. No commits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select

from models import SCOPES, Client, Consent, RefreshToken, Token, User, db, now
from web import tokens
from web.oauth import issuing, scopes


@dataclass(frozen=True)
class LetIn:
    """A client that a user has let in, what it may do for them, and since when."""

    client: Client
    scopes: list[str]
    since: datetime


def find_token(text: str) -> Token | RefreshToken | None:
    """Return the access, personal or refresh token of this text, be it living or not."""
    access = db.session.scalar(select(Token).filter_by(token_hash=tokens.digest(text)))
    return access or issuing.find_refresh_token(text)


def client_of(token: Token | RefreshToken) -> Client | None:
    """Return whose token it is; None for a personal one."""
    return token.consent.client if isinstance(token, RefreshToken) else token.client


def is_living(token: Token | RefreshToken) -> bool:
    """Whether a client's token can still be used."""
    is_spent = token.used_at if isinstance(token, RefreshToken) else token.revoked_at
    people = (_user_of(token), client_of(token).user)
    return not is_spent and token.expires_at > now() and all(person.is_enabled for person in people)


def describe(token: Token | RefreshToken) -> dict[str, Any]:
    """Return what is known of a client's living token, in the words of RFC 7662, 2.2."""
    user = _user_of(token)
    kind = {"token_type": "Bearer"} if isinstance(token, Token) else {}
    return {
        "active": True,
        "client_id": client_of(token).public_id,
        "username": user.name,
        "sub": str(user.id),
        "scope": " ".join(scope for scope in token.scopes if scope in scopes.may_give(user)),
        "iat": int(token.created_at.timestamp()),
        "exp": int(token.expires_at.timestamp()),
        **kind,
    }


def _user_of(token: Token | RefreshToken) -> User:
    return token.consent.user if isinstance(token, RefreshToken) else token.user


def list_let_in(user: User) -> list[LetIn]:
    """Return the clients that can act for the user because they let them in, by name."""
    access = select(Token).where(Token.user_id == user.id, Token.consent_id.is_not(None))
    refresh = select(RefreshToken).join(Consent).where(Consent.user_id == user.id)
    kept = [
        *db.session.scalars(access.where(Token.revoked_at.is_(None), Token.expires_at > now())),
        *db.session.scalars(refresh.where(RefreshToken.used_at.is_(None), RefreshToken.expires_at > now())),
    ]
    by_client: dict[Client, list[Token | RefreshToken]] = {}
    for token in kept:
        by_client.setdefault(client_of(token), []).append(token)
    return sorted((_as_let_in(*pair) for pair in by_client.items()), key=lambda one: one.client.name)


def _as_let_in(client: Client, kept: list[Token | RefreshToken]) -> LetIn:
    known = {scope for token in kept for scope in token.scopes}
    since = min(db.session.get(Consent, token.consent_id).created_at for token in kept)
    return LetIn(client, [scope for scope in SCOPES if scope in known], since)


def withdraw(user: User, client_id: int) -> None:
    """End all that a user ever let a client do."""
    db.session.execute(delete(Consent).filter_by(user_id=user.id, client_id=client_id))


def end_access(client: Client) -> None:
    """End every access token of a client."""
    db.session.execute(delete(Token).filter_by(client_id=client.id))
