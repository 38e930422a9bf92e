"""Uploaded zips on their way in: from the request to the instance's `uploads/` and the queue."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from flask import current_app
from werkzeug.datastructures import FileStorage

from datasets import archives, intake, storage
from datasets.archives import ArchiveRefused
from datasets.label_lists import LabelListRefused
from datasets.labelling import Choices, SentList, label_files
from datasets.names import make_inert
from datasets.sources import files_of
from jobs.imports import start_import
from models import Import, db
from utils import generate_random_name
from web.access import get_dataset, get_user
from web.errors import Refused

MIB = 1024 * 1024
# Smaller zips are unpacked on trial at once, larger ones by the import, which refuses them just the same.
CHECKED_AT_ONCE = 64 * MIB
LIST_CHECKED_AT_ONCE = 8 * MIB  # about a second


def take_zip(
    slug: str, archive: FileStorage, table: FileStorage | None, label: str | None, options: dict[str, Any]
) -> Import:
    """Keep a sent zip and the CSV of labels beside it, put their import into the queue, and commit.

    Neither goes through memory, and no transaction is open while they are copied and checked.

    Args:
        slug: of a dataset that the user may change; it aborts as `get_dataset` does where they may not.
        archive: the zip.
        table: the CSV.
        label: one for everything in it.
        options: how labels are found, as `Import.options` has it.

    Raises:
        Refused: the zip or the CSV is not taken; nothing of them is kept.
        StorageFull: the disk is nearly full.
    """
    choices, name = choices_of(slug, label, options), make_inert(archive.filename or "images.zip")
    db.session.rollback()
    try:
        with kept(archive, table, choices) as (path, list_path):
            if table is not None:
                options = {**options, "list": str(list_path), "list_name": name_of_list(table)}
            dataset = get_dataset(slug, "editor")
            import_ = start_import(dataset, get_user(), "zip", name, path, label, options)
            db.session.commit()
            return import_
    except (ArchiveRefused, LabelListRefused) as refused:
        is_list = table is not None and isinstance(refused, LabelListRefused)
        field = table.name if is_list else archive.name
        raise Refused(f"{name}: {refused}", field, name, refused.code) from refused


def choices_of(slug: str, label: str | None, options: dict[str, Any]) -> Choices:
    """Return how labels are found for a dataset that the user may change."""
    return intake.choices_of(get_dataset(slug, "editor"), label, options)


def name_of_list(table: FileStorage) -> str:
    """Return what a sent CSV is called, for showing."""
    return make_inert(table.filename or "labels.csv")


@contextmanager
def kept(
    archive: FileStorage, table: FileStorage | None, choices: Choices
) -> Iterator[tuple[Path, Path | None]]:
    """Store a sent zip, and the CSV of labels sent beside it, until they are imported; gives their paths.

    Both are checked first. Where that fails, or what is done with them does, nothing is kept.

    Raises:
        ArchiveRefused, LabelListRefused, StorageFull: as the message says.
    """
    with ExitStack() as kept_so_far:
        path = keep_archive(archive)
        kept_so_far.callback(path.unlink, missing_ok=True)
        list_path = _new_path("csv") if table else None
        if table:
            kept_so_far.callback(list_path.unlink, missing_ok=True)
            _save(table, list_path)
        _check_labels(path, choices, table, list_path)
        yield path, list_path
        kept_so_far.pop_all()


def _check_labels(path: Path, choices: Choices, table: FileStorage | None, list_path: Path | None) -> None:
    file, most = (list_path, LIST_CHECKED_AT_ONCE) if table else (path, CHECKED_AT_ONCE)
    if file.stat().st_size > most:
        return  # the import refuses it just the same
    sent = SentList(name_of_list(table), list_path.read_bytes()) if table else None
    with archives.open_archive(path, intake.limits()) as archive:
        label_files(files_of(archive), choices, sent)


def keep_archive(sent: FileStorage) -> Path:
    """Store a sent zip under a random name until it is imported, after checking that it is a sound one.

    Raises:
        ArchiveRefused: it is no zip, damaged, or over a limit; nothing is kept.
        StorageFull: the disk is nearly full.
    """
    storage.require_free_space(sent.stream.seek(0, os.SEEK_END))
    sent.stream.seek(0)
    path = _new_path("zip")
    try:
        _save(sent, path)
        _check(path)
        return path
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _new_path(extension: str) -> Path:
    return current_app.config["PIGEONHOLE"].folder("uploads") / generate_random_name(extension)


def _save(sent: FileStorage, path: Path) -> None:
    with path.open("xb") as file:
        shutil.copyfileobj(sent.stream, file, MIB)
        file.flush()
        os.fsync(file.fileno())


def _check(path: Path) -> None:
    with archives.open_archive(path, intake.limits()) as archive:
        if path.stat().st_size <= CHECKED_AT_ONCE:
            archive.verify()
