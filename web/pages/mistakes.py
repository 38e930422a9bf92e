"""A version's mistakes as a place to work: look, relabel, remove or leave as it is, and take it back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import Blueprint, abort, flash, jsonify, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from datasets import editing, reviews
from datasets.changes import ChangeRefused
from datasets.names import NameRefused
from models import Change, Dataset, Item, Review, Version, db
from serving.mistakes import Cell
from web import cells
from web.access import get_dataset, get_user
from web.answers import find_version
from web.errors import wants_json
from web.inputs import read_number
from web.mistakes import PAGE_SIZE, QUEUES, Queue, Workspace, workspace

blueprint = Blueprint("mistakes", __name__, url_prefix="/datasets/<slug>/versions/<int:number>/mistakes")


@dataclass(frozen=True)
class Done:
    """What was done about an item, in words, and the address' words by which it is taken back."""

    words: str
    undo: dict[str, int]


@blueprint.get("/")
def index(slug: str, number: int) -> Response:
    """Lead to the first queue in which there is something to do."""
    place = _open(slug, number)
    queues = (place.open(name) for name in ("suspects", "wrong", "unsure"))
    found = next((queue.name for queue in queues if queue.done < queue.total), "wrong")
    return redirect(url_for("mistakes.show", slug=slug, number=number, queue=found))


@blueprint.get("/<queue>")
def show(slug: str, number: int, queue: str) -> str:
    """Show one queue, a page at a time: what is to do in it or, with `done`, what was done."""
    place = _open(slug, number, queue)
    chosen = place.open(queue, cells.read(place))
    is_done = "done" in request.args
    explanation, nothing = cells.WORDS[queue]
    return render_template(
        "mistakes/show.html",
        **_facts(place, chosen),
        title=cells.title(place.version, chosen),
        explanation=explanation,
        nothing=nothing,
        words=cells.as_query(chosen.cell),
        queues=cells.list_queues(place.dataset, place.version, queue, place),
        confusions=[
            (cells.title_of(place.version, cell), count, _address(place, "cell", cell))
            for cell, count in _cells(place, queue)
        ],
        page=place.page(chosen, read_number("after"), is_done),
        page_size=PAGE_SIZE,
        is_done=is_done,
        again=url_for("runs.again", slug=slug, name=place.version.run.folder),
    )


def _facts(place: Workspace, queue: Queue) -> dict[str, Any]:
    """What every template of a queue needs; `address` is where its forms go."""
    kept = {name: request.args[name] for name in ("after", "done") if name in request.args}
    address = url_for("mistakes.act", **_where(place, queue.name), **kept)
    return {
        "dataset": place.dataset,
        "version": place.version,
        "place": place,
        "queue": queue,
        "address": address,
    }


def _cells(place: Workspace, queue: str) -> list[tuple[Cell, int]]:
    return place.confusions() if queue == "cell" else []


@blueprint.post("/<queue>")
def act(slug: str, number: int, queue: str) -> Any:
    """Relabel or remove one item, or leave it as it is; for a script that asks so the answer is JSON."""
    place = _open(slug, number, queue, "editor")
    item = _item(place.dataset, request.form.get("item", ""))
    editing.hold(place.dataset)
    try:
        done = _carry_out(place.dataset, item)
    except (ChangeRefused, NameRefused) as refused:
        if wants_json():
            abort(422, str(refused))
        flash(str(refused), "danger")
        return _back(place, queue)
    db.session.commit()
    undo = url_for("mistakes.undo", **_where(place, queue), item=item.id, **done.undo)
    if wants_json():
        return _as_json(place, queue, item, done.words, undo)
    flash({"text": f"{item.sent_name}: {done.words}", "undo": undo}, "success")
    return _back(place, queue)


def _carry_out(dataset: Dataset, item: Item) -> Done:
    """Do what the form says, one of: label (the default), set, add, leave, remove."""
    what = request.form.get("do", "label")
    names = [name for name in request.form.getlist("label") if name.strip()]
    if item.deleted_at is not None:
        raise ChangeRefused("This image was removed meanwhile. Undo that first.")
    if what == "remove":
        return _as_done(editing.delete_ids(dataset, [item.id], get_user()), "removed")
    if what not in ("label", "set", "add", "leave"):
        abort(400, "Choose to label, to leave or to remove.")
    if what == "label" and not names:
        raise ChangeRefused("Type a label first.")
    bears = {label.name for label in item.labels}
    wanted = bears | set(names) if what == "add" else set(names)
    if what == "leave" or wanted == bears:
        return Done("left as it is", {"review": reviews.leave(item, get_user()).id})
    made = editing.change_labels(dataset, [item.id], "set", sorted(wanted), get_user())
    return _as_done(made, f"labelled {', '.join(sorted(wanted)) or 'none of the labels'}")


def _as_done(change: Change, words: str) -> Done:
    return Done(words, {"change": change.id})


@blueprint.post("/<queue>/undo")
def undo(slug: str, number: int, queue: str) -> Any:
    """Take back what was done about one item: a `change`, or a `review`."""
    place = _open(slug, number, queue, "editor")
    item = _item(place.dataset, request.args.get("item", ""))
    editing.hold(place.dataset)
    try:
        _take_back(place.dataset)
    except ChangeRefused as refused:
        abort(409, str(refused))
    db.session.commit()
    if wants_json():
        return _as_json(place, queue, item, "taken back")
    flash(f"{item.sent_name}: taken back.", "success")
    return _back(place, queue)


def _take_back(dataset: Dataset) -> None:
    if (number := read_number("review")) is not None:
        reviews.take_back(_part(Review, number, dataset))
    elif (number := read_number("change")) is not None:
        change = _part(Change, number, dataset)
        if change.kind not in ("relabel", "delete"):
            abort(404)
        editing.undo(change)
    else:
        abort(400, "Say what is to be taken back.")


def _part(table: Any, number: int, dataset: Dataset) -> Any:
    return db.session.query(table).filter_by(id=number, dataset_id=dataset.id).one_or_none() or abort(404)


def _item(dataset: Dataset, text: str) -> Item:
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        abort(400, "Say which image.")
    return _part(Item, int(text), dataset)


def _as_json(place: Workspace, queue: str, item: Item, words: str, undo: str | None = None) -> Response:
    """What a script needs after something was done: the item's new card, and how to take it back."""
    fresh = Workspace(place.dataset, place.version, place.evaluation)
    chosen = fresh.open(queue, cells.read(fresh))
    card = fresh.card_of(chosen, item) or abort(404, "This image was not judged by this version.")
    html = render_template("mistakes/one.html", **_facts(fresh, chosen), card=card)
    return jsonify(
        words=words,
        name=item.sent_name,
        card=html,
        undo=undo,
        left=chosen.total - chosen.done,
        done=chosen.done,
        put_right=fresh.put_right,
    )


def _back(place: Workspace, queue: str) -> Response:
    more = {name: request.args[name] for name in ("after", "done") if name in request.args}
    return redirect(url_for("mistakes.show", **_where(place, queue), **more, _anchor="images"), 303)


def _where(place: Workspace, queue: str) -> dict[str, Any]:
    """What an address says of a queue."""
    return {
        "slug": place.dataset.slug,
        "number": place.version.number,
        "queue": queue,
        **cells.as_query(cells.read(place)),
    }


def _address(place: Workspace, queue: str, cell: Cell | None = None) -> str:
    cell = cell or Cell()
    return url_for(
        "mistakes.show",
        slug=place.dataset.slug,
        number=place.version.number,
        queue=queue,
        **cells.as_query(cell),
    )


def _open(slug: str, number: int, queue: str = QUEUES[0], role: str = "viewer") -> Workspace:
    dataset = get_dataset(slug, role)
    if queue not in QUEUES:
        abort(404)
    version: Version = find_version(dataset, number)
    return workspace(dataset, version)
