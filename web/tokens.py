"""Tokens of the API: `pgh_`, 30 random characters and 6 of their CRC32. Only the SHA-256 is stored."""

from __future__ import annotations

import hashlib
import secrets
import string
import zlib
from datetime import datetime, timedelta

from sqlalchemy import bindparam, inspect, select, update
from sqlalchemy.orm import joinedload
from sqlalchemy.orm.exc import ObjectDeletedError

from models import SCOPES, Client, Token, User, db, now

PREFIX = "pgh_"
ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
RANDOM_LENGTH = 30  # 178 bits
CHECK_LENGTH = 6
# Built once: every call of the API asks it, and again once its body has arrived.
_WITH_PEOPLE = select(Token).options(joinedload(Token.user), joinedload(Token.client).joinedload(Client.user))
_BY_HASH = _WITH_PEOPLE.where(Token.token_hash == bindparam("token_hash"))
_BY_ID = _WITH_PEOPLE.where(Token.id == bindparam("id"))
SCOPE_WORDS = {  # what a token of each scope may do
    "read": "See datasets, images, runs and versions",
    "write": "Make, change and delete datasets, images and members",
    "train": "Start and end runs, choose and delete versions",
    "predict": "Ask for predictions and say whether they were right",
    "admin": "Manage users and tokens",
}
USE_INTERVAL = timedelta(minutes=1)  # "last used" is written at most this often


def make_token(
    user: User, name: str, scopes: list[str], expires_at: datetime | None = None
) -> tuple[Token, str]:
    """Add a personal token to the session and return it with its text, which nobody can show again.

    Args:
        scopes: some of SCOPES; "admin" only for an administrator.
        expires_at: None for a token that lasts until it is revoked.

    Raises:
        ValueError: no scope, an unknown one, or one the user may not give.
    """
    allowed = [scope for scope in SCOPES if scope != "admin" or user.is_admin]
    if not scopes or not set(scopes) <= set(allowed):
        raise ValueError(f"Choose at least one scope of: {', '.join(allowed)}.")
    text = generate()
    token = Token(user=user, name=name, token_hash=digest(text), scopes=list(scopes), expires_at=expires_at)
    db.session.add(token)
    return token, text


def find_token(text: str) -> Token | None:
    """Return the token of this text, unless it is unknown, revoked, expired, or its user is disabled.

    A client's access token stops too when whoever made the client is disabled.
    """
    if not is_well_formed(text):
        return None
    token = db.session.scalar(_BY_HASH, {"token_hash": digest(text)})
    return token if token is not None and is_living(token) else None


def is_living(token: Token) -> bool:
    """Whether a token that was found is still worth something: its row may have changed, or gone, since.

    A request whose body arrives slowly, or that works long, may outlive the token it was sent with.
    """
    state = inspect(token)
    if state.expired:  # one question for the token and its people, where the mapper would ask for each
        db.session.scalar(_BY_ID, {"id": state.identity[0]})
    try:
        if token.revoked_at or not token.user.is_enabled:
            return False
        if token.client and not token.client.user.is_enabled:
            return False
        return token.expires_at is None or token.expires_at > now()
    except ObjectDeletedError:
        return False


def has_scope(token: Token, scope: str) -> bool:
    """Whether the token may do this now: "admin" counts only while its user is an administrator."""
    return scope in token.scopes and (scope != "admin" or token.user.is_admin)


def is_well_formed(text: str) -> bool:
    """Whether the text could be a token at all: its checksum tells a typing error from a revoked token."""
    body, check = text.removeprefix(PREFIX)[:-CHECK_LENGTH], text[-CHECK_LENGTH:]
    is_whole = (
        text.startswith(PREFIX) and len(body) == RANDOM_LENGTH and text.isascii() and text[4:].isalnum()
    )
    return is_whole and secrets.compare_digest(check, _checksum(body))


def list_tokens(user: User) -> list[Token]:
    """Return the user's personal tokens that are not revoked, newest first."""
    mine = select(Token).filter_by(user_id=user.id, revoked_at=None, client_id=None)
    return list(db.session.scalars(mine.order_by(Token.id.desc())))


def is_use_worth_noting(token: Token) -> bool:
    """Whether the token's last use was written longer ago than a minute."""
    return token.last_used_at is None or now() - token.last_used_at > USE_INTERVAL


def note_use(token_id: int) -> None:
    """Write that the token was used now."""
    db.session.execute(update(Token).filter_by(id=token_id).values(last_used_at=now()))


def generate() -> str:
    """Return the text of a new token."""
    body = "".join(secrets.choice(ALPHABET) for _ in range(RANDOM_LENGTH))
    return PREFIX + body + _checksum(body)


def _checksum(body: str) -> str:
    """Return the CRC32 of the text as six characters of base 62."""
    rest, digits = zlib.crc32(body.encode()), []
    for _ in range(CHECK_LENGTH):
        rest, digit = divmod(rest, len(ALPHABET))
        digits.append(ALPHABET[digit])
    return "".join(reversed(digits))


def digest(text: str) -> str:
    """Return the SHA-256 by which a secret is stored, as 64 hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()
