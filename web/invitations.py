"""Links that work once: the set-up of the first administrator, a new password for anybody else."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta

from flask import current_app
from sqlalchemy import Select, delete, func, select, update

from models import Invitation, User, db, now
from web.auth import count_users, find_user, fold, set_password


class InvitationSpent(ValueError):
    """The link was used, is past its time, or never was; the message says what to do."""

    def __init__(self) -> None:
        super().__init__("This link was used or is past its time. Ask an administrator for a new one.")


def make_setup_link() -> str | None:
    """Return the path of a new set-up link ("/setup/…") while nobody has an account, else None.

    Older set-up links stop working. The caller commits, and puts the server's address before it.
    """
    if count_users():
        return None
    db.session.execute(delete(Invitation).filter_by(user_name=None, used_at=None))
    return f"/setup/{_make(None, is_admin=True)}"


def invite(name: str, is_admin: bool = False) -> str:
    """Return the path of a link by which `name` sets a password: a new user's first, or a known one's next.

    Older links for the same name, whatever its capitals, stop working. The caller commits.
    """
    same = func.lower(Invitation.user_name) == fold(name)
    db.session.execute(delete(Invitation).where(same, Invitation.used_at.is_(None)))
    return f"/invitations/{_make(name, is_admin)}"


def find(token: str, is_setup: bool = False) -> Invitation:
    """Return the invitation that this token opens.

    Raises:
        InvitationSpent: unknown, used or past its time; or a set-up link though somebody has an account.
    """
    invitation = db.session.scalar(select(Invitation).filter_by(token_hash=_digest(token), used_at=None))
    if invitation is None or invitation.expires_at <= now():
        raise InvitationSpent
    if (invitation.user_name is None) != is_setup or (is_setup and count_users()):
        raise InvitationSpent
    return invitation


def accept(invitation: Invitation, name: str, password_hash: str) -> User:
    """Use the invitation up and return its user with this password, made if there is none of that name.

    The password comes as its hash (`auth.hash_password`): hashing takes long, and this holds the database.

    Raises:
        InvitationSpent: somebody else was faster.
    """
    unused = update(Invitation).filter_by(id=invitation.id, used_at=None).values(used_at=now())
    if db.session.execute(unused).rowcount != 1:
        raise InvitationSpent
    user = find_user(name)
    if user:
        set_password(user, password_hash)
        return user
    user = User(name=name, password_hash=password_hash, is_admin=invitation.is_admin)
    db.session.add(user)
    return user


def open_ones() -> Select[tuple[Invitation]]:
    """Select the invitations that can still be used, in no order."""
    waiting = select(Invitation).where(Invitation.used_at.is_(None), Invitation.user_name.is_not(None))
    return waiting.where(Invitation.expires_at > now())


def list_open() -> list[Invitation]:
    """Return the invitations that can still be used, newest first."""
    return list(db.session.scalars(open_ones().order_by(Invitation.id.desc())))


def _make(name: str | None, is_admin: bool) -> str:
    token = secrets.token_urlsafe(32)
    hours = current_app.config["PIGEONHOLE"].setup_link_hours
    expires_at = now() + timedelta(hours=hours)
    invitation = Invitation(
        token_hash=_digest(token), user_name=name, is_admin=is_admin, expires_at=expires_at
    )
    db.session.add(invitation)
    return token


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
