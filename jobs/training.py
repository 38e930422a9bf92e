"""Runs: started from a frozen manifest, cancelled, resumed, and settled into versions."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from flask import current_app
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from datasets import renaming
from datasets.freeze import freeze
from jobs import following, promotion, queue, runs, uploaded
from learning.package import read_spec
from learning.uploads.facts import ModelRefused
from models import TASKS, Dataset, Run, User, Version, db

SEED = 1
MULTI_LABEL = TASKS[1]


class NotTrainable(ValueError):
    """There is not enough to learn from; the message says what is missing."""


def start_run(
    dataset: Dataset,
    user: User | None,
    recipe: str = "quick",
    backbone: str = "efficientnet-lite0",
    settings: dict[str, Any] | None = None,
) -> Run:
    """Freeze the dataset into a run folder and put the run into the queue.

    Raises:
        NotTrainable: fewer than two labels have images, or a label has fewer than two; of a multi-label
            dataset, no label is one that several images have and another lacks.
            The model of recipe `uploaded` was swept, or its labels or scaling have to be said.
        queue.TooManyWaiting: the user has too many runs waiting.
    """
    queue.require_room("run", user)
    labels, items = freeze(dataset)
    _check_trainable(dataset.task, labels, items)
    chosen = {**_frame(dataset), "recipe": recipe, "backbone": backbone, **(settings or {})}
    folder, settled = _create_folder(dataset, chosen, labels, items)
    run = Run(
        dataset_id=dataset.id,
        user_id=user.id if user else None,
        job=queue.submit("run", dataset, user),
        folder=folder.name,
        recipe=recipe,
        backbone=backbone,
        settings={name: settled[name] for name in settings or {}},
        label_ids=renaming.find_ids(dataset.id, runs.read_labels(folder)),
    )
    db.session.add(run)
    db.session.flush()
    return run


def _create_folder(
    dataset: Dataset, chosen: dict[str, Any], labels: list[str], items: list[dict]
) -> tuple[Path, dict[str, Any]]:
    """Make the run's folder; return it and the settings as they stand there."""
    if chosen["recipe"] != "uploaded":
        return runs.create(_root(), chosen, labels, items), chosen
    try:
        found, labels, settled = uploaded.choose(dataset, chosen, labels)
    except ModelRefused as refused:
        raise NotTrainable(str(refused)) from refused
    folder = runs.create(_root(), settled, labels, items)
    uploaded.place(chosen["model"], found, folder)
    return folder, settled


def _frame(dataset: Dataset) -> dict[str, Any]:
    settings = current_app.config["PIGEONHOLE"]
    return {
        "dataset": dataset.name,
        "task": dataset.task,
        "seed": SEED,
        "train_on_all": settings.train_on_all,
        "backbones": str(settings.folder("backbones")),
        "embeddings": str(settings.folder("embeddings")),
    }


def _check_trainable(task: str, labels: list[str], items: list[dict]) -> None:
    counts = Counter(dict.fromkeys(labels, 0))
    counts.update(label for item in items for label in item["labels"])
    used = {label: count for label, count in counts.items() if count}
    if task == MULTI_LABEL:
        if not any(2 <= count < len(items) for count in used.values()):
            raise NotTrainable("Training needs a label that at least two images have and another lacks.")
        return
    if len(used) < 2:
        has = f"only “{next(iter(used))}” has any" if used else "no image has one yet"
        raise NotTrainable(f"Training needs images of at least two labels; {has}.")
    few = [f"“{label}”" for label, count in used.items() if count < 2]
    if few:
        raise NotTrainable(f"Every label needs at least two images; add more to {', '.join(few[:5])}.")


def cancel(run: Run) -> None:
    """Cancel a run that waits; ask its trainer to end it where it is at work."""
    queue.ask_to_stop(run.job)
    if run.job.state == "running":
        runs.ask_to_stop(folder_of(run))


def resume(run: Run) -> None:
    """Take a failed, cancelled or interrupted run up again, from where it was.

    Raises:
        queue.NotResumable: it waits, is at work or has finished.
    """
    queue.resume(run.job)
    runs.reopen(folder_of(run))


def settle_run(run: Run) -> Version | None:
    """Make the version of a run whose head is solved, or bring it up to date; None while there is none.

    Numbers are 1, 2, 3 … in a dataset. Whether it goes live by itself is settled once, when it is made.
    """
    result = runs.read_result(folder_of(run))
    if not result or result["state"] != "finished":
        return None
    version = run.version or _add_version(run, result)
    version.metrics = {name: value for name, value in result.items() if name not in ("state", "message")}
    version.proven = read_spec(folder_of(run) / "package")["proven"]
    return version


def _add_version(run: Run, result: dict[str, Any]) -> Version:
    """Add the version under the next free number; two workers at once get two numbers."""
    while True:
        try:
            with db.session.begin_nested():
                version = Version(
                    dataset_id=run.dataset_id,
                    run=run,
                    number=_next_number(run.dataset_id),
                    labels=runs.read_labels(folder_of(run)),
                    metrics=result,
                )
                db.session.add(version)
        except IntegrityError:
            continue
        dataset = db.session.get(Dataset, version.dataset_id)
        promotion.settle(dataset, version, find_version(dataset, dataset.live_version))
        return version


def _next_number(dataset_id: int) -> int:
    highest = select(func.max(Version.number)).where(Version.dataset_id == dataset_id)
    retired = select(Dataset.retired_version).where(Dataset.id == dataset_id)
    return max(db.session.scalar(highest) or 0, db.session.scalar(retired) or 0) + 1


def find_version(dataset: Dataset, number: int | None) -> Version | None:
    """The dataset's version of that number, or None."""
    if number is None:
        return None
    return db.session.scalar(
        select(Version).where(Version.dataset_id == dataset.id, Version.number == number)
    )


def folder_of(run: Run) -> Path:
    """The run's folder."""
    return _root() / run.folder


def package_folder(version: Version) -> Path:
    """Where the version's package lies."""
    return folder_of(version.run) / "package"


def progress(run: Run) -> list[dict[str, Any]]:
    """The trainer's events, oldest first, without those that `following.follow` leaves out."""
    return following.follow(folder_of(run))


def log(run: Run, most: int = 100_000) -> str:
    """The end of the trainer's log, `most` bytes at most."""
    return read_log(run, None, most).decode("utf-8", "replace")


def read_log(run: Run, after: int | None = None, most: int = 100_000) -> bytes:
    """The trainer's log from byte `after` on, or the end of it; `most` bytes at most."""
    path = folder_of(run) / "log.txt"
    if not path.exists():
        return b""
    with path.open("rb") as file:
        size = path.stat().st_size
        file.seek(max(0, size - most) if after is None else min(after, size))
        return file.read(most)


def _root() -> Path:
    return current_app.config["PIGEONHOLE"].folder("runs")
