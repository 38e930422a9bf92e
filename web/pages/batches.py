"""Batches: send a zip of images, watch it being answered, take the answers along as a table."""

from __future__ import annotations

from typing import Any

from flask import (
    Blueprint,
    Response,
    abort,
    current_app,
    jsonify,
    redirect,
    render_template,
    request,
    url_for,
)
from sqlalchemy import select

from datasets.archives import ArchiveRefused
from datasets.names import make_inert
from jobs import batches, queue
from models import Batch, Dataset, db
from serving import results
from web import uploads, waiting, work
from web.access import get_dataset, get_user, has_role
from web.answers import find_version
from web.errors import Refused, wants_json
from web.limits import limits

blueprint = Blueprint("batches", __name__, url_prefix="/datasets/<slug>/predict/batches")

RECENT = 20
FORMS = {"csv": ("text/csv", results.as_csv), "jsonl": ("application/jsonl", results.as_json_lines)}


@blueprint.get("/")
def index(slug: str) -> str:
    """Show the place to send a zip, and the batches of before."""
    dataset = _get_dataset(slug)
    query = select(Batch).where(Batch.dataset_id == dataset.id).order_by(Batch.id.desc()).limit(RECENT)
    if not has_role(get_user(), dataset, "viewer"):
        query = query.where(Batch.user_id == get_user().id)
    lines = [(batch, work.describe(batch.job)) for batch in db.session.scalars(query)]
    return render_template("batches/index.html", dataset=dataset, batches=lines)


@blueprint.post("/")
@limits(body="MAX_ZIP", rate="upload")
def add(slug: str) -> Any:
    """Take a zip, check its frame at once, and answer it in the background by the version live now."""
    find_version(_get_dataset(slug))
    sent = request.files.get("file")
    if sent is None or not sent.filename:
        abort(422, "Choose a zip.")
    name = make_inert(sent.filename)
    db.session.rollback()  # a large file is copied and checked: nobody waits for us
    try:
        path = uploads.keep_archive(sent)
    except ArchiveRefused as refused:
        raise Refused(f"{name}: {refused}", "file", name, refused.code) from refused
    try:
        batch = batches.start_batch(find_version(_get_dataset(slug)), get_user(), name, path)
        db.session.commit()
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    address = url_for("batches.show", slug=slug, batch_id=batch.id)
    return (jsonify(url=address), 201) if wants_json() else redirect(address, 303)


@blueprint.get("/<int:batch_id>")
def show(slug: str, batch_id: int) -> str:
    """Show how far a batch is, and where its answers are."""
    dataset, batch = _get(slug, batch_id)
    path = results.find(batches.folder_of(batch))
    may_end = batch.user_id == get_user().id or has_role(get_user(), dataset, "editor")
    facts = {"progress": _progress(batch), "has_answers": path is not None, "may_end": may_end}
    days = _days_kept(dataset)
    return render_template("batches/show.html", dataset=dataset, batch=batch, days=days, **facts)


@blueprint.get("/<int:batch_id>/progress.json")
def progress(slug: str, batch_id: int) -> Response:
    """The same as numbers, for the page to follow."""
    return jsonify(_progress(_get(slug, batch_id)[1]))


@blueprint.post("/<int:batch_id>/cancel")
def cancel(slug: str, batch_id: int) -> Any:
    """Ask a batch to end; what is answered is kept."""
    dataset, batch = _get(slug, batch_id)
    if batch.user_id != get_user().id:
        get_dataset(dataset.slug, "editor")
    if batch.job is not None:
        queue.ask_to_stop(batch.job)
        db.session.commit()
        batches.clear_upload(batch)
    return redirect(url_for("batches.show", slug=slug, batch_id=batch_id), 303)


@blueprint.get("/<int:batch_id>/answers.<form>")
def answers(slug: str, batch_id: int, form: str) -> Response:
    """Give the answers, as far as there are some: as a CSV, or as lines of JSON."""
    dataset, batch = _get(slug, batch_id)
    path = results.find(batches.folder_of(batch))
    if form not in FORMS or path is None:
        abort(404)
    media_type, read = FORMS[form]
    response = Response(read(path), mimetype=media_type)
    name = f"{dataset.slug}-{batch.id}.{form}"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _get_dataset(slug: str) -> Dataset:
    """Return a dataset that the user, who is signed in, may predict with."""
    if get_user() is None:
        abort(401)
    return get_dataset(slug, allow_public=True)


def _get(slug: str, batch_id: int) -> tuple[Dataset, Batch]:
    """Return a batch that the user may see: their own, and as a member of the dataset all; else abort."""
    dataset, batch = _get_dataset(slug), db.session.get(Batch, batch_id)
    if batch is None or batch.dataset_id != dataset.id:
        abort(404)
    if batch.user_id != get_user().id and not has_role(get_user(), dataset, "viewer"):
        abort(404)
    return dataset, batch


def _progress(batch: Batch) -> dict[str, Any]:
    return {**work.describe(batch.job), "refused": batch.refused, "when": waiting.when(batch.job)}


def _days_kept(dataset: Dataset) -> int:
    usual = current_app.config["PIGEONHOLE"].prediction_days
    return usual if dataset.prediction_days is None else dataset.prediction_days
