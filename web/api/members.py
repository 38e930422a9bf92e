"""Members of a dataset over the API: listed, added, given another role, removed."""

from __future__ import annotations

from flask import Response, abort
from marshmallow import Schema, fields, validate
from sqlalchemy import select

from datasets import members
from models import ROLES, Member, User, db
from web.access import get_dataset, get_user
from web.api.frame import Noun, answer_nothing, needs
from web.api.shapes import NAME_LENGTH, PageArguments, list_page, page_of
from web.auth import find_user
from web.errors import Refused

blueprint = Noun("members", "Who may use a dataset, and as what")


class MemberBody(Schema):
    """Somebody who may use a dataset."""

    user = fields.Str(required=True)
    user_id = fields.Int(required=True)
    role = fields.Str(required=True, validate=validate.OneOf(ROLES))


class MemberArguments(Schema):
    """Somebody, and the role they are to have."""

    user = fields.Str(
        required=True, validate=validate.Length(1, NAME_LENGTH), metadata={"description": "Their name."}
    )
    role = fields.Str(required=True, validate=validate.OneOf(ROLES, error="Choose one of: {choices}."))


@blueprint.get("/datasets/<slug>/members")
@needs("read")
@blueprint.arguments(PageArguments, location="query")
@blueprint.response(200, page_of(MemberBody))
def index(page: dict, slug: str) -> dict:
    """List the members, the newest accounts first."""
    found = {member.user_id: member for member in members.list_members(get_dataset(slug))}
    return list_page(
        select(User).where(User.id.in_(found)), User.id, lambda user: _as_json(found[user.id]), page
    )


@blueprint.post("/datasets/<slug>/members")
@needs("write")
@blueprint.arguments(MemberArguments)
@blueprint.response(200, MemberBody)
@blueprint.alt_response(201, schema=MemberBody, success=True)
def set_role(wanted: dict, slug: str) -> tuple[dict, int]:
    """Make somebody a member (201), or give a member another role (200)."""
    dataset = get_dataset(slug, "owner")
    user = find_user(wanted["user"])
    if user is None:
        raise Refused("Nobody of that name has an account here. An administrator can invite them.", "user")
    is_new = db.session.get(Member, (dataset.id, user.id)) is None
    try:
        member = members.set_role(dataset, user, wanted["role"])
    except members.MemberRefused as error:
        abort(409, str(error))
    db.session.commit()
    return _as_json(member), 201 if is_new else 200


@blueprint.delete("/datasets/<slug>/members/<int:user_id>")
@needs("write")
@blueprint.response(204)
def remove(slug: str, user_id: int) -> Response:
    """Remove a member, or leave; an owner always stays."""
    is_leaving = user_id == get_user().id
    dataset = get_dataset(slug, "viewer" if is_leaving else "owner")
    member = db.session.get(Member, (dataset.id, user_id)) or abort(404)
    try:
        members.remove(dataset, member.user)
    except members.MemberRefused as error:
        abort(409, str(error))
    db.session.commit()
    return answer_nothing()


def _as_json(member: Member) -> dict:
    return {"user": member.user.name, "user_id": member.user_id, "role": member.role}
