"""Imports over the API: zips and CSVs taken in, in the background, with a result for every file."""

from __future__ import annotations

from typing import Any

from flask import abort, request, url_for
from flask_smorest.fields import Upload
from marshmallow import Schema, fields, validate
from sqlalchemy import select
from sqlalchemy.orm import joinedload
from werkzeug.datastructures import FileStorage

from datasets.labelling import WAYS
from jobs import imports, queue
from models import OUTCOMES, Dataset, Import, ImportFile, db
from web.access import get_dataset, get_part, get_user
from web.api.frame import Noun, needs
from web.api.shapes import PageArguments, Progress, as_time, check_fields, job_as_json, list_page, page_of
from web.errors import Refused
from web.limits import limits
from web.sent_labels import MAX_HEADING, MAX_MIN_ITEMS, read_list, read_options, sent_label, sent_list
from web.sent_lists import relabel
from web.uploads import take_zip

blueprint = Noun("imports", "Acts of bringing files in")

FILES = ("archive", "manifest")
CHOICES = ("label", "file_column", "label_columns", "labels_from", "min_items")
SAMPLES = {"digits": "Sample digits"}


class ImportBody(Progress):
    """One act of bringing files in: how far it is, and what came of it."""

    id = fields.Int(required=True)
    dataset = fields.Str(required=True, metadata={"description": "The dataset's slug."})
    kind = fields.Str(required=True, metadata={"description": "zip, folder, digits, images or list."})
    source = fields.Str(required=True, metadata={"description": "The name that was sent."})
    label = fields.Str(required=True, allow_none=True)
    added = fields.Int(required=True)
    skipped = fields.Int(required=True)
    refused = fields.Int(required=True)
    notes = fields.List(fields.Str(), required=True, metadata={"description": "On the import as a whole."})
    is_retryable = fields.Bool(required=True, metadata={"description": "Whether `retry` may be asked."})
    files = fields.Str(required=True, metadata={"description": "Where the result of every file is."})
    url = fields.Str(required=True)
    created_at = fields.Str(required=True)


class FileBody(Schema):
    """What became of one file."""

    file = fields.Str(required=True)
    outcome = fields.Str(required=True, validate=validate.OneOf(OUTCOMES))
    code = fields.Str(required=True, allow_none=True)
    message = fields.Str(required=True, allow_none=True)
    item = fields.Int(required=True, allow_none=True, metadata={"description": "The id of its item."})


class FileArguments(PageArguments):
    """Which page of which results."""

    outcome = fields.Str(load_default=None, validate=validate.OneOf(OUTCOMES))


class ImportForm(Schema):
    """A zip, a CSV of labels, or both; and how labels are found."""

    archive = Upload(metadata={"description": "A zip: labels are its folders, or those of a CSV."})
    manifest = Upload(
        metadata={"description": "A CSV of labels: beside a zip, or alone for images that are here."}
    )
    label = fields.Str(metadata={"description": "One label for everything in the zip."})
    file_column = fields.Str(
        validate=validate.Length(max=MAX_HEADING),
        metadata={"description": "The heading of the CSV's column of file names; found by itself."},
    )
    label_columns = fields.Str(
        metadata={"description": "The headings of its label columns, commas between; found by themselves."}
    )
    labels_from = fields.Str(
        validate=validate.OneOf(WAYS),
        metadata={"description": "auto: a CSV where there is one, else folders; folders: these only."},
    )
    min_items = fields.Int(
        validate=validate.Range(0, MAX_MIN_ITEMS),
        metadata={"description": "Labels with fewer images than this are left out."},
    )


class SampleWish(Schema):
    """The sample that is wanted."""

    sample = fields.Str(required=True, validate=validate.OneOf(tuple(SAMPLES)))


WAYS_IN = {"multipart/form-data": {"schema": ImportForm}, "application/json": {"schema": SampleWish}}


@blueprint.get("/datasets/<slug>/imports")
@needs("read")
@blueprint.arguments(PageArguments, location="query")
@blueprint.response(200, page_of(ImportBody))
def index(page: dict, slug: str) -> dict:
    """List what came into a dataset, newest first."""
    query = select(Import).filter_by(dataset_id=get_dataset(slug).id)
    parts = (joinedload(Import.job), joinedload(Import.dataset))
    return list_page(query.options(*parts), Import.id, as_json, page)


@blueprint.post("/datasets/<slug>/imports")
@limits(body="MAX_ZIP", rate="upload")
@needs("write")
@blueprint.doc(requestBody={"required": True, "content": WAYS_IN})
@blueprint.response(202, ImportBody)
def add(slug: str) -> tuple[dict, int, dict]:
    """Take a zip in the background, or label by a CSV the images that are there (at once).

    As JSON, `{"sample": "digits"}` brings in 1,797 handwritten digits, to try the house with.
    """
    dataset = get_dataset(slug, "editor")
    if request.is_json:
        import_ = _start_sample(dataset)
    elif request.mimetype == "multipart/form-data":
        import_ = _take_form(slug)
    else:
        abort(415, "Send multipart/form-data, or application/json for a sample.")
    return as_json(import_), 202, {"Location": url_for("api_imports.show", import_id=import_.id)}


def _start_sample(dataset: Dataset) -> Import:
    sample = blueprint.ARGUMENTS_PARSER.parse(SampleWish, request, location="json")["sample"]
    import_ = imports.start_import(dataset, get_user(), sample, SAMPLES[sample])
    db.session.commit()
    return import_


def _take_form(slug: str) -> Import:
    archive = _sent_zip()
    if archive is not None:
        return take_zip(slug, archive, sent_list("manifest"), sent_label(), read_options())
    manifest = read_list("manifest")
    if manifest is None:
        raise Refused("Send a zip as 'archive', a CSV as 'manifest', or both.", "archive")
    if sent_label():
        raise Refused("A CSV alone says the labels itself. Leave 'label' out.", "label")
    import_, _ = relabel(slug, manifest, read_options(), "manifest")
    return import_


def _sent_zip() -> FileStorage | None:
    """Return the zip that was sent, None where there is none; refuse a form that is not one of ours."""
    check_fields(*FILES, *CHOICES)
    for field in FILES:
        if field in request.form:
            raise Refused(f"The field '{field}' must be a file (curl: -F {field}=@…).", field)
    for field in CHOICES:
        if field in request.files:
            raise Refused(f"The field '{field}' must be text.", field)
    return request.files.get("archive")


@blueprint.get("/imports/<int:import_id>")
@needs("read")
@blueprint.response(200, ImportBody)
def show(import_id: int) -> dict:
    """Say how far an import is, and what came of it."""
    return as_json(get_part(Import, import_id))


@blueprint.get("/imports/<int:import_id>/files")
@needs("read")
@blueprint.arguments(FileArguments, location="query")
@blueprint.response(200, page_of(FileBody))
def files(page: dict, import_id: int) -> dict:
    """List what became of every file, in their order; of one outcome only, if you like."""
    query = select(ImportFile).filter_by(import_id=get_part(Import, import_id).id)
    if page["outcome"]:
        query = query.filter_by(outcome=page["outcome"])
    return list_page(query, ImportFile.id, _file_as_json, page, is_oldest_first=True)


@blueprint.post("/imports/<int:import_id>/cancel")
@needs("write")
@blueprint.response(202, ImportBody)
def cancel(import_id: int) -> dict:
    """Ask an import to end; what came in stays."""
    import_ = get_part(Import, import_id, "editor")
    if import_.job is None or import_.job.state in queue.ENDS:
        abort(409, "This import has ended already.")
    queue.ask_to_stop(import_.job)
    db.session.commit()
    return as_json(import_)


@blueprint.post("/imports/<int:import_id>/retry")
@needs("write")
@blueprint.response(202, ImportBody)
def retry(import_id: int) -> dict:
    """Work through a failed import again; what is in already is skipped."""
    import_ = get_part(Import, import_id, "editor")
    try:
        imports.try_again(import_)
    except queue.NotResumable as refused:
        abort(409, str(refused))
    db.session.commit()
    return as_json(import_)


def as_json(import_: Import) -> dict[str, Any]:
    """Return an import as the API shows it."""
    return {
        "id": import_.id,
        "dataset": import_.dataset.slug,
        "kind": import_.kind,
        "source": import_.source,
        "label": import_.label,
        **_progress(import_),
        **{outcome: getattr(import_, outcome) for outcome in OUTCOMES},
        "notes": import_.notes or [],
        "is_retryable": imports.can_try_again(import_),
        "files": url_for("api_imports.files", import_id=import_.id),
        "url": url_for("api_imports.show", import_id=import_.id),
        "created_at": as_time(import_.created_at),
    }


def _progress(import_: Import) -> dict[str, Any]:
    """Where it stands; what needed no place in the queue was finished at once."""
    if import_.job is not None:
        return job_as_json(import_.job)
    done = import_.added + import_.skipped + import_.refused
    return {"state": "finished", "phase": None, "done": done, "total": done, "message": None}


def _file_as_json(file: ImportFile) -> dict[str, Any]:
    return {
        "file": file.sent_name,
        "outcome": file.outcome,
        "code": file.code,
        "message": file.message,
        "item": file.item_id,
    }
