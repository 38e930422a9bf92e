"""Images added over the API: as a form of many files, or one as JSON."""

from __future__ import annotations

from typing import Any

from flask import Response, abort, jsonify, request
from flask_smorest.fields import Upload
from marshmallow import Schema, fields, validate

from datasets.checking import SentFile
from datasets.names import NameRefused, clean_name, make_inert
from datasets.rows import Taken
from web.access import get_dataset
from web.api import items
from web.api.frame import ErrorBody, Noun, needs
from web.api.items import ItemBody
from web.api.shapes import MAX_LABELS, check_fields
from web.errors import Refused
from web.limits import limits
from web.sent_images import from_text, take
from web.sent_labels import size_of

blueprint = Noun("additions", "Images on their way in")

NO_NAME = "image"  # what an image is called that was sent without a name


class SkippedBody(Schema):
    """A file whose image is in the dataset already."""

    file = fields.Str(required=True)
    code = fields.Str(required=True, metadata={"description": "duplicate, or label_added."})
    reason = fields.Str(required=True)
    item = fields.Int(required=True, metadata={"description": "The id of the item that is there."})


class RefusedBody(Schema):
    """A file that was not taken, and why."""

    file = fields.Str(required=True)
    code = fields.Str(required=True)
    message = fields.Str(required=True)


class AddedBody(Schema):
    """What became of every file, each in one of three lists."""

    added = fields.List(fields.Nested(ItemBody), required=True)
    skipped = fields.List(fields.Nested(SkippedBody), required=True)
    refused = fields.List(fields.Nested(RefusedBody), required=True)


class NothingAddedBody(ErrorBody):
    """The error of the first file, and the lists where all files were refused."""

    added = fields.List(fields.Nested(ItemBody))
    skipped = fields.List(fields.Nested(SkippedBody))
    refused = fields.List(fields.Nested(RefusedBody))


class ImageForm(Schema):
    """Files, and labels for all of them or for each."""

    image = fields.List(Upload(), required=True, validate=validate.Length(min=1))
    label = fields.List(
        fields.Str(),
        metadata={
            "description": "Several labels an image: all of these for every image. One label an image: "
            "one for all images, or as many as images, in their order."
        },
    )


class ImageText(Schema):
    """One image as text."""

    image = fields.Str(required=True, metadata={"description": "Base64 or a data: address."})
    labels = fields.List(fields.Str(), load_default=list, validate=validate.Length(max=MAX_LABELS))
    file = fields.Str(load_default=NO_NAME, metadata={"description": "A name to show it by."})


WAYS = {"multipart/form-data": {"schema": ImageForm}, "application/json": {"schema": ImageText}}


@blueprint.post("/datasets/<slug>/items", tags=[items.blueprint.name])
@limits(body="MAX_IMAGE_BATCH", rate="upload")
@needs("write")
@blueprint.doc(requestBody={"required": True, "content": WAYS})
@blueprint.response(200, AddedBody)
@blueprint.alt_response(422, schema=NothingAddedBody, description="Nothing was taken.")
def add(slug: str) -> dict | tuple[Response, int]:
    """Add images; what is refused is told by name, and the others are taken."""
    taken = take(slug, _read(get_dataset(slug, "editor").task))
    report = _as_report(taken, slug)
    if all(one.outcome == "refused" for one in taken):
        error = {**report["refused"][0], "field": "image"}
        return jsonify(error=error, **report), 422
    return report


def _read(task: str) -> list[SentFile]:
    if request.is_json:
        sent = blueprint.ARGUMENTS_PARSER.parse(ImageText, request, location="json")
        labels = _clean(sent["labels"], "labels")
        _check_task(task, labels, "labels")
        return [from_text(sent["file"] or NO_NAME, sent["image"], labels)]
    if request.mimetype == "multipart/form-data":
        return _read_form(task)
    return abort(415, "Send multipart/form-data, or application/json.")


def _read_form(task: str) -> list[SentFile]:
    check_fields("image", "label")
    if "image" in request.form:
        raise Refused("The field 'image' must be a file (curl: -F image=@photo.jpg).", "image")
    if "label" in request.files:
        raise Refused("The field 'label' must be text (curl: -F label=daisy).", "label")
    images = request.files.getlist("image")
    if not images:
        raise Refused("Send at least one image in the field 'image'.", "image")
    labels = _pair(request.form.getlist("label"), len(images), task)
    names = [make_inert(file.filename or NO_NAME) for file in images]
    sent = zip(names, images, labels, strict=True)
    return [SentFile(name, file.stream.read, size_of(file), given) for name, file, given in sent]


def _pair(sent: list[str], count: int, task: str) -> list[tuple[str, ...]]:
    """Return the labels of each of `count` images; an empty one stands for none."""
    if task == "single-label" and len(sent) == count:
        return [_clean([name], "label") for name in sent]
    labels = _clean(sent, "label")
    if task == "single-label" and len(labels) > 1:
        message = f"Send one label for all images, or one for each: these are {len(sent)} for {count}."
        raise Refused(message, "label")
    return [labels] * count


def _clean(names: list[str], field: str) -> tuple[str, ...]:
    try:
        cleaned = [clean_name(name, "label") for name in names if name.strip()]
    except NameRefused as refused:
        raise Refused(str(refused), field, word=refused.code) from refused
    return tuple(dict.fromkeys(cleaned))


def _check_task(task: str, labels: tuple[str, ...], field: str) -> None:
    if task == "single-label" and len(labels) > 1:
        raise Refused("An image of this dataset bears one label. Send only one.", field)


def _as_report(taken: list[Taken], slug: str) -> dict[str, Any]:
    """Return what became of the files, in the order they were sent."""
    by_outcome = {outcome: [one for one in taken if one.outcome == outcome] for outcome in REPORTED}
    return {
        outcome: [as_json(one, slug) for one in by_outcome[outcome]] for outcome, as_json in REPORTED.items()
    }


def _added(one: Taken, slug: str) -> dict[str, Any]:
    return items.as_json(one.item, slug)


def _skipped(one: Taken, slug: str) -> dict[str, Any]:
    return {"file": one.sent_name, "code": one.code, "reason": one.message, "item": one.item.id}


def _refused(one: Taken, slug: str) -> dict[str, Any]:
    return {"file": one.sent_name, "code": one.code, "message": one.message}


REPORTED = {"added": _added, "skipped": _skipped, "refused": _refused}
