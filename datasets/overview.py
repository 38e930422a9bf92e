"""The short view of datasets on the first page: how many items, a few of them, how good the live one is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, tuple_

from models import Dataset, Item, Version, db

STRIP_LENGTH = 4


@dataclass(frozen=True)
class Overview:
    """One dataset in short; `score` and `version` are None while no version is live.

    `score` is how good the live version is, 0 to 1: its accuracy, or with `is_f1` its micro F1.
    """

    dataset: Dataset
    items: int
    labels: int
    filenames: list[str]
    version: int | None
    score: float | None
    is_f1: bool


def look_over(datasets: list[Dataset]) -> list[Overview]:
    """Return the short view of each dataset, in the order given."""
    scores = _live_scores(datasets)
    return [
        Overview(
            dataset=dataset,
            items=dataset.counts.get("items", 0),
            labels=len(dataset.counts.get("labels", {})),
            filenames=_newest_filenames(dataset),
            version=dataset.live_version,
            score=scores.get(dataset.id, {}).get("value"),
            is_f1=scores.get(dataset.id, {}).get("name") == "micro_f1",
        )
        for dataset in datasets
    ]


def _newest_filenames(dataset: Dataset) -> list[str]:
    newest = select(Item.filename).filter_by(dataset_id=dataset.id, deleted_at=None)
    return list(db.session.scalars(newest.order_by(Item.id.desc()).limit(STRIP_LENGTH)))


def _live_scores(datasets: list[Dataset]) -> dict[int, dict[str, Any]]:
    live = [(dataset.id, dataset.live_version) for dataset in datasets if dataset.live_version]
    query = select(Version).where(tuple_(Version.dataset_id, Version.number).in_(live))
    versions = db.session.scalars(query)
    return {version.dataset_id: _score(version.metrics) for version in versions}


def _score(metrics: dict[str, Any]) -> dict[str, Any]:
    """The score; versions of before there were several recipes have their accuracy alone."""
    return metrics.get("score") or {"name": "accuracy", "value": metrics.get("accuracy")}
