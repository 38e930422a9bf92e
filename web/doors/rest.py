"""The manners of Django REST framework: errors by field, pages by limit and offset, images as base64."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from flask import Response, abort, g, json, request
from sqlalchemy import Select, func, select

from models import Dataset, Token, User, db
from utils import ImageRefused
from web import tokens
from web.access import View, get_dataset, get_user
from web.auth import authenticate_token
from web.errors import Refused
from web.inputs import LARGEST_NUMBER, read_json
from web.sent_images import decode_image

PATHS = ("/api/test", "/api/dataset/", "/api/datasetitem/", "/api/users/")
PAGE_SIZE, MOST = 10, 500


def needs(*scopes: str) -> Callable[[View], View]:
    """Let a view be called only with a token that has one of these scopes; put it under the route's line."""

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(*args: Any, **where: Any) -> Any:
            return refuse(*scopes) or view(*args, **where)

        guarded.scope, guarded.wants_token = scopes[0], True
        return guarded

    return decorate


def refuse(*scopes: str) -> Response | None:
    """Return the error of a request whose token has none of these scopes, None where it has one."""
    token = g.get("token")
    given = token.scopes if token and tokens.is_living(token) else []
    scope = next((one for one in scopes if one in given), scopes[0])
    answer = authenticate_token(scope)
    return None if isinstance(answer, Token) else answer


def in_shape(response: Response) -> Response:
    """Give an error of the API the framework's shape: `{"detail": …}`, or `{"field": ["…"]}` with 400."""
    if response.status_code < 400 or not request.path.startswith(PATHS):
        return response
    error = (response.get_json(silent=True) or {}).get("error")
    if not error:
        return response
    field, message = error.get("field"), error["message"]
    response.set_data(json.dumps({field: [message]} if field else {"detail": message}))
    if response.status_code == 422:
        response.status_code = 400
    return response


# ---------- what was sent ----------


def read_fields() -> dict[str, Any]:
    """Return the fields of the request: of its JSON, or of its form with the files in it.

    Aborts with 400 where they cannot be read.
    """
    return read_json() if request.is_json else {**request.form.to_dict(), **request.files.to_dict()}


def read_text(sent: dict[str, Any], field: str) -> str:
    """Return a field of text; abort with 400 where it is missing or something else."""
    value = sent.get(field)
    if not isinstance(value, str) or not value.strip():
        raise Refused(f"Send {field!r} as text.", field)
    return value


def read_dataset_number(sent: dict[str, Any]) -> int:
    """Return the number in the field `dataset`; abort with 400 where there is none."""
    number = find_dataset_number(sent)
    if number is None:
        raise Refused("Send the dataset's number; its settings page says it.", "dataset")
    return number


def find_dataset_number(sent: dict[str, Any]) -> int | None:
    """Return the number in the field `dataset`, None where there is none."""
    value = sent.get("dataset")
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    is_number = text.isascii() and text.isdigit() and len(text) <= 19 and int(text) <= LARGEST_NUMBER
    return int(text) if is_number else None


def read_image(sent: dict[str, Any]) -> tuple[str, bytes]:
    """Return the sent name and bytes of the field `image`: a file, or base64 with or without line breaks.

    Aborts with 400 where there is none.
    """
    value = sent.get("image")
    if isinstance(value, str) and value:
        try:
            return "image", decode_image(value)
        except ImageRefused as refused:
            raise Refused(str(refused), "image") from refused
    if not hasattr(value, "read"):
        raise Refused("Send an image: as base64, or as a file in a form.", "image")
    return value.filename or "image", value.read()


def get_numbered(number: int, role: str = "viewer", allow_public: bool = False) -> Dataset:
    """Return the dataset of that number if the user has `role` on it; abort as `get_dataset` does."""
    slug = db.session.scalar(select(Dataset.slug).filter_by(id=number))
    return get_dataset(slug or "", role, allow_public)


def the_user() -> User:
    """The user whose token this is; abort with 401 where there is none."""
    return get_user() or abort(401)


# ---------- pages ----------


def page(query: Select, as_json: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
    """Return one page of rows, by `?limit=` (10, at most 500) and `?offset=`."""
    limit, offset = _read("limit", PAGE_SIZE, 1, MOST), _read("offset", 0, 0, LARGEST_NUMBER)
    count = db.session.scalar(select(func.count()).select_from(query.order_by(None).subquery()))
    rows = db.session.scalars(query.limit(limit).offset(offset)).all() if offset < count else []
    return {
        "count": count,
        "next": _address(limit, offset + limit) if offset + limit < count else None,
        "previous": _address(limit, offset - limit) if offset else None,
        "results": [as_json(row) for row in rows],
    }


def _read(name: str, default: int, least: int, most: int) -> int:
    """Return a number of the query; what is none, or below `least`, counts as not sent, as it does there."""
    text = request.args.get(name, "")
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= 19 else default
    return min(number, most) if number >= least else default


def _address(limit: int, offset: int) -> str:
    others = {name: value for name, value in request.args.items() if name not in ("limit", "offset")}
    place = {"limit": limit} | ({"offset": offset} if offset > 0 else {})
    return f"{request.base_url}?{urlencode(others | place)}"
