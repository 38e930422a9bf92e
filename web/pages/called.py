"""Images that people called wrongly answered: taken into the dataset with their label, or passed over."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, abort, flash, jsonify, redirect, render_template, request, url_for
from sqlalchemy import select
from werkzeug.wrappers import Response

from datasets import editing, reviews, storage
from datasets.checking import SentFile
from models import Dataset, Item, Prediction, Review, db
from serving import called_wrong
from web import cells, sent_images
from web.access import get_dataset, get_user
from web.answers import find_version
from web.errors import wants_json
from web.inputs import read_number
from web.limits import limits
from web.mistakes import PAGE_SIZE

blueprint = Blueprint("called", __name__, url_prefix="/datasets/<slug>/versions/<int:number>/mistakes/called")


@blueprint.get("")
def show(slug: str, number: int) -> str:
    """Show what was called wrong and is still to do or, with `done`, what is settled."""
    dataset = get_dataset(slug, "editor")
    version = find_version(dataset, number)
    is_done = "done" in request.args
    predictions, following = called_wrong.page(dataset, read_number("after"), is_done, PAGE_SIZE)
    return render_template(
        "mistakes/called.html",
        dataset=dataset,
        version=version,
        queues=cells.list_queues(dataset, version, "called"),
        counts=called_wrong.count(dataset),
        predictions=predictions,
        given=called_wrong.labels_given,
        next_after=following,
        page_size=PAGE_SIZE,
        is_done=is_done,
    )


@blueprint.post("")
@limits(rate="upload")
def act(slug: str, number: int) -> Any:
    """Take one image into the dataset with the labels of the form, or pass it over (`do` is `pass`)."""
    dataset = get_dataset(slug, "editor")
    prediction = _prediction(dataset, request.form.get("prediction", ""))
    undo = {"prediction": prediction.public_id}
    words = "passed over"
    if request.form.get("do") != "pass":
        words, undo["item"] = _take(slug, prediction)
    dataset = get_dataset(slug, "editor")
    editing.hold(dataset)
    prediction = _prediction(dataset, undo["prediction"])
    reviews.settle(prediction, get_user())
    db.session.commit()
    undo = {name: value for name, value in undo.items() if value is not None}
    address = url_for("called.undo", slug=slug, number=number, **undo)
    return _answer(dataset, number, prediction, words, address)


def _take(slug: str, prediction: Prediction) -> tuple[str, int | None]:
    """Take the image in; return what became of it, and the id of the item that is new."""
    labels = tuple(name for name in request.form.getlist("label") if name.strip())
    if not labels:
        abort(422, "Say what it is first.")
    try:
        content = storage.read_original(prediction.filename)
    except FileNotFoundError:
        abort(409, "The image is not kept any more.")
    name = prediction.sent_name or prediction.filename
    (taken,) = sent_images.take(slug, [SentFile(name, lambda: content, len(content), labels)])
    if taken.outcome == "refused":
        abort(422, taken.message)
    if taken.outcome == "skipped":
        bears = ", ".join(sorted(label.name for label in taken.item.labels)) or "none of the labels"
        return f"in the dataset already, labelled {bears}", None
    return f"added as {', '.join(labels)}", taken.item.id


@blueprint.post("/undo")
def undo(slug: str, number: int) -> Any:
    """Take that back: the item is deleted, and the image stands among those called wrong again."""
    dataset = get_dataset(slug, "editor")
    prediction = _prediction(dataset, request.args.get("prediction", ""))
    review = db.session.scalar(select(Review).filter_by(prediction_id=prediction.id))
    if review is None:
        abort(409, "This was taken back already.")
    editing.hold(dataset)
    item_id = read_number("item")
    theirs = select(Item).filter_by(id=item_id, dataset_id=dataset.id, deleted_at=None)
    if item_id is not None and (item := db.session.scalar(theirs)):
        editing.delete_ids(dataset, [item.id], get_user())
    reviews.take_back(review)
    db.session.commit()
    return _answer(dataset, number, prediction, "taken back")


def _answer(
    dataset: Dataset, number: int, prediction: Prediction, words: str, undo: str | None = None
) -> Response:
    """Lead back to the page or, for a script that asks so, say what was done with the card as it is now."""
    name = prediction.sent_name or "The image"
    if not wants_json():
        flash({"text": f"{name}: {words}", "undo": undo} if undo else f"{name}: {words}.", "success")
        return redirect(url_for("called.show", slug=dataset.slug, number=number), 303)
    facts = {
        "dataset": dataset,
        "prediction": prediction,
        "given": called_wrong.labels_given,
        "number": number,
    }
    card = render_template("mistakes/called_one.html", **facts, state=words if undo else None)
    counts = called_wrong.count(dataset)
    return jsonify(words=words, name=name, card=card, undo=undo, left=counts.left, done=counts.done)


def _prediction(dataset: Dataset, public_id: str) -> Prediction:
    if not public_id:
        abort(400, "Say which image.")
    query = select(Prediction).filter_by(dataset_id=dataset.id, public_id=public_id)
    return db.session.scalar(query.where(Prediction.filename.is_not(None))) or abort(404)
