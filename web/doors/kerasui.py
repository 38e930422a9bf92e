"""KerasUI's door: its token, its prediction, and its users."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, g, jsonify, request, url_for
from sqlalchemy import Select, select

from models import Dataset, User, db
from utils import ImageRefused
from web.access import public
from web.answers import answer_all, find_version
from web.doors import rest
from web.errors import Refused
from web.limits import limits
from web.oauth import server

blueprint = Blueprint("kerasui", __name__)
blueprint.after_app_request(rest.in_shape)


@blueprint.post("/o/token/")
@public
@limits(rate="token")
def token() -> Response:
    """Give a client tokens, as /oauth/token does."""
    answer = server.answer_token_request()
    db.session.commit()
    return answer


@blueprint.post("/api/test/")
@limits(body="MAX_PREDICT_BODY", rate="predict", is_reading=True)
def predict() -> Response:
    """Name what the image shows: {"result": label}, null where none of several labels fits.

    No token is asked for where the dataset's predict page is public. KerasUI's tokens may read and write, so
    one that may write need not say that it may predict.
    """
    sent = rest.read_fields()
    if not _is_open_to_all(rest.find_dataset_number(sent)) and (refusal := rest.refuse("predict", "write")):
        return refusal
    dataset = rest.get_numbered(rest.read_dataset_number(sent), allow_public=True)
    image = rest.read_image(sent)
    (outcome,) = answer_all(find_version(dataset), [image])
    if isinstance(outcome, ImageRefused):
        raise Refused(str(outcome), "image")
    return jsonify(result=outcome.as_json()["label"])


def _is_open_to_all(number: int | None) -> bool:
    """Whether no token is asked for: the dataset is public and none was sent (a wrong one is wrong)."""
    is_public = db.session.scalar(select(Dataset.is_public).filter_by(id=number))
    return bool(is_public) and "Authorization" not in request.headers


@blueprint.get("/api/users/")
@rest.needs("read")
def users() -> dict[str, Any]:
    """Page through the users: an administrator's token with the scope `admin` sees all, any other oneself."""
    return rest.page(_seen_users().order_by(User.id), _user_as_json)


@blueprint.get("/api/users/<int:user_id>/")
@rest.needs("read")
def user(user_id: int) -> dict[str, Any]:
    """Give one user."""
    return _user_as_json(db.first_or_404(_seen_users().where(User.id == user_id)))


def _seen_users() -> Select:
    mine = rest.the_user()
    is_all = mine.is_admin and "admin" in g.token.scopes
    return select(User) if is_all else select(User).where(User.id == mine.id)


def _user_as_json(user: User) -> dict[str, Any]:
    url = url_for("kerasui.user", user_id=user.id, _external=True)
    return {"url": url, "username": user.name, "email": "", "groups": []}
