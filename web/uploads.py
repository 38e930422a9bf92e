"""Uploaded zips on their way in: from the request to the instance's `uploads/`, never through memory."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from flask import current_app
from werkzeug.datastructures import FileStorage

from datasets import archives, intake, storage
from datasets.labelling import Choices, SentList, label_files
from datasets.names import make_inert
from datasets.sources import files_of
from utils import generate_random_name

MIB = 1024 * 1024
# Smaller zips are unpacked on trial at once, larger ones by the import, which refuses them just the same.
CHECKED_AT_ONCE = 64 * MIB
LIST_CHECKED_AT_ONCE = 8 * MIB  # about a second


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
    sent = SentList(make_inert(table.filename), list_path.read_bytes()) if table else None
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
