"""Imports: images and zips in through the browser, with a report for every file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from flask import Blueprint, abort, jsonify, redirect, render_template, request, url_for
from sqlalchemy import select
from werkzeug.datastructures import FileStorage
from werkzeug.wrappers import Response

from datasets import intake
from datasets.archives import ArchiveRefused
from datasets.checking import SentFile
from datasets.names import NameRefused, clean_name, make_inert
from datasets.rows import Taken, add_rows
from jobs import queue
from jobs.imports import request_embedding, start_import
from models import OUTCOMES, Dataset, Import, ImportFile, db
from web import uploads, work
from web.access import get_dataset, get_user
from web.errors import wants_json
from web.inputs import read_number
from web.limits import limits

blueprint = Blueprint("imports", __name__, url_prefix="/datasets/<slug>/imports")

PAGE_SIZE = 100
RECENT = 20


@blueprint.get("/")
def index(slug: str) -> str:
    """Show the ways in, and what came in lately."""
    dataset = get_dataset(slug, "editor")
    query = select(Import).where(Import.dataset_id == dataset.id).order_by(Import.id.desc()).limit(RECENT)
    return render_template("imports/index.html", dataset=dataset, imports=db.session.scalars(query).all())


@blueprint.post("/images")
@limits(body="MAX_IMAGE_BATCH", rate="upload")
def add_images(slug: str) -> Any:
    """Take images; `label` is one for all, or else the folder in a file's sent name is its label."""
    dataset = get_dataset(slug, "editor")
    sent = _sent_images()
    import_ = _find_or_add_import(dataset, sent)
    db.session.flush()
    import_id = import_.id
    db.session.commit()
    checked = intake.check_all(sent)  # no transaction is open while images are decoded
    dataset = get_dataset(slug, "editor")  # it may be deleted by now, or no longer theirs to change
    import_ = _find_import(dataset, import_id)
    taken = add_rows(dataset, checked, import_)
    request_embedding(dataset)
    db.session.commit()
    return _answer(dataset, import_, taken)


@blueprint.post("/zip")
@limits(body="MAX_ZIP", rate="upload")
def add_zip(slug: str) -> Any:
    """Take a zip, check its frame at once and work through it in the background."""
    get_dataset(slug, "editor")
    sent = _sent_files("archive", "Choose a zip.")[0]
    label = _sent_label()
    db.session.rollback()  # a large file is copied and checked: nobody waits for us
    try:
        path = uploads.keep_archive(sent)
    except ArchiveRefused as refused:
        abort(422, f"{make_inert(sent.filename)}: {refused}")
    try:
        import_ = _start(slug, "zip", make_inert(sent.filename), path, label)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    address = url_for("imports.show", slug=slug, import_id=import_.id)
    return (jsonify(import_id=import_.id, url=address), 202) if wants_json() else redirect(address, 303)


@blueprint.post("/digits")
@limits(rate="upload")
def add_digits(slug: str) -> Response:
    """Take the sample of handwritten digits, to try the house with."""
    import_ = _start(slug, "digits", "Sample digits")
    return redirect(url_for("imports.show", slug=slug, import_id=import_.id), 303)


@blueprint.get("/<int:import_id>")
def show(slug: str, import_id: int) -> str:
    """Show how far an import is and what became of every file."""
    dataset = get_dataset(slug)
    return _report(dataset, _find_import(dataset, import_id))


@blueprint.get("/<int:import_id>/progress.json")
def progress(slug: str, import_id: int) -> Response:
    """The same as numbers, for the page to follow."""
    dataset = get_dataset(slug)
    return jsonify(_progress(dataset, _find_import(dataset, import_id)))


@blueprint.post("/<int:import_id>/cancel")
def cancel(slug: str, import_id: int) -> Response:
    """Ask an import to end; what came in stays."""
    dataset = get_dataset(slug, "editor")
    import_ = _find_import(dataset, import_id)
    if import_.job is None:
        abort(409, "This import has ended already.")
    queue.ask_to_stop(import_.job)
    db.session.commit()
    return redirect(url_for("imports.show", slug=slug, import_id=import_id), 303)


def _sent_files(field: str, advice: str) -> list[FileStorage]:
    files = [file for file in request.files.getlist(field) if file.filename]
    if not files:
        abort(422, advice)
    return files


def _sent_images() -> list[SentFile]:
    """The sent files with their labels: the one chosen for all, or else the folder each lies in."""
    label = _sent_label()
    files = _sent_files("image", "Choose at least one image.")
    return [_as_sent(file, make_inert(file.filename), label) for file in files]


def _as_sent(file: FileStorage, name: str, label: str | None) -> SentFile:
    size = file.stream.seek(0, os.SEEK_END)
    file.stream.seek(0)
    folders = [part for part in name.replace("\\", "/").split("/")[:-1] if part not in ("", ".", "..")]
    return SentFile(name, file.stream.read, size, (label,) if label else tuple(folders[-1:]))


def _sent_label() -> str | None:
    """The label chosen for all; abort with 422 where it can't be one."""
    text = request.form.get("label", "")
    try:
        return clean_name(text, "label") if text.strip() else None
    except NameRefused as refused:
        return abort(422, str(refused))


def _find_or_add_import(dataset: Dataset, sent: list[SentFile]) -> Import:
    """The import that the page is filling batch by batch (it sends its number), or a new one."""
    number = request.form.get("import", "")
    if number.isascii() and number.isdigit() and len(number) < 19:
        import_ = _find_import(dataset, int(number))
        if import_.kind == "images" and import_.user_id == get_user().id:
            return import_
    source = sent[0].name if len(sent) == 1 else "Chosen images"
    import_ = Import(dataset_id=dataset.id, user_id=get_user().id, kind="images", source=source)
    db.session.add(import_)
    return import_


def _answer(dataset: Dataset, import_: Import, taken: list[Taken]) -> Any:
    status = 422 if all(one.outcome == "refused" for one in taken) else 200
    if wants_json():
        return jsonify(_as_report(import_, taken)), status
    if status == 422:
        return _report(dataset, import_), status
    return redirect(url_for("imports.show", slug=dataset.slug, import_id=import_.id), 303)


def _as_report(import_: Import, taken: list[Taken]) -> dict[str, Any]:
    """What became of the files, in the API's shape."""
    added = [one for one in taken if one.outcome == "added"]
    skipped = [one for one in taken if one.outcome == "skipped"]
    refused = [one for one in taken if one.outcome == "refused"]
    return {
        "import": import_.id,
        "url": url_for("imports.show", slug=request.view_args["slug"], import_id=import_.id),
        "added": [{"id": one.item.id, "file": one.sent_name} for one in added],
        "skipped": [{"file": one.sent_name, "reason": one.message} for one in skipped],
        "refused": [{"file": one.sent_name, "code": one.code, "message": one.message} for one in refused],
    }


def _start(slug: str, kind: str, source: str, upload: Path | None = None, label: str | None = None) -> Import:
    dataset = get_dataset(slug, "editor")
    import_ = start_import(dataset, get_user(), kind, source, upload, label)
    db.session.commit()
    return import_


def _find_import(dataset: Dataset, import_id: int) -> Import:
    import_ = db.session.get(Import, import_id)
    if import_ is None or import_.dataset_id != dataset.id:
        abort(404)
    return import_


def _report(dataset: Dataset, import_: Import) -> str:
    counts = {outcome: getattr(import_, outcome) for outcome in OUTCOMES}
    first = next((outcome for outcome in ("refused", "skipped", "added") if counts[outcome]), "added")
    outcome = request.args.get("outcome", first)
    if outcome not in OUTCOMES:
        abort(404)
    page = max(1, read_number("page") or 1)
    return render_template(
        "imports/show.html",
        dataset=dataset,
        import_=import_,
        progress=_progress(dataset, import_),
        outcome=outcome,
        files=_files(import_, outcome, page),
        page=page,
        pages=max(1, -(-counts[outcome] // PAGE_SIZE)),
    )


def _files(import_: Import, outcome: str, page: int) -> list[ImportFile]:
    query = select(ImportFile).where(ImportFile.import_id == import_.id, ImportFile.outcome == outcome)
    start = min((page - 1) * PAGE_SIZE, 10_000_000)
    return list(db.session.scalars(query.order_by(ImportFile.id).offset(start).limit(PAGE_SIZE)))


def _progress(dataset: Dataset, import_: Import) -> dict[str, Any]:
    job = work.describe(import_.job)
    embedding = work.embedding_of(dataset)
    return {
        **job,
        "added": import_.added,
        "skipped": import_.skipped,
        "refused": import_.refused,
        "embedding": embedding,
        "is_over": job["is_over"] and embedding["is_over"],
    }
