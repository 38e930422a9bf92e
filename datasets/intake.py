"""The one door by which images become items: checked and stored first, rows after, nothing committed here."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, closing
from itertools import islice

from flask import current_app
from sqlalchemy import select

from datasets import storage
from datasets.archives import Limits
from datasets.checking import Image, Refusal, SentFile, check_and_store, read_bytes
from datasets.label_lists import Columns
from datasets.labelling import Choices
from datasets.labels import count_labels
from datasets.rows import Taken, add_rows, load_splitter, report_left_out
from datasets.sources import Brought, open_source
from models import Dataset, Import, ImportFile, db

BATCH = 100  # files between two commits: seconds for large photos, and all that a kill -9 can cost
LEFT_OUT_BATCH = 2_000  # rows of files that stay out, between two commits
GROUP = 5  # files a thread takes at once: fewer hand-overs between threads
_CORES = os.cpu_count() or 1


def take(
    dataset: Dataset,
    sent_name: str,
    content: bytes,
    label_names: Iterable[str] = (),
    import_: Import | None = None,
) -> Taken:
    """Take one image in: check it, store its bytes and thumbnail, add its rows. Does not commit.

    Args:
        dataset: where it goes.
        sent_name: for showing only.
        content: the file's bytes.
        label_names: none or one; any number where the dataset's task is multi-label.
        import_: where the outcome is written down.

    Raises:
        StorageFull: the disk is nearly full.
    """
    return take_all(dataset, [read_bytes(sent_name, content, tuple(label_names))], import_)[0]


def take_all(dataset: Dataset, files: list[SentFile], import_: Import | None = None) -> list[Taken]:
    """Take files in as `take` does, decoding on all cores. Does not commit.

    Raises:
        StorageFull: the disk is nearly full.
    """
    return add_rows(dataset, check_all(files), import_)


def check_all(files: list[SentFile]) -> list[Image | Refusal]:
    """Check and store files on all cores, touching no row; `rows.add_rows` makes items of them.

    Raises:
        StorageFull: the disk is nearly full.
    """
    storage.require_free_space(sum(file.size for file in files))
    with closing(_check_ahead(files)) as batches:
        return [one for batch in batches for one in batch]


def work_through(import_: Import) -> Iterator[tuple[int, int | None]]:
    """Do an import batch by batch, yielding (files done, files in all) after each for the caller to commit.

    No transaction is open while images are decoded. Bytes are on the disk before their rows. What an earlier
    attempt at this import has already committed is not done again.

    Raises:
        ArchiveRefused: the zip as a whole is not taken.
        LabelListRefused: nor is its label list.
        StorageFull: the disk is nearly full; what was committed stays.
    """
    dataset_id, opening = import_.dataset_id, _opening_of(import_)
    yield 0, None
    with opening as brought:
        import_.notes = brought.notes
        dataset = db.session.get(Dataset, dataset_id)
        splitter = load_splitter(dataset)
        done_names = set(_reported_names(import_))
        done, total = len(done_names), len(brought.files) + len(brought.left_out)
        yield done, total
        left_out = [one for one in brought.left_out if one.name not in done_names]
        for start in range(0, len(left_out), LEFT_OUT_BATCH):
            done += report_left_out(import_, left_out[start : start + LEFT_OUT_BATCH])
            yield done, total
        files = [file for file in brought.files if file.name not in done_names]
        with closing(_check_ahead(files)) as batches:
            for checked in batches:
                storage.flush()
                done += len(add_rows(dataset, checked, import_, splitter))
                yield done, total


def _opening_of(import_: Import) -> AbstractContextManager[Brought]:
    """Read the rows that opening the source needs, so that no transaction is open while it is read."""
    options = import_.options or {}
    choices = choices_of(import_.dataset, import_.label, options)
    list_at = (options.get("list_name", "The CSV"), options["list"]) if options.get("list") else None
    return open_source(import_.kind, import_.upload, choices, limits(), list_at)


def choices_of(dataset: Dataset, label: str | None, options: dict) -> Choices:
    """Return how labels are found for this dataset; `options` are an import's."""
    columns = Columns(options.get("file_column", ""), tuple(options.get("label_columns", ())))
    return Choices(
        task=dataset.task,
        label=label,
        labels_from=options.get("labels_from", "auto"),
        columns=columns,
        min_items=options.get("min_items", 0),
        known={one.name: one.count for one in count_labels(dataset)},
        max_list=current_app.config["PIGEONHOLE"].max_csv,
    )


def limits() -> Limits:
    """Return what a zip may hold, by this instance's settings."""
    settings = current_app.config["PIGEONHOLE"]
    return Limits(settings.max_zip_members, settings.max_zip_content, settings.max_image)


def _reported_names(import_: Import) -> Iterable[str]:
    return db.session.scalars(select(ImportFile.sent_name).where(ImportFile.import_id == import_.id))


def _check_ahead(files: list[SentFile]) -> Iterator[list[Image | Refusal]]:
    """Yield checked batches; while the caller handles one, all cores work on the next two."""
    here, max_size = storage.place(), current_app.config["PIGEONHOLE"].max_image
    batches = (files[start : start + BATCH] for start in range(0, len(files), BATCH))
    with ThreadPoolExecutor(min(_CORES, len(files) or 1)) as pool:

        def start(batch: list[SentFile]) -> list[Future]:
            storage.require_free_space(sum(file.size for file in batch))
            groups = (batch[first : first + GROUP] for first in range(0, len(batch), GROUP))
            return [pool.submit(check_group, group) for group in groups]

        def check_group(group: list[SentFile]) -> list[Image | Refusal]:
            return [check_and_store(file, here, max_size) for file in group]

        waiting = deque(start(batch) for batch in islice(batches, 2))
        while waiting:
            checked = [one for future in waiting.popleft() for one in future.result()]
            waiting.extend(start(batch) for batch in islice(batches, 1))
            yield checked
