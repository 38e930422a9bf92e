"""Label lists sent without images: they label what is in the dataset already."""

from __future__ import annotations

from typing import Any

from datasets import editing, intake, relabelling
from datasets.changes import ChangeRefused
from datasets.label_lists import LabelListRefused
from datasets.labelling import SentList
from datasets.names import NameRefused
from datasets.rows import report_left_out
from models import Change, Dataset, Import, db
from web.access import get_dataset, get_user
from web.errors import Refused


def relabel(slug: str, sent: SentList, options: dict[str, Any], field: str = "list") -> tuple[Import, Change]:
    """Label images of a dataset that the user may change, by the names they were sent under, and commit.

    No transaction is open while the list is read. Returns the report and the change, which can be undone.

    Args:
        slug: of the dataset; it aborts as `get_dataset` does where the user may not change it.
        sent: the list.
        options: its columns, as `Import.options` has them.
        field: of the request, that the list came in.

    Raises:
        Refused: it is no list, names none of the images, changes nothing or too much at once.
    """
    dataset = get_dataset(slug, "editor")
    names, choices = relabelling.read_names(dataset), intake.choices_of(dataset, None, options)
    db.session.rollback()  # a long list takes seconds to read: nobody waits for it
    try:
        found = relabelling.match(names, choices, sent)
        editing.check_count(found.labels)
        dataset = get_dataset(slug, "editor")
        editing.hold(dataset)
        change = relabelling.apply(dataset, found, get_user(), sent.name)
    except (LabelListRefused, ChangeRefused, NameRefused) as refused:
        raise Refused(str(refused), field, sent.name, refused.code) from refused
    import_ = _report(dataset, sent.name, found)
    db.session.commit()
    return import_, change


def _report(dataset: Dataset, source: str, found: relabelling.Found) -> Import:
    """Write down what the list did, and the rows that name no image."""
    import_ = Import(dataset_id=dataset.id, user_id=get_user().id, kind="list", source=source)
    import_.notes = found.notes
    db.session.add(import_)
    db.session.flush()
    report_left_out(import_, found.left_out)
    return import_
