"""What a client may do for a user: never more than either of them may."""

from __future__ import annotations

from collections.abc import Iterable

from authlib.oauth2.rfc6749.errors import InvalidScopeError

from models import SCOPES, Client, User


def choose(client: Client, user: User, asked: str | None) -> list[str]:
    """Return the scopes that a client gets from a user when it asks for these, with spaces between.

    One that asks for none gets all that it may have but "admin", which must be asked for by name.

    Raises:
        InvalidScopeError: an unknown scope, one that the client may not have, or nothing is left.
    """
    wanted = (asked or "").split() or [scope for scope in client.scopes if scope != "admin"]
    if not set(wanted) <= set(client.scopes):
        raise InvalidScopeError(f"This client may ask for: {' '.join(client.scopes)}.")
    return narrow(client, user, wanted)


def narrow(client: Client, user: User, given: Iterable[str]) -> list[str]:
    """Return what is left of scopes given once: what the client still may have and the user still may give.

    Raises:
        InvalidScopeError: nothing is left.
    """
    kept = set(given) & set(client.scopes) & set(may_give(user))
    if not kept:
        raise InvalidScopeError("None of these scopes is this user's to give.")
    return [scope for scope in SCOPES if scope in kept]


def may_give(user: User) -> list[str]:
    """Return the scopes that a user may let a client have; "admin" only an administrator."""
    return [scope for scope in SCOPES if scope != "admin" or user.is_admin]
