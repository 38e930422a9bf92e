"""Personal tokens over the API: made, listed and revoked by an administrator's token.

A token gives no scope that it has not itself, so that a stolen one can't widen what it may do. A client's
access token makes none: what it may do ends with the consent it was given.
"""

from __future__ import annotations

from datetime import timedelta

from flask import Response, abort, current_app, g
from marshmallow import Schema, fields, validate
from sqlalchemy import select

from datasets.names import NameRefused, clean_name
from models import SCOPES, Token, User, db, now
from web import tokens
from web.access import get_user, require_admin
from web.api.frame import Noun, answer_nothing, needs
from web.api.shapes import NAME_LENGTH, Digits, PageArguments, Whole, as_time, list_page, page_of
from web.errors import Refused

blueprint = Noun("tokens", "Personal tokens")

MAX_DAYS = 3_650
WHOSE = {"minimum": 0, "description": "Whose, by the user's id; yours where it is left out."}


class TokenBody(Schema):
    """A personal token, without its text."""

    id = fields.Int(required=True)
    name = fields.Str(required=True)
    user = fields.Str(required=True)
    scopes = fields.List(fields.Str(), required=True)
    created_at = fields.Str(required=True)
    expires_at = fields.Str(required=True, allow_none=True, metadata={"description": "null: never."})
    last_used_at = fields.Str(required=True, allow_none=True)


class NewTokenBody(TokenBody):
    """A new token."""

    token = fields.Str(required=True, metadata={"description": "Its text, told this once."})


class TokenListArguments(PageArguments):
    """Whose tokens."""

    user = Digits(load_default=None, metadata=WHOSE)


class TokenArguments(Schema):
    """A token to make."""

    name = fields.Str(
        required=True, validate=validate.Length(1, NAME_LENGTH), metadata={"description": "What it is for."}
    )
    scopes = fields.List(
        fields.Str(validate=validate.OneOf(SCOPES, error="There are: {choices}.")),
        required=True,
        validate=validate.Length(1, len(SCOPES)),
        metadata={"description": "None that the asking token lacks."},
    )
    days = Whole(
        allow_none=True,
        validate=validate.Range(1, MAX_DAYS, error=f"Choose 1 to {MAX_DAYS}."),
        metadata={"description": "How long it lasts; null: until it is revoked. Left out: the server's own."},
    )
    user = Whole(metadata=WHOSE)


@blueprint.get("/tokens")
@needs("admin")
@blueprint.arguments(TokenListArguments, location="query")
@blueprint.response(200, page_of(TokenBody))
def index(wanted: dict) -> dict:
    """List a user's tokens that are not revoked, newest first."""
    query = select(Token).filter_by(user_id=_whose(wanted["user"]).id, revoked_at=None, client_id=None)
    return list_page(query, Token.id, _as_json, wanted)


@blueprint.post("/tokens")
@needs("admin")
@blueprint.arguments(TokenArguments)
@blueprint.response(201, NewTokenBody)
def add(wanted: dict) -> tuple[dict, dict]:
    """Make a token; its text is in this answer alone."""
    if g.token.client_id is not None:
        abort(403, "A client's access token makes no personal tokens.")
    if lacking := [scope for scope in wanted["scopes"] if not tokens.has_scope(g.token, scope)]:
        abort(403, f"This token can't give the scope {lacking[0]!r}, which it has not itself.")
    days = wanted.get("days", current_app.config["PIGEONHOLE"].token_days)
    expires_at = now() + timedelta(days=days) if days else None
    scopes = list(dict.fromkeys(wanted["scopes"]))
    try:
        name = clean_name(wanted["name"])
        token, text = tokens.make_token(_whose(wanted.get("user")), name, scopes, expires_at)
    except NameRefused as error:
        raise Refused(str(error), "name") from error
    except ValueError as error:
        raise Refused(str(error), "scopes") from error
    db.session.commit()
    return {**_as_json(token), "token": text}, {"Cache-Control": "no-store"}


@blueprint.delete("/tokens/<int:token_id>")
@needs("admin")
@blueprint.response(204)
def revoke(token_id: int) -> Response:
    """Make a token useless at once, everywhere."""
    require_admin()
    found = select(Token).filter_by(id=token_id, revoked_at=None, client_id=None)
    token = db.session.scalar(found) or abort(404)
    token.revoked_at = now()
    db.session.commit()
    return answer_nothing()


def _whose(user_id: int | None) -> User:
    """Return the user who asks, or the one an administrator names; abort with 404 otherwise."""
    if user_id is None or user_id == get_user().id:
        return get_user()
    require_admin()
    return db.session.get(User, user_id) or abort(404, f"There is no user {user_id}.")


def _as_json(token: Token) -> dict:
    return {
        "id": token.id,
        "name": token.name,
        "user": token.user.name,
        "scopes": token.scopes,
        **{name: as_time(getattr(token, name)) for name in ("created_at", "expires_at", "last_used_at")},
    }
