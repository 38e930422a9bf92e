"""The whole instance in one zip, taken while it works, and brought back into an empty folder."""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from flask import current_app

from jobs import database
from jobs.keeper import INSIDE
from models import db
from utils import open_atomically

DATABASE = "pigeonhole.db"
# Embeddings are left out: they are computed again when they are needed.
FOLDERS = ("storage", "runs", "backbones", "uploads", "batches")
FILES = ("secret_key", "config.toml")
LEFT_OUT = ("lock", "stop")


class BackupRefused(RuntimeError):
    """A backup that can't be taken or brought back; the message says why and what to do."""


def save(path: Path) -> int:
    """Write the instance to a zip at `path`, whole or not at all; return how many files it holds.

    The database's moment comes first: images that arrive later are in the zip without a row, which `sweep`
    clears, and none is a row without bytes.

    Raises:
        BackupRefused: the data lies elsewhere than in the instance folder.
    """
    settings = current_app.config["PIGEONHOLE"]
    if db.engine.dialect.name != "sqlite" or settings.storage_url:
        message = "Only SQLite and images in the instance folder are saved; save the rest with its own tools."
        raise BackupRefused(message)
    with tempfile.TemporaryDirectory(dir=settings.instance) as temporary, open_atomically(path) as file:
        copy = Path(temporary, DATABASE)
        database.save(copy)
        with zipfile.ZipFile(file, "w") as archive:
            archive.write(copy, DATABASE, zipfile.ZIP_DEFLATED)
            for source in _files(settings.instance):
                _add(archive, source, source.relative_to(settings.instance).as_posix())
            return len(archive.namelist())


def _files(instance: Path) -> Iterator[Path]:
    yield from (instance / name for name in FILES if (instance / name).exists())
    for name in FOLDERS:
        for folder, inner, names in os.walk(instance / name):
            inner[:] = [each for each in inner if each != INSIDE]
            found = (Path(folder, name) for name in sorted(names) if name not in LEFT_OUT and name[0] != ".")
            yield from (path for path in found if path.is_file() and not path.is_symlink())


def _add(archive: zipfile.ZipFile, source: Path, name: str) -> None:
    try:
        archive.write(source, name)
    except FileNotFoundError:
        return  # swept or replaced meanwhile; it was listed a moment ago, and no row needs it
    except ValueError:  # a file older than 1980
        archive.writestr(name, source.read_bytes())


def restore(path: Path, instance: Path) -> int:
    """Bring a backup back into an instance folder without data; return how many files it held.

    The database is put in its place last, so that a restore cut short is no instance.

    Raises:
        BackupRefused: the folder holds data, or the file is not one of our backups, or damaged.
    """
    held = [name for name in (DATABASE, *FOLDERS) if _has_data(instance / name)]
    if held:
        names = ", ".join(held)
        raise BackupRefused(f"{instance} already holds {names}. Restore into an empty folder.")
    with tempfile.TemporaryDirectory(dir=instance, prefix=".restoring-") as temporary:
        count = _unpack(path, Path(temporary))
        for name in (*FOLDERS, *FILES, DATABASE):
            if Path(temporary, name).exists():
                _put_in_place(Path(temporary, name), instance / name)
    return count


def _has_data(path: Path) -> bool:
    return path.exists() and (path.is_file() or any(path.iterdir()))


def _unpack(path: Path, folder: Path) -> int:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if DATABASE not in names or not all(_is_ours(name) for name in names):
                raise BackupRefused(f"{path} is not a backup made by “server.py backup”.")
            archive.extractall(folder, names)  # safe: every name was checked, and each member's CRC is
    except FileNotFoundError:
        raise BackupRefused(f"There is no file {path}.") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise BackupRefused(f"{path} is damaged or not a backup ({error}).") from error
    return len(names)


def _is_ours(name: str) -> bool:
    parts = PurePosixPath(name).parts
    is_plain = ".." not in parts and not name.startswith("/") and "\\" not in name and ":" not in name
    return is_plain and (name in (*FILES, DATABASE) or parts[0] in FOLDERS)


def _put_in_place(source: Path, target: Path) -> None:
    if target.is_dir():
        target.rmdir()  # empty: `restore` has looked
    if target.name == "secret_key":
        source.chmod(0o600)
    shutil.move(source, target)
