"""Versions over the API: what finished runs gave, which one is live, and models trained elsewhere."""

from __future__ import annotations

from typing import Any

from flask import Response, abort, request, url_for
from flask_smorest.fields import Upload
from marshmallow import Schema, fields, validate
from sqlalchemy import select
from sqlalchemy.orm import joinedload
from werkzeug.wrappers import Response as AnyResponse

from jobs import disk, removal, training, uploaded
from learning import options
from learning.uploads.facts import ModelRefused
from models import Dataset, Version, db
from serving import pairing
from web import calibrated, decisions, going_live, packages
from web.access import get_dataset, get_user
from web.answers import find_version
from web.api.frame import Noun, answer_nothing, needs
from web.api.runs import RunBody, started
from web.api.shapes import Digits, PageArguments, Truth, as_time, check_fields, list_page, page_of
from web.errors import Refused
from web.inputs import parse_json
from web.limits import limits
from web.sent_models import look_at, sent_model

blueprint = Noun("versions", "What finished runs gave, and models trained elsewhere")

METRICS = ("task", "score", "accuracy", "interval", "leave_one_out", "validation", "test")
SETTINGS = set(options.of("uploaded")) - {"model", "model_labels"}


class PromotionBody(Schema):
    """Whether a version went live by itself, and why (`items` and what follows: where it was compared)."""

    went_live = fields.Bool(required=True)
    sentence = fields.Str(required=True, metadata={"description": "For a person."})
    compared_with = fields.Int(metadata={"description": "The version that was live then."})
    items = fields.Int(
        allow_none=True, metadata={"description": "How many images both had judged, with the same labels."}
    )
    by = fields.Str(
        allow_none=True,
        validate=validate.OneOf((pairing.TEST, pairing.OUT_OF_SAMPLE)),
        metadata={"description": "Test images, or all that neither had learnt from."},
    )
    right = fields.Int(metadata={"description": "On how many it was right."})
    compared_right = fields.Int(metadata={"description": "On how many the live version was."})


class VersionBody(Schema):
    """One version and its figures."""

    number = fields.Int(required=True)
    dataset = fields.Str()
    is_live = fields.Bool()
    labels = fields.List(fields.Str(), metadata={"description": "In the order that the network knows."})
    proven = fields.List(fields.Str(), metadata={"description": "Formats whose answers were checked."})
    formats = fields.List(fields.Str(), metadata={"description": "What `/package?format=` gives."})
    metrics = fields.Dict(
        keys=fields.Str(),
        metadata={"description": "As measured in training, of several labels by its thresholds."},
    )
    promotion = fields.Nested(PromotionBody, allow_none=True)
    thresholds = fields.Dict(
        keys=fields.Str(),
        values=fields.Float(),
        allow_none=True,
        metadata={"description": "From which probability on a label is said. Null: the likeliest always."},
    )
    tells_unknown = fields.Bool(
        metadata={"description": "Whether an image like nothing that was taught is rejected."}
    )
    fault = fields.Str(
        allow_none=True, metadata={"description": "Why it is not served: its files are damaged or disagree."}
    )
    run = fields.Str(metadata={"description": "Where its run is."})
    created_at = fields.Str()


class WholeVersionBody(VersionBody):
    """One version with its calibration."""

    calibration = fields.Dict(
        keys=fields.Str(),
        allow_none=True,
        metadata={"description": "Expected calibration error before and after, and the reliability diagram."},
    )


class VersionSettings(Schema):
    """What may be changed of a version."""

    thresholds = fields.Raw(
        allow_none=True,
        metadata={
            "oneOf": [
                {"type": "number", "minimum": 0, "maximum": 1},
                {"type": "object", "additionalProperties": {"type": "number", "minimum": 0, "maximum": 1}},
                {"type": "null"},
            ],
            "description": "One for all labels, some by label, or null for those of the training.",
        },
    )
    tells_unknown = Truth(
        metadata={"description": "Whether an image that is like nothing that was taught gets no label."}
    )


class PackageArguments(Schema):
    """Which file of a version."""

    format = fields.Str(
        load_default=packages.WHOLE,
        validate=validate.OneOf((packages.WHOLE, *packages.FORMATS), error="Choose one of: {choices}."),
        metadata={"description": "`package` is a zip of all there is."},
    )


class PairArguments(Schema):
    """Which two versions."""

    a = Digits(required=True, metadata={"minimum": 0})
    b = Digits(required=True, metadata={"minimum": 0})


class ComparisonBody(Schema):
    """Two versions on the test images that both were measured on (McNemar's exact test)."""

    a = fields.Int()
    b = fields.Int()
    items = fields.Int(metadata={"description": "How many images."})
    both = fields.Int(metadata={"description": "How many both got right."})
    only_a = fields.Int()
    only_b = fields.Int()
    p = fields.Float(metadata={"description": "How likely such a difference is if neither were better."})
    is_real = fields.Bool(metadata={"description": "More than chance, at the 5 % level."})
    sentence = fields.Str()


class SentModel(Schema):
    """A trained model and what has to be known of it."""

    model = Upload(required=True, metadata={"description": "A .keras, .h5, or Teachable Machine zip."})
    labels = fields.Str(metadata={"description": "Its labels in order, one a line or with commas between."})
    settings = fields.Str(metadata={"description": "JSON with what else the recipe `uploaded` asks."})


@blueprint.get("/datasets/<slug>/versions")
@needs("read")
@blueprint.arguments(PageArguments, location="query")
@blueprint.response(200, page_of(VersionBody))
def index(page: dict, slug: str) -> dict:
    """List the versions, newest first."""
    dataset = get_dataset(slug)
    query = select(Version).filter_by(dataset_id=dataset.id).options(joinedload(Version.run))
    return list_page(query, Version.id, lambda version: _as_json(version, dataset), page)


@blueprint.get("/datasets/<slug>/versions/<int:number>")
@needs("read")
@blueprint.response(200, WholeVersionBody)
def show(slug: str, number: int) -> dict:
    """Give one version with its figures."""
    dataset = get_dataset(slug)
    return _as_whole(find_version(dataset, number), dataset)


@blueprint.patch("/datasets/<slug>/versions/<int:number>")
@needs("train")
@blueprint.arguments(VersionSettings)
@blueprint.response(200, WholeVersionBody)
def change(wanted: dict, slug: str, number: int) -> dict:
    """Choose from which probability on labels are said, and whether the unknown is told.

    Every route obeys from the next prediction on. Labels that are not named keep their threshold. They are
    rounded to three decimals.
    """
    dataset = get_dataset(slug, "editor")
    version = find_version(dataset, number)
    if "thresholds" in wanted:
        _check_limits(version, wanted["thresholds"])
    if "tells_unknown" in wanted:  # refused where the version can't tell it: then nothing is changed
        decisions.watch_for_unknown(version, wanted["tells_unknown"])
    if "thresholds" in wanted:
        decisions.change(version, wanted["thresholds"])
    return _as_whole(version, dataset)


def _check_limits(version: Version, limits: Any) -> None:
    known = decisions.read(version).labels
    if isinstance(limits, dict) and (unknown := [label for label in limits if label not in known]):
        raise Refused(f"This version has no label {unknown[0][:100]!r}.", "thresholds")
    for limit in limits.values() if isinstance(limits, dict) else [limits]:
        is_number = isinstance(limit, int | float) and not isinstance(limit, bool)
        if not (is_number and 0 <= limit <= 1) and limits is not None:
            raise Refused("A threshold is a number from 0 to 1, such as 0.7.", "thresholds")


@blueprint.get("/datasets/<slug>/versions/compare")
@needs("read")
@blueprint.arguments(PairArguments, location="query")
@blueprint.response(200, ComparisonBody)
def compare(wanted: dict, slug: str) -> dict:
    """Say whether one version is truly better than another."""
    dataset = get_dataset(slug)
    pair = pairing.pair(*(find_version(dataset, wanted[name]) for name in ("a", "b")))
    counts = {
        name: getattr(pair.found, name) for name in ("items", "both", "only_a", "only_b", "p", "is_real")
    }
    return {**wanted, **counts, "sentence": pair.words()}


@blueprint.post("/datasets/<slug>/versions/<int:number>/live")
@needs("train")
@blueprint.response(200, VersionBody)
def make_live(slug: str, number: int) -> dict:
    """Let this version answer from now on."""
    dataset = get_dataset(slug, "editor")
    version = find_version(dataset, number)
    going_live.make_live(dataset, version)
    return _as_json(version, dataset)


@blueprint.delete("/datasets/<slug>/versions/<int:number>")
@needs("train")
@blueprint.response(204)
def delete(slug: str, number: int) -> Response:
    """Delete a version that is not live, with its run and every prediction it made.

    Its number is not given again.
    """
    version = find_version(get_dataset(slug, "editor"), number)
    try:
        folder = removal.delete_version(version)
    except removal.NotRemovable as error:
        abort(409, str(error))
    db.session.commit()
    disk.remove([folder])
    return answer_nothing()


@blueprint.get("/datasets/<slug>/versions/<int:number>/package")
@needs("read")
@blueprint.arguments(PackageArguments, location="query")
@blueprint.response(200, {"type": "string", "format": "binary"}, content_type="application/zip")
@blueprint.alt_response(
    200, schema={"type": "string", "format": "binary"}, content_type="application/octet-stream"
)
def package(wanted: dict, slug: str, number: int) -> AnyResponse:
    """Download the package as a zip, or one file of it whose answers were checked."""
    dataset = get_dataset(slug)
    return packages.send(dataset, find_version(dataset, number), wanted["format"])


@blueprint.post("/datasets/<slug>/versions")
@limits(body="MAX_MODEL", rate="upload")
@needs("train")
@blueprint.doc(requestBody={"required": True, "content": {"multipart/form-data": {"schema": SentModel}}})
@blueprint.response(202, RunBody)
def add(slug: str) -> tuple[dict, dict]:
    """Take a trained model, and start the run that measures it and makes it a version.

    Nothing is kept where any of it is refused.
    """
    dataset = get_dataset(slug, "editor")
    check_fields("model", "labels", "settings")
    wanted = parse_json(request.form.get("settings") or "{}", SETTINGS, "settings")
    wanted["model_labels"] = request.form.get("labels", "")
    try:
        options.check("uploaded", wanted)  # before the model is looked at, which takes seconds
    except options.OptionRefused as error:
        raise Refused(str(error), error.field.replace("model_labels", "labels")) from error
    name = look_at(sent_model("model"), dataset.id)
    try:
        return _start(get_dataset(slug, "editor"), {**wanted, "model": name})
    finally:
        db.session.rollback()
        uploaded.forget(name)


def _start(dataset: Dataset, wanted: dict[str, Any]) -> tuple[dict, dict]:
    chosen = options.check("uploaded", wanted)
    try:
        found, _, _ = uploaded.choose(dataset, chosen, [label.name for label in dataset.labels])
        run = training.start_run(dataset, get_user(), "uploaded", found.sent_name[:60], chosen)
    except ModelRefused as refused:
        raise Refused(str(refused), "labels" if refused.code == "labels" else "settings") from refused
    except training.NotTrainable as error:
        abort(409, str(error))
    db.session.commit()
    return started(run)


def _as_whole(version: Version, dataset: Dataset) -> dict:
    return {**_as_json(version, dataset), "calibration": calibrated.as_json(version)}


def _as_json(version: Version, dataset: Dataset) -> dict:
    limits = decisions.find(version)
    watch = limits and limits.watch
    return {
        "number": version.number,
        "dataset": dataset.slug,
        "is_live": version.number == dataset.live_version,
        "labels": version.labels,
        "proven": version.proven,
        "formats": [*([] if version.fault else [packages.WHOLE]), *packages.list_formats(version)],
        "metrics": {name: version.metrics.get(name) for name in METRICS},
        # Named always: of a dict without it, marshmallow takes the method of that name.
        "promotion": version.promotion and {"items": None, **version.promotion},
        "thresholds": limits and limits.by_label(),
        "tells_unknown": bool(watch and watch["is_on"]),
        "fault": version.fault,
        "run": url_for("api_runs.show", run_id=version.run_id),
        "created_at": as_time(version.created_at),
    }
