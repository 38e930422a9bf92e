"""Who somebody is: passwords, sessions, the count of failed logins, tokens in the Authorization header."""

from __future__ import annotations

import re
import secrets
import time
import unicodedata
from datetime import timedelta
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from flask import Flask, current_app, g, request, session
from flask_login import LoginManager, login_user
from sqlalchemy import delete, func, select

from models import FailedLogin, Token, User, db, now
from transactions import start_reading
from web import tokens
from web.access import is_api_request
from web.errors import api_error
from web.rates import network_of

# OWASP's Argon2id of 19 MiB, two passes, one lane.
hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
# What an unknown name's password is compared with, so that it takes as long as a known one's.
NOBODYS_HASH = hasher.hash(secrets.token_hex(16))
MIN_PASSWORD, MAX_PASSWORD = 10, 200
MAX_USER_NAME = 60
USER_NAME = r"[\w.@-]+\Z"  # of a user's name, in NFC and without spaces around it
NAME_HINT = "Letters, digits and . _ @ - without spaces."
LOGIN_WINDOW = timedelta(minutes=1)

login_manager = LoginManager()


class PasswordRefused(ValueError):
    """A password that is not taken; the message says why."""


class UserNameRefused(ValueError):
    """A name that no user can have; the message says why."""


class OwnAccount(ValueError):
    """What nobody may do to their own account; the message says whom to ask."""


class TooManyLogins(Exception):
    """Too many failed logins for this account or address; `retry_seconds` says when to come back."""

    def __init__(self, retry_seconds: int):
        super().__init__(f"Too many failed logins. Try again in {retry_seconds} seconds.")
        self.retry_seconds = retry_seconds


def register(app: Flask) -> None:
    """Let `app` know its users by their session."""
    login_manager.init_app(app)


def clean_user_name(text: str) -> str:
    """Return a new user's name in NFC, by the rules of the pages' forms.

    Raises:
        UserNameRefused: empty, over 60 characters, or with something else than letters, digits and . _ @ -
    """
    name = strip_name(text)
    if not re.match(USER_NAME, name) or len(name) > MAX_USER_NAME:
        raise UserNameRefused(f"Choose a name of 1 to {MAX_USER_NAME} characters. {NAME_HINT}")
    return name


def strip_name(text: str) -> str:
    """Return a typed name in NFC, without the spaces around it."""
    return unicodedata.normalize("NFC", text).strip()


def hash_password(password: str) -> str:
    """Return the Argon2id hash of a new password.

    Raises:
        PasswordRefused: shorter than 10 or longer than 200 characters.
    """
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise PasswordRefused(f"Choose a password of {MIN_PASSWORD} to {MAX_PASSWORD} characters.")
    return hasher.hash(password)


def is_password(user: User | None, password: str) -> bool:
    """Whether this is the password of the user; takes as long when there is no such user."""
    try:
        is_right = hasher.verify(user.password_hash if user else NOBODYS_HASH, password)
    except (VerificationError, InvalidHashError):
        return False
    return is_right and user is not None and user.is_enabled


def fold(name: str) -> str:
    """Return a name as users' names are compared: however typed, capitals and spaces at the ends aside."""
    return strip_name(name).lower()


def find_user(name: str) -> User | None:
    """Return the user of that name, compared by `fold`."""
    return db.session.scalar(select(User).where(func.lower(User.name) == fold(name)))


def begin_attempt(name: str, address: str) -> int:
    """Count one login as failed before it is tried, so that a hundred at once can't all slip through.

    Returns the attempt's id for `forget_attempt`. The caller commits.

    Raises:
        TooManyLogins: five failed within the last minute for this account, or from this address.
    """
    account, since = fold(name)[:100], now() - LOGIN_WINDOW
    recent = select(FailedLogin.created_at).where(FailedLogin.created_at > since)
    for column, value in ((FailedLogin.account, account), (FailedLogin.address, address[:64])):
        times = list(db.session.scalars(recent.where(column == value).order_by(FailedLogin.id)))
        if len(times) >= current_app.config["PIGEONHOLE"].login_rate:
            raise TooManyLogins(max(1, int((times[0] + LOGIN_WINDOW - now()).total_seconds()) + 1))
    db.session.execute(delete(FailedLogin).where(FailedLogin.created_at <= since))
    attempt = FailedLogin(account=account, address=address[:64])
    db.session.add(attempt)
    db.session.flush()
    return attempt.id


def forget_attempt(attempt_id: int) -> None:
    """Take back the count of a login that turned out right."""
    db.session.execute(delete(FailedLogin).filter_by(id=attempt_id))


def try_login(name: str, password: str) -> User | None:
    """Return the user whose password this is; counted as failed until it turns out right.

    It commits: the count must stand, and comparing takes long, so it is done without a lock.

    Raises:
        TooManyLogins: too many failed within the last minute.
    """
    attempt_id = begin_attempt(name, network_of(request.remote_addr or ""))
    db.session.commit()
    start_reading()
    user = find_user(name)
    is_right = is_password(user, password)
    db.session.rollback()
    if not is_right:
        return None
    forget_attempt(attempt_id)
    db.session.commit()
    return user


def start_session(user: User) -> None:
    """Sign the user in, in a session that is new: nothing of what was there before stays."""
    session.clear()
    login_user(user)
    session.permanent = True
    session["signed_in_at"] = int(time.time())


def set_password(user: User, password_hash: str) -> None:
    """Give the user a new password, by its hash, and end every session they have."""
    user.password_hash = password_hash
    user.session_key = secrets.token_hex(16)


def set_enabled(user: User, is_enabled: bool, administrator: User) -> None:
    """Let a user sign in, or sign them out and keep them out, tokens too.

    Raises:
        OwnAccount: nobody shuts themselves out.
    """
    if user.id == administrator.id and not is_enabled:
        raise OwnAccount("You can't disable yourself. Ask another administrator.")
    user.is_enabled = is_enabled


@login_manager.user_loader
def load_user(identifier: str) -> User | None:
    """Return the user of a session, unless it is too old or its key is no longer theirs."""
    number, _, key = identifier.partition(".")
    user = db.session.get(User, int(number)) if number.isdigit() else None
    if user is None or not user.is_enabled or not secrets.compare_digest(user.session_key, key):
        return None
    return None if _is_too_old() else user


def _is_too_old() -> bool:
    days = current_app.config["PIGEONHOLE"].session_max_days
    return time.time() - session.get("signed_in_at", 0) > days * 86_400


def load_token() -> None:
    """Find the token of the Authorization header. Runs before every request under /api/."""
    g.token = None
    kind, _, text = request.headers.get("Authorization", "").partition(" ")
    if is_api_request() and kind.lower() == "bearer":
        g.token = tokens.find_token(text.strip())


def note_token_use() -> None:
    """Write when a token was last used, at most once a minute."""
    token = g.get("token")
    if token is None or not tokens.is_use_worth_noting(token):
        return
    token_id = token.id
    db.session.rollback()  # a reading transaction may not turn into a writing one
    tokens.note_use(token_id)
    db.session.commit()
    start_reading()


def authenticate_token(scope: str) -> Token | Any:
    """Return the request's token if it may do `scope`, else the JSON error (401 or 403) to answer with."""
    token = g.get("token")
    if token is None or not tokens.is_living(token):
        answer = api_error(401, "unauthorized", _why_unauthorized())
        answer.headers["WWW-Authenticate"] = _challenge("invalid_token" if _has_sent_token() else "")
        return answer
    if not tokens.has_scope(token, scope):
        answer = api_error(403, "missing_scope", f"This token lacks the scope {scope!r}.")
        answer.headers["WWW-Authenticate"] = f'{_challenge("insufficient_scope")}, scope="{scope}"'
        return answer
    return token


def _challenge(error: str) -> str:
    """Return how to sign in to the API, and what was wrong with a token that was sent (RFC 6750, 3)."""
    return 'Bearer realm="pigeonhole"' + (f', error="{error}"' if error else "")


def _has_sent_token() -> bool:
    return request.headers.get("Authorization", "").lower().startswith("bearer ")


def _why_unauthorized() -> str:
    if "Authorization" not in request.headers:
        return "Send a personal token: Authorization: Bearer pgh_…"
    return "The token is unknown, expired or revoked. Make a new one on your account's page."


def count_users() -> int:
    """Return how many users there are."""
    return db.session.scalar(select(func.count(User.id)))
