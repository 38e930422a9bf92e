"""Users over the API, for administrators: listed, invited, let in and kept out."""

from __future__ import annotations

from flask import Response, abort, request
from marshmallow import Schema, fields, validate
from sqlalchemy import select

from models import Invitation, User, db
from web import auth, invitations
from web.access import require_admin
from web.api.frame import Noun, answer_nothing, needs
from web.api.shapes import PageArguments, Truth, as_time, list_page, page_of
from web.errors import Refused

blueprint = Noun("users", "Who may sign in (for administrators)")


class UserBody(Schema):
    """A person who may sign in."""

    id = fields.Int(required=True)
    name = fields.Str(required=True)
    is_admin = fields.Bool(required=True)
    is_enabled = fields.Bool(required=True, metadata={"description": "False: kept out, tokens too."})
    created_at = fields.Str(required=True)


class InvitationBody(Schema):
    """Somebody who may choose a password."""

    id = fields.Int(required=True)
    name = fields.Str(required=True)
    is_admin = fields.Bool(required=True)
    expires_at = fields.Str(required=True)


class LinkBody(InvitationBody):
    """A new invitation."""

    link = fields.Str(required=True, metadata={"description": "To be sent to them; told this once."})


class InvitationArguments(Schema):
    """Somebody to invite."""

    name = fields.Str(
        required=True,
        validate=validate.Length(1, auth.MAX_USER_NAME),
        metadata={"description": auth.NAME_HINT},
    )
    is_admin = Truth(load_default=False)


class UserArguments(Schema):
    """What may be changed of a user."""

    is_enabled = Truth(required=True)


@blueprint.get("/users")
@needs("admin")
@blueprint.arguments(PageArguments, location="query")
@blueprint.response(200, page_of(UserBody))
def index(page: dict) -> dict:
    """List the users, newest first."""
    require_admin()
    return list_page(select(User), User.id, _as_json, page)


@blueprint.get("/users/<int:user_id>")
@needs("admin")
@blueprint.response(200, UserBody)
def show(user_id: int) -> dict:
    """Give one user."""
    return _as_json(_find(user_id))


@blueprint.post("/users")
@needs("admin")
@blueprint.arguments(InvitationArguments)
@blueprint.response(201, LinkBody)
def invite(wanted: dict) -> tuple[dict, dict]:
    """Invite somebody: by the link in this answer they choose a password, and then have an account."""
    require_admin()
    try:
        name = auth.clean_user_name(wanted["name"])
    except auth.UserNameRefused as error:
        raise Refused(str(error), "name") from error
    if auth.find_user(name):
        abort(409, "Somebody of that name is here already.")
    return _make_link(name, wanted["is_admin"])


@blueprint.post("/users/<int:user_id>/invitation")
@needs("admin")
@blueprint.response(201, LinkBody)
def reset(user_id: int) -> tuple[dict, dict]:
    """Make a link by which a user chooses a new password."""
    user = _find(user_id)
    return _make_link(user.name, user.is_admin)


@blueprint.patch("/users/<int:user_id>")
@needs("admin")
@blueprint.arguments(UserArguments)
@blueprint.response(200, UserBody)
def change(wanted: dict, user_id: int) -> dict:
    """Keep a user out, or let them in again."""
    user = _find(user_id)
    _set_enabled(user, wanted["is_enabled"])
    return _as_json(user)


@blueprint.delete("/users/<int:user_id>")
@needs("admin")
@blueprint.response(204)
def disable(user_id: int) -> Response:
    """Sign a user out and keep them out, their tokens too; what they made stays."""
    _set_enabled(_find(user_id), False)
    return answer_nothing()


@blueprint.get("/invitations")
@needs("admin")
@blueprint.arguments(PageArguments, location="query")
@blueprint.response(200, page_of(InvitationBody))
def list_invitations(page: dict) -> dict:
    """List the invitations that can still be used, newest first."""
    require_admin()
    return list_page(invitations.open_ones(), Invitation.id, _invitation_as_json, page)


@blueprint.delete("/invitations/<int:invitation_id>")
@needs("admin")
@blueprint.response(204)
def withdraw(invitation_id: int) -> Response:
    """Make an invitation useless."""
    require_admin()
    found = invitations.open_ones().where(Invitation.id == invitation_id)
    db.session.delete(db.session.scalar(found) or abort(404))
    db.session.commit()
    return answer_nothing()


def _find(user_id: int) -> User:
    require_admin()
    return db.session.get(User, user_id) or abort(404)


def _set_enabled(user: User, is_enabled: bool) -> None:
    try:
        auth.set_enabled(user, is_enabled, require_admin())
    except auth.OwnAccount as error:
        abort(409, str(error))
    db.session.commit()


def _make_link(name: str, is_admin: bool) -> tuple[dict, dict]:
    path = invitations.invite(name, is_admin)
    db.session.commit()
    made = db.session.scalar(invitations.open_ones().where(Invitation.user_name == name))
    link = request.url_root.rstrip("/") + path
    return {**_invitation_as_json(made), "link": link}, {"Cache-Control": "no-store"}


def _as_json(user: User) -> dict:
    known = {name: getattr(user, name) for name in ("id", "name", "is_admin", "is_enabled")}
    return {**known, "created_at": as_time(user.created_at)}


def _invitation_as_json(invitation: Invitation) -> dict:
    return {
        "id": invitation.id,
        "name": invitation.user_name,
        "is_admin": invitation.is_admin,
        "expires_at": as_time(invitation.expires_at),
    }
