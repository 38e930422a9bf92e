"""Datasets over the API: made, listed with their counts, their settings changed, deleted."""

from __future__ import annotations

from typing import Any

from flask import Response, url_for
from marshmallow import Schema, fields, validate
from sqlalchemy import Select, select

from datasets import datasets, editing, labels, tasks
from datasets.changes import ChangeRefused
from datasets.names import NameRefused
from models import ROLES, SPLITS, TASKS, Dataset, Label, Member, User, db
from web.access import get_dataset, get_user, role_of
from web.api.frame import Noun, answer_nothing, needs
from web.api.shapes import MAX_LABELS, NAME_LENGTH, PageArguments, Truth, Whole, as_time, list_page, page_of
from web.errors import Refused

blueprint = Noun("datasets", "Named collections of images with labels")

MAX_DESCRIPTION = 2_000  # characters
MAX_DAYS = 3_650


class Tally(Schema):
    """How many items there are, by split."""

    items = fields.Int(required=True)
    splits = fields.Dict(
        keys=fields.Str(validate=validate.OneOf(SPLITS)),
        values=fields.Int(),
        required=True,
        metadata={"description": f"Items of each split: {', '.join(SPLITS)}."},
    )


class LabelBody(Tally):
    """One label of a dataset and how many items bear it."""

    id = fields.Int(required=True)
    name = fields.Str(required=True)
    url = fields.Str(required=True)


class DatasetBody(Tally):
    """One dataset: its settings and how many items it holds."""

    slug = fields.Str(required=True, metadata={"description": "Its name in addresses."})
    id = fields.Int(required=True)
    name = fields.Str(required=True)
    description = fields.Str(required=True)
    task = fields.Str(required=True, validate=validate.OneOf(TASKS))
    role = fields.Str(required=True, validate=validate.OneOf(ROLES), metadata={"description": "Yours."})
    is_public = fields.Bool(required=True, metadata={"description": "May anybody ask for predictions?"})
    prediction_days = fields.Int(
        required=True, allow_none=True, metadata={"description": "null: as long as the server keeps them."}
    )
    live_version = fields.Int(required=True, allow_none=True)
    is_promoting = fields.Bool(
        required=True, metadata={"description": "Do new versions go live by themselves when not worse?"}
    )
    unlabelled = fields.Int(required=True)
    url = fields.Str(required=True)
    created_at = fields.Str(required=True)


class WholeDatasetBody(DatasetBody):
    """One dataset with its labels, by name."""

    labels = fields.List(fields.Nested(LabelBody), required=True)


class NewDataset(Schema):
    """What a dataset is made of."""

    name = fields.Str(required=True, validate=validate.Length(1, NAME_LENGTH))
    task = fields.Str(load_default=TASKS[0], validate=validate.OneOf(TASKS))
    description = fields.Str(load_default="", validate=validate.Length(max=MAX_DESCRIPTION))
    labels = fields.List(fields.Str(), load_default=list, validate=validate.Length(max=MAX_LABELS))


class DatasetSettings(Schema):
    """What an owner may change; what is left out stays."""

    name = fields.Str(validate=validate.Length(1, NAME_LENGTH), metadata={"description": "Its slug stays."})
    description = fields.Str(validate=validate.Length(max=MAX_DESCRIPTION))
    is_public = Truth()
    is_promoting = Truth()
    prediction_days = Whole(
        allow_none=True, validate=validate.Range(1, MAX_DAYS, error=f"Choose 1 to {MAX_DAYS:,} days.")
    )
    task = fields.Str(validate=validate.OneOf(TASKS))
    several = fields.Str(
        validate=validate.OneOf(tuple(tasks.RULES)),
        metadata={
            "description": "Wanted with the task single-label where images bear several labels. "
            + " ".join(f"{rule}: {words}." for rule, words in tasks.RULES.items())
        },
    )


@blueprint.get("/datasets")
@needs("read")
@blueprint.arguments(PageArguments, location="query")
@blueprint.response(200, page_of(DatasetBody))
def index(page: dict) -> dict:
    """List the datasets you are a member of, newest first; an administrator's are all."""
    user = get_user()
    roles = dict(db.session.execute(select(Member.dataset_id, Member.role).filter_by(user_id=user.id)).all())
    return list_page(
        _seen_by(user),
        Dataset.id,
        lambda one: as_json(one, "owner" if user.is_admin else roles.get(one.id, "viewer")),
        page,
    )


def _seen_by(user: User) -> Select[tuple[Dataset]]:
    query = select(Dataset)
    return query if user.is_admin else query.join(Member).where(Member.user_id == user.id)


@blueprint.post("/datasets")
@needs("write")
@blueprint.arguments(NewDataset)
@blueprint.response(201, WholeDatasetBody)
def add(wanted: dict) -> tuple[dict, int, dict]:
    """Make a dataset that is yours, with these labels if you like."""
    try:
        dataset = datasets.create(wanted["name"], get_user(), wanted["task"], wanted["description"])
    except NameRefused as refused:
        raise Refused(str(refused), "name", word=refused.code) from refused
    _add_labels(dataset, wanted["labels"])
    db.session.commit()
    return whole(dataset), 201, {"Location": url_for("api_datasets.show", slug=dataset.slug)}


def _add_labels(dataset: Dataset, names: list[str]) -> None:
    try:
        labels.find_or_create(dataset, names)
    except NameRefused as refused:
        raise Refused(str(refused), "labels", word=refused.code) from refused


@blueprint.get("/datasets/<slug>")
@needs("read")
@blueprint.response(200, WholeDatasetBody)
def show(slug: str) -> dict:
    """Give one dataset: its settings, its counts per label and split, its live version."""
    return whole(get_dataset(slug))


@blueprint.patch("/datasets/<slug>")
@needs("write")
@blueprint.arguments(DatasetSettings)
@blueprint.response(200, WholeDatasetBody)
def change(wanted: dict, slug: str) -> dict:
    """Change settings; owners only.

    Another task is a change that can be taken back: see the dataset's changes.
    """
    dataset = get_dataset(slug, "owner")
    editing.hold(dataset)
    several = wanted.pop("several", None)
    if wanted.pop("task", dataset.task) != dataset.task:
        _change_task(dataset, several)
    if "name" in wanted:
        _rename(dataset, wanted.pop("name"))
    for setting, value in wanted.items():
        setattr(dataset, setting, value)
    db.session.commit()
    return whole(dataset)


def _rename(dataset: Dataset, name: str) -> None:
    try:
        datasets.rename(dataset, name)
    except NameRefused as refused:
        raise Refused(str(refused), "name", word=refused.code) from refused


def _change_task(dataset: Dataset, several: str | None) -> None:
    try:
        tasks.change_task(dataset, get_user(), several)
    except ChangeRefused as refused:
        count, lost = tasks.look_ahead(dataset).several, tasks.look_ahead(dataset).lost
        told = ", ".join(f"{rule} ({lost[rule]:,} labels are taken away)" for rule in tasks.RULES)
        message = f"{refused} {count:,} images bear several: choose one of {told}."
        raise Refused(message, "several", word=refused.code) from refused


@blueprint.delete("/datasets/<slug>")
@needs("write")
@blueprint.response(204)
def delete(slug: str) -> Response:
    """Delete a dataset for good, with its images, runs and versions; owners only."""
    datasets.delete(get_dataset(slug, "owner"))
    db.session.commit()
    return answer_nothing()


def as_json(dataset: Dataset, role: str) -> dict[str, Any]:
    """Return a dataset as lists show it, to a user of this role."""
    counts = dataset.counts or {}
    return {
        "slug": dataset.slug,
        "id": dataset.id,
        "name": dataset.name,
        "description": dataset.description,
        "task": dataset.task,
        "role": role,
        "is_public": dataset.is_public,
        "prediction_days": dataset.prediction_days,
        "live_version": dataset.live_version,
        "is_promoting": dataset.is_promoting,
        **_tally(counts.get("splits", {})),
        "unlabelled": counts.get("unlabelled", 0),
        "url": url_for("api_datasets.show", slug=dataset.slug),
        "created_at": as_time(dataset.created_at),
    }


def whole(dataset: Dataset) -> dict[str, Any]:
    """Return a dataset with its labels, as it shows itself to the user who asks."""
    role = role_of(get_user(), dataset)
    return {**as_json(dataset, role), "labels": [label_as_json(dataset, one) for one in dataset.labels]}


def label_as_json(dataset: Dataset, label: Label) -> dict[str, Any]:
    """Return a label of the dataset with its counts."""
    splits = (dataset.counts or {}).get("labels", {}).get(str(label.id), {})
    url = url_for("api_labels.show", label_id=label.id)
    return {"id": label.id, "name": label.name, **_tally(splits), "url": url}


def _tally(splits: dict[str, int]) -> dict[str, Any]:
    return {"items": sum(splits.values()), "splits": {split: splits.get(split, 0) for split in SPLITS}}
