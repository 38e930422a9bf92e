"""Uploaded zips on their way in: from the request to the instance's `uploads/`, never through memory."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from flask import current_app
from werkzeug.datastructures import FileStorage

from datasets import archives, storage
from utils import generate_random_name

MIB = 1024 * 1024
# Smaller zips are unpacked on trial at once, larger ones by the import, which refuses them just the same.
CHECKED_AT_ONCE = 64 * MIB


def keep_archive(sent: FileStorage) -> Path:
    """Store a sent zip under a random name until it is imported, after checking that it is a sound one.

    Raises:
        ArchiveRefused: it is no zip, damaged, or over a limit; nothing is kept.
        StorageFull: the disk is nearly full.
    """
    storage.require_free_space(sent.stream.seek(0, os.SEEK_END))
    sent.stream.seek(0)
    path = current_app.config["PIGEONHOLE"].folder("uploads") / generate_random_name("zip")
    try:
        _save(sent, path)
        _check(path)
        return path
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _save(sent: FileStorage, path: Path) -> None:
    with path.open("xb") as file:
        shutil.copyfileobj(sent.stream, file, MIB)
        file.flush()
        os.fsync(file.fileno())


def _check(path: Path) -> None:
    settings = current_app.config["PIGEONHOLE"]
    bounds = archives.Limits(settings.max_zip_members, settings.max_zip_content, settings.max_image)
    with archives.open_archive(path, bounds) as archive:
        if path.stat().st_size <= CHECKED_AT_ONCE:
            archive.verify()
