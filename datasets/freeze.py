"""A dataset of this application frozen for a run."""

from __future__ import annotations

from datasets.frozen import freeze_rows
from datasets.storage import place
from models import Dataset, db


def freeze(dataset: Dataset) -> tuple[list[str], list[dict]]:
    """Return (label names sorted, manifest lines) of a dataset, as `frozen.freeze_rows`."""
    return freeze_rows(db.session.connection(), dataset.id, dataset.task, place().address)
