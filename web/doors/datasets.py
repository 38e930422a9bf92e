"""KerasUI's door: its datasets."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request, url_for
from sqlalchemy import select

from datasets import datasets
from datasets.names import NameRefused
from models import Dataset, Member, db
from web.doors import rest
from web.errors import Refused

blueprint = Blueprint("kerasui_datasets", __name__, url_prefix="/api/dataset")


@blueprint.get("/")
@rest.needs("read")
def index() -> dict[str, Any]:
    """Page through the user's datasets, oldest first; an administrator's are all."""
    user, query = rest.the_user(), select(Dataset).order_by(Dataset.id)
    return rest.page(query if user.is_admin else query.join(Member).filter_by(user_id=user.id), as_json)


@blueprint.post("/")
@rest.needs("write")
def make() -> tuple[dict[str, Any], int, dict[str, str]]:
    """Make a dataset of one label an image. `process`, Keras code there, is not kept here."""
    name = rest.read_text(rest.read_fields(), "name")
    try:
        dataset = datasets.create(name, rest.the_user())
    except NameRefused as refused:
        raise Refused(str(refused), "name") from refused
    db.session.commit()
    found = as_json(dataset)
    return found, 201, {"Location": found["url"]}


@blueprint.get("/<int:number>/")
@rest.needs("read")
def show(number: int) -> dict[str, Any]:
    """Give one dataset."""
    return as_json(rest.get_numbered(number))


@blueprint.route("/<int:number>/", methods=["PUT", "PATCH"])
@rest.needs("write")
def change(number: int) -> dict[str, Any]:
    """Rename a dataset; PATCH without a name leaves it."""
    dataset, sent = rest.get_numbered(number, "owner"), rest.read_fields()
    if request.method == "PUT" or "name" in sent:
        try:
            datasets.rename(dataset, rest.read_text(sent, "name"))
        except NameRefused as refused:
            raise Refused(str(refused), "name") from refused
    db.session.commit()
    return as_json(dataset)


@blueprint.delete("/<int:number>/")
@rest.needs("write")
def delete(number: int) -> Response:
    """Delete a dataset for good."""
    datasets.delete(rest.get_numbered(number, "owner"))
    db.session.commit()
    return Response(status=204)


def as_json(dataset: Dataset) -> dict[str, Any]:
    """Return a dataset as KerasUI shows it, and its number."""
    url = url_for("kerasui_datasets.show", number=dataset.id, _external=True)
    return {"id": dataset.id, "url": url, "name": dataset.name, "process": ""}
