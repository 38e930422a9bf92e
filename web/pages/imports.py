"""Imports: images and zips in through the browser, with a report for every file."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, abort, current_app, jsonify, redirect, render_template, request, url_for
from sqlalchemy import select
from werkzeug.datastructures import FileStorage
from werkzeug.wrappers import Response

from datasets import intake
from datasets.checking import SentFile
from datasets.label_lists import LabelListRefused
from datasets.labelling import File, label_files
from datasets.names import make_inert
from datasets.rows import Taken, add_rows, report_left_out
from datasets.sources import Brought
from jobs import imports, queue
from jobs.imports import request_embedding, start_import
from models import OUTCOMES, Dataset, Import, ImportFile, db
from web import uploads, work
from web.access import get_dataset, get_user
from web.errors import wants_json
from web.inputs import read_number
from web.limits import limits
from web.sent_labels import label_images, read_list, read_options, sent_label, sent_list

blueprint = Blueprint("imports", __name__, url_prefix="/datasets/<slug>/imports")

PAGE_SIZE = 100
RECENT = 20
MAX_NOTES = 20


@blueprint.get("/")
def index(slug: str) -> str:
    """Show the ways in, and what came in lately."""
    dataset = get_dataset(slug, "editor")
    query = select(Import).where(Import.dataset_id == dataset.id).order_by(Import.id.desc()).limit(RECENT)
    return render_template("imports/index.html", dataset=dataset, imports=db.session.scalars(query).all())


@blueprint.post("/images")
@limits(body="MAX_IMAGE_BATCH", rate="upload")
def add_images(slug: str) -> Any:
    """Take images; `label` is one for all, else a CSV or labelme's files say, else each one's folder."""
    dataset = get_dataset(slug, "editor")
    files = _sent_files("image", "Choose at least one image.")
    brought = label_images(files, intake.choices_of(dataset, sent_label(), read_options()))
    import_ = _find_or_add_import(dataset, brought.files)
    _note(import_, brought)
    import_id = import_.id
    db.session.commit()
    checked = intake.check_all(brought.files)  # no transaction is open while images are decoded
    dataset = get_dataset(slug, "editor")  # it may be deleted by now, or no longer theirs to change
    import_ = _find_import(dataset, import_id)
    taken = add_rows(dataset, checked, import_)
    request_embedding(dataset)
    db.session.commit()
    return _answer(dataset, import_, taken)


def _note(import_: Import, brought: Brought) -> None:
    """Write down what a person should know of an import, and what is left out of it."""
    import_.notes = [*(import_.notes or []), *brought.notes][:MAX_NOTES]
    db.session.flush()
    report_left_out(import_, brought.left_out)


@blueprint.post("/list")
@limits(body="MAX_CSV", rate="upload")
def add_list(slug: str) -> Response:
    """Take a CSV before the images it names, and say which labels each of them bears.

    `names` is a file with the path of an image on each line. Images without an answer are not wanted. The
    import made here is the one to fill.
    """
    dataset = get_dataset(slug, "editor")
    sent = read_list() or abort(422, "Choose a CSV.")
    names = _read_lines(_sent_files("names", "Name the images.")[0])
    try:
        choices = intake.choices_of(dataset, sent_label(), read_options())
        labelling = label_files({name: File(bytes, 0) for name in names}, choices, sent)
    except LabelListRefused as refused:
        abort(422, str(refused))
    import_ = _add_images_import(dataset, sent.name)
    _note(import_, Brought([], labelling.left_out, labelling.notes))
    db.session.commit()
    address = url_for("imports.show", slug=slug, import_id=import_.id)
    return jsonify(
        {"import": import_.id, "url": address, "labels": labelling.labels, "notes": labelling.notes}
    )


@blueprint.post("/zip")
@limits(body="MAX_ZIP", rate="upload")
def add_zip(slug: str) -> Any:
    """Take a zip, check its frame at once and work through it in the background."""
    get_dataset(slug, "editor")
    sent, table = _sent_files("archive", "Choose a zip.")[0], sent_list()
    import_ = uploads.take_zip(slug, sent, table, sent_label(), read_options())
    address = url_for("imports.show", slug=slug, import_id=import_.id)
    return (jsonify(import_id=import_.id, url=address), 202) if wants_json() else redirect(address, 303)


@blueprint.post("/digits")
@limits(rate="upload")
def add_digits(slug: str) -> Response:
    """Take the sample of handwritten digits, to try the house with."""
    import_ = start_import(get_dataset(slug, "editor"), get_user(), "digits", "Sample digits")
    db.session.commit()
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


@blueprint.post("/<int:import_id>/retry")
def retry(slug: str, import_id: int) -> Response:
    """Work through a failed import again; what is in already is skipped."""
    dataset = get_dataset(slug, "editor")
    try:
        imports.try_again(_find_import(dataset, import_id))
    except queue.NotResumable as refused:
        abort(409, str(refused))
    db.session.commit()
    return redirect(url_for("imports.show", slug=slug, import_id=import_id), 303)


def _sent_files(field: str, advice: str) -> list[FileStorage]:
    files = [file for file in request.files.getlist(field) if file.filename]
    if not files:
        abort(422, advice)
    return files


def _read_lines(file: FileStorage) -> list[str]:
    text = file.stream.read().decode("utf-8", "replace")
    if text.count("\n") > (most := current_app.config["PIGEONHOLE"].max_zip_members):
        abort(422, f"More than {most:,} images are too many at once. Send them in parts.")
    return list(
        dict.fromkeys(make_inert(line).replace("\\", "/") for line in text.split("\n") if line.strip())
    )


def _find_or_add_import(dataset: Dataset, sent: list[SentFile]) -> Import:
    """The import that the page is filling batch by batch (it sends its number), or a new one."""
    number = request.form.get("import", "")
    if number.isascii() and number.isdigit() and len(number) < 19:
        import_ = _find_import(dataset, int(number))
        if import_.kind == "images" and import_.user_id == get_user().id:
            return import_
    return _add_images_import(dataset, sent[0].name if len(sent) == 1 else "Chosen images")


def _add_images_import(dataset: Dataset, source: str) -> Import:
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
        can_try_again=imports.can_try_again(import_),
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
