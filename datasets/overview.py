"""The short view of datasets on the first page: how many items, a few of them, how good the live one is."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select, tuple_

from models import Dataset, Item, Version, db

STRIP_LENGTH = 4


@dataclass(frozen=True)
class Overview:
    """One dataset in short; `accuracy` (0 to 1) and `version` are None while no version is live."""

    dataset: Dataset
    items: int
    labels: int
    filenames: list[str]
    version: int | None
    accuracy: float | None


def look_over(datasets: list[Dataset]) -> list[Overview]:
    """Return the short view of each dataset, in the order given."""
    accuracies = _live_accuracies(datasets)
    return [
        Overview(
            dataset=dataset,
            items=dataset.counts.get("items", 0),
            labels=len(dataset.counts.get("labels", {})),
            filenames=_newest_filenames(dataset),
            version=dataset.live_version,
            accuracy=accuracies.get(dataset.id),
        )
        for dataset in datasets
    ]


def _newest_filenames(dataset: Dataset) -> list[str]:
    newest = select(Item.filename).filter_by(dataset_id=dataset.id, deleted_at=None)
    return list(db.session.scalars(newest.order_by(Item.id.desc()).limit(STRIP_LENGTH)))


def _live_accuracies(datasets: list[Dataset]) -> dict[int, float]:
    live = [(dataset.id, dataset.live_version) for dataset in datasets if dataset.live_version]
    query = select(Version).where(tuple_(Version.dataset_id, Version.number).in_(live))
    versions = db.session.scalars(query)
    return {version.dataset_id: version.metrics.get("accuracy") for version in versions}
