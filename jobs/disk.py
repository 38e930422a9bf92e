"""The disk that runs take, and clearing what no version needs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from jobs import queue, runs, training, trees
from models import Dataset, Run, db


@dataclass(frozen=True)
class Usage:
    """Bytes that a dataset's runs take: each by its folder's name, all of them, and what no version needs."""

    by_run: dict[str, int]
    total: int
    spare: int


def usage(dataset: Dataset) -> Usage:
    """Look at every run folder of the dataset."""
    by_run = {run.folder: trees.size_of(training.folder_of(run)) for run in _runs(dataset)}
    spare = sum(trees.size_of(path) for path in _spare(dataset))
    return Usage(by_run, sum(by_run.values()), spare)


def clear(dataset: Dataset) -> list[Path]:
    """Delete the rows of the runs that ended without a version; the caller commits, then calls `remove`.

    What failed, was cancelled or interrupted can't be resumed afterwards.

    Returns:
        The folders to remove: those runs', and of the runs with a version what was kept to resume them.
    """
    paths = _spare(dataset)
    for run in _runs(dataset):
        if training.folder_of(run) in paths:
            if run.job is not None:
                db.session.delete(run.job)
            db.session.delete(run)
    return paths


def remove(paths: list[Path]) -> int:
    """Remove these folders and return how many bytes they took; one that is gone already is passed over."""
    size = sum(trees.size_of(path) for path in paths)
    for path in paths:
        trees.remove(path)  # the sweep takes what stays behind
    return size


def _runs(dataset: Dataset) -> list[Run]:
    return list(db.session.scalars(select(Run).where(Run.dataset_id == dataset.id).order_by(Run.id)))


def _spare(dataset: Dataset) -> list[Path]:
    """The folders that no version needs, of runs that are over."""
    paths = []
    for run in _runs(dataset):
        folder = training.folder_of(run)
        is_over = run.job is None or run.job.state in queue.ENDS
        if is_over and not runs.is_alive(folder):
            paths.append(folder if run.version is None else folder / "checkpoint")
    return paths
