"""Label lists without images: they label what is in the dataset already."""

from __future__ import annotations

from flask import Blueprint, abort, redirect, url_for
from werkzeug.wrappers import Response

from datasets import editing, intake, relabelling
from datasets.editing import ChangeRefused, NameRefused
from datasets.label_lists import LabelListRefused
from datasets.rows import report_left_out
from models import Dataset, Import, db
from web.access import get_dataset, get_user
from web.limits import limits
from web.pages.items import offer_undo
from web.sent_labels import read_list, read_options

blueprint = Blueprint("lists", __name__, url_prefix="/datasets/<slug>/imports/labels")
MAX_AT_ONCE = 50_000  # images: some two seconds in which nobody else writes


@blueprint.post("")
@limits(body="MAX_CSV", rate="upload")
def label(slug: str) -> Response:
    """Label images of the dataset by a CSV that names them, and offer to undo it."""
    dataset = get_dataset(slug, "editor")
    sent = read_list() or abort(422, "Choose a CSV.")
    names, choices = relabelling.read_names(dataset), intake.choices_of(dataset, None, read_options())
    db.session.rollback()  # a long list takes seconds to read: nobody waits for it
    try:
        found = relabelling.match(names, choices, sent)
        if len(found.labels) > MAX_AT_ONCE:
            abort(422, f"{MAX_AT_ONCE:,} images are the most at once. Send the list in parts.")
        dataset = get_dataset(slug, "editor")
        editing.hold(dataset)
        change = relabelling.apply(dataset, found, get_user(), sent.name)
    except (LabelListRefused, ChangeRefused, NameRefused) as refused:
        abort(422, str(refused))
    import_ = _report(dataset, sent.name, found)
    db.session.commit()
    offer_undo(dataset, change)
    return redirect(url_for("imports.show", slug=slug, import_id=import_.id), 303)


def _report(dataset: Dataset, source: str, found: relabelling.Found) -> Import:
    """Write down what the list did, and the rows that name no image."""
    import_ = Import(dataset_id=dataset.id, user_id=get_user().id, kind="list", source=source)
    import_.notes = found.notes
    db.session.add(import_)
    db.session.flush()
    report_left_out(import_, found.left_out)
    return import_
