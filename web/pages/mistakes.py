"""A version's mistakes as a place to work: look, relabel, remove or leave as it is, and take it back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, abort, flash, jsonify, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from datasets import editing, reviews
from datasets.changes import ChangeRefused, was_followed
from datasets.names import NameRefused, clean_name
from models import Change, Dataset, Item, Review, Version, db
from serving.mistakes import Cell
from web import cells
from web.access import get_dataset, get_user
from web.answers import find_version
from web.errors import wants_json
from web.inputs import read_number
from web.mistakes import PAGE_SIZE, QUEUES, Queue, Workspace, workspace

blueprint = Blueprint("mistakes", __name__, url_prefix="/datasets/<slug>/versions/<int:number>/mistakes")


NOT_JUDGED = "This version has not judged that image, so it stands in none of its queues."


@dataclass(frozen=True)
class Done:
    """What was done about an item, in words, and by which words of an address it is taken back."""

    words: str
    undo: dict[str, int] | None = None


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
        title=cells.title(place, chosen),
        explanation=explanation,
        nothing=nothing,
        words=cells.as_query(chosen.cell),
        queues=cells.list_queues(place.dataset, place.version, queue, place),
        confusions=[
            (cells.title_of(place, cell), count, _address(place, "cell", cell))
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
    return _change(place, queue, request.form.get("item", ""), _carry_out, 422)


@blueprint.post("/<queue>/undo")
def undo(slug: str, number: int, queue: str) -> Any:
    """Take back what was done about one item: a `change`, or a `review`."""
    place = _open(slug, number, queue, "editor")
    return _change(place, queue, request.args.get("item", ""), _take_back, 409)


def _change(place: Workspace, queue: str, text: str, do: Callable[[Item], Done], refusal: int) -> Any:
    """Do something about the item that `text` names, and commit; tell a script, or lead back to the queue.

    Args:
        refusal: the status by which a script is told that it can't be done.
    """
    editing.hold(place.dataset)
    item = _item(place, text)
    try:
        done = do(item)
    except (ChangeRefused, NameRefused) as refused:
        if wants_json():
            abort(refusal, str(refused))
        flash(f"{item.sent_name}: {refused}", "danger")
        return _back(place, queue)
    db.session.commit()
    undo = url_for("mistakes.undo", **_where(place, queue), item=item.id, **done.undo) if done.undo else None
    if wants_json():
        return _as_json(place, queue, item, done.words, undo)
    flash({"text": f"{item.sent_name}: {done.words}", "undo": undo}, "success")
    return _back(place, queue)


def _item(place: Workspace, text: str) -> Item:
    """Return the item of that id if the version has judged it, so that its queues can show what was done."""
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        abort(400, "Say which image.")
    item = _of(Item, id=int(text), dataset_id=place.dataset.id)
    return item if item.sha256 in place.evaluation.places else abort(404, NOT_JUDGED)


def _of(table: Any, **which: int) -> Any:
    return db.session.query(table).filter_by(**which).one_or_none() or abort(404)


def _carry_out(item: Item) -> Done:
    """Do what the form says, one of: label (the default), set, add, leave, remove."""
    dataset, what = db.session.get(Dataset, item.dataset_id), request.form.get("do", "label")
    names = {clean_name(name, "label") for name in request.form.getlist("label") if name.strip()}
    if item.deleted_at is not None:
        raise ChangeRefused("This image was removed meanwhile. Undo that first.")
    if what == "remove":
        return _as_done(editing.delete_ids(dataset, [item.id], get_user()), "removed")
    if what not in ("label", "set", "add", "leave"):
        abort(400, "Choose to label, to leave or to remove.")
    if what in ("label", "add") and not names:
        raise ChangeRefused("Type a label first.")
    bears = {label.name for label in item.labels}
    wanted = bears | names if what == "add" else names
    if what == "leave" or wanted == bears:
        return Done("left as it is", {"review": reviews.leave(item, get_user()).id})
    made = editing.change_labels(dataset, [item.id], "set", sorted(wanted), get_user())
    return _as_done(made, f"labelled {', '.join(sorted(wanted)) or 'none of the labels'}")


def _as_done(change: Change, words: str) -> Done:
    return Done(words, {"change": change.id})


def _take_back(item: Item) -> Done:
    """Take back what the address names: the last that was done about this item, and about it alone."""
    if (number := read_number("review")) is not None:
        reviews.take_back(_of(Review, id=number, item_id=item.id))
    elif (number := read_number("change")) is not None:
        change = _of(Change, id=number, dataset_id=item.dataset_id)
        if change.kind not in ("relabel", "delete") or change.before.keys() != {str(item.id)}:
            abort(404)
        if change.kind == "relabel" and change.undone_at is None and was_followed(change):
            raise ChangeRefused("It was changed again since, which would be lost. Look at it as it is now.")
        editing.undo(change)
    else:
        abort(400, "Say what is to be taken back.")
    return Done("taken back")


def _as_json(place: Workspace, queue: str, item: Item, words: str, undo: str | None = None) -> Response:
    """What a script needs after something was done: the item's new card, and how to take it back.

    In the queue of look-alikes also the new cards of those that it looks like, by their elements' ids.
    """
    fresh = Workspace(place.dataset, place.version, place.evaluation)
    chosen = fresh.open(queue, cells.read(fresh))
    return jsonify(
        words=words,
        name=item.sent_name,
        card=_card(fresh, chosen, item),
        beside={f"item-{other.id}": _card(fresh, chosen, other) for other in fresh.look_alikes(chosen, item)},
        undo=undo,
        left=chosen.total - chosen.done,
        done=chosen.done,
        total=chosen.total,
        put_right=fresh.put_right,
    )


def _card(place: Workspace, queue: Queue, item: Item) -> str:
    return render_template("mistakes/one.html", **_facts(place, queue), card=place.card_of(queue, item))


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
