"""The programs that people may let in: made, changed, given a new secret, deleted. No commits."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace

from sqlalchemy import func, select

from datasets import names
from models import Client, User, db
from web import tokens
from web.oauth import given, metadata, redirects, scopes

SECRET_PREFIX = "pgs_"
MOST = 50  # of one user
MOST_ADDRESSES = 10
NEED_SECRET = ("client_credentials", "password")


class ClientRefused(ValueError):
    """A client that cannot be as it was asked for; `field` names what is wrong, the message says why."""

    def __init__(self, field: str, message: str):
        super().__init__(message)
        self.field = field


@dataclass(frozen=True)
class Choices:
    """What may be chosen of a client, and changed later."""

    name: str
    grants: list[str]
    scopes: list[str]
    redirect_uris: list[str]


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


def list_of(user: User) -> list[Client]:
    """Return the clients that the user may manage, newest first: their own, an administrator all."""
    found = select(Client) if user.is_admin else select(Client).filter_by(user_id=user.id)
    return list(db.session.scalars(found.order_by(Client.id.desc())))


def create(user: User, choices: Choices, is_public: bool) -> tuple[Client, str]:
    """Add a client of the user's; return it with its secret ("" of a public one), which is never seen again.

    Raises:
        ClientRefused: something chosen does not go, or the user has 50.
    """
    if db.session.scalar(select(func.count(Client.id)).filter_by(user_id=user.id)) >= MOST:
        raise ClientRefused("name", f"You have {MOST} programs, which is the most. Delete one first.")
    chosen = _check(user, choices, is_public)
    client = Client(user=user, public_id=secrets.token_hex(10), **vars(chosen))
    db.session.add(client)
    return client, "" if is_public else renew_secret(client)


def change(client: Client, choices: Choices) -> None:
    """Change a client; one that may do less loses its access tokens, and fetches others that may do less.

    Raises:
        ClientRefused: something chosen does not go.
    """
    chosen = _check(client.user, choices, client.secret_hash is None, client.grants)
    if set(client.scopes) - set(chosen.scopes):
        given.end_access(client)
    for name, value in vars(chosen).items():
        setattr(client, name, value)


def renew_secret(client: Client) -> str:
    """Give the client a new secret and return it; the old one and its access tokens are worth nothing now."""
    secret = SECRET_PREFIX + secrets.token_urlsafe(32)
    client.secret_hash = tokens.digest(secret)
    if client.id:
        given.end_access(client)
    return secret


def _check(user: User, choices: Choices, is_public: bool, kept: list[str] | None = None) -> Choices:
    """Return the choices cleaned; `kept` are grants that the client has and may keep."""
    try:
        name = names.clean_name(choices.name)
    except names.NameRefused as error:
        raise ClientRefused("name", str(error)) from error
    _check_grants(choices.grants, {*metadata.offered_grants(), *(kept or [])}, is_public)
    if not choices.scopes or not set(choices.scopes) <= set(scopes.may_give(user)):
        raise ClientRefused("scopes", "Choose at least one of these.")
    return replace(choices, name=name, redirect_uris=_check_addresses(choices, is_public))


def _check_grants(grants: list[str], offered: set[str], is_public: bool) -> None:
    ways_in = set(grants) - {"refresh_token"}
    if not ways_in or not set(grants) <= offered:
        raise ClientRefused("grants", "Choose at least one way in.")
    if is_public and ways_in & set(NEED_SECRET):
        raise ClientRefused("grants", "Without a secret, a program can only be let in by people.")
    if ways_in == {"client_credentials"} and "refresh_token" in grants:
        raise ClientRefused("grants", "A program that acts by itself needs no refresh tokens.")


def _check_addresses(choices: Choices, is_public: bool) -> list[str]:
    addresses = list(dict.fromkeys(choices.redirect_uris))
    if "authorization_code" in choices.grants and not addresses:
        raise ClientRefused("redirect_uris", "Say where people are sent back to.")
    if len(addresses) > MOST_ADDRESSES:
        raise ClientRefused("redirect_uris", f"{MOST_ADDRESSES} addresses are the most.")
    try:
        return [redirects.check(address, is_public) for address in addresses]
    except redirects.RedirectRefused as error:
        raise ClientRefused("redirect_uris", str(error)) from error
