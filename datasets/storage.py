"""Bytes of images, under random names, through fsspec: a folder and s3:// are one code path.

`images/<filename>` are originals, never served; `thumbnails/` and `views/` are made from them, without
metadata.
"""

from __future__ import annotations

import errno
import math
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import IO

import fsspec
from flask import current_app
from fsspec.implementations.local import LocalFileSystem

from utils import generate_random_name, make_thumbnail, make_view, open_image

THUMBNAIL_SIZE = 256  # pixels
VIEW_SIDE = 1600  # pixels, at most
FOLDERS = ("images", "thumbnails", "views")
_FILENAME = re.compile(r"[A-Za-z0-9_-]{1,50}\.[a-z0-9]{1,5}")
_MIMETYPES = {"jpg": "image/jpeg", "png": "image/png"}


class StorageFull(OSError):
    """Too little disk is left to take anything more in; the message is for a person."""

    code = "storage_full"


@dataclass(frozen=True)
class Place:
    """Where bytes lie. Unlike the functions below it works in any thread, without an application context."""

    filesystem: fsspec.AbstractFileSystem
    root: str

    def path(self, folder: str, filename: str) -> str:
        """Return the path of a file.

        Raises:
            FileNotFoundError: no file of ours can have this name.
        """
        if not _FILENAME.fullmatch(filename):
            raise FileNotFoundError(errno.ENOENT, "No such image", filename)
        return f"{self.root}/{folder}/{filename}"

    def address(self, filename: str) -> str:
        """Return where an original lies: a path on this machine, else an fsspec address."""
        path = self.path("images", filename)
        is_local = isinstance(self.filesystem, LocalFileSystem)
        return path if is_local else self.filesystem.unstrip_protocol(path)

    def write(self, filename: str, content: bytes, thumbnail: bytes | None = None) -> None:
        """Store an original and its thumbnail.

        Raises:
            StorageFull: the disk is full.
        """
        try:
            self.filesystem.pipe_file(self.path("images", filename), content)
            if thumbnail is not None:
                self.filesystem.pipe_file(self._thumbnail(filename), thumbnail)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            self.delete(filename)
            raise _full() from error

    def read(self, filename: str) -> bytes:
        """Return an original's bytes.

        Raises:
            FileNotFoundError: it is not there.
        """
        return self.filesystem.cat_file(self.path("images", filename))

    def delete(self, filename: str) -> None:
        """Delete an original and all that was made from it, as far as it is there."""
        paths = [self.path("images", filename), self._thumbnail(filename)]
        for path in paths + [self._view(filename, kind) for kind in _MIMETYPES]:
            if self.filesystem.exists(path):
                self.filesystem.rm_file(path)

    def _thumbnail(self, filename: str) -> str:
        return f"{self.path('thumbnails', filename)}.jpg"

    def _view(self, filename: str, kind: str) -> str:
        return f"{self.path('views', filename)}.{kind}"


@cache
def _connect(address: str) -> Place:
    filesystem, root = fsspec.url_to_fs(address)
    for folder in FOLDERS:
        filesystem.makedirs(f"{root}/{folder}", exist_ok=True)
    return Place(filesystem, root)


def place() -> Place:
    """Where this application's bytes lie."""
    return _connect(current_app.config["PIGEONHOLE"].storage_address)


def put(filename: str, content: bytes, thumbnail: bytes | None = None) -> None:
    """Store an original under a name from `generate_random_name`; without a thumbnail one is made when asked.

    Raises:
        StorageFull: the disk is full.
    """
    place().write(filename, content, thumbnail)


def delete(filename: str) -> None:
    """Delete an original and all that was made from it, as far as it is there."""
    place().delete(filename)


def open_original(filename: str) -> IO[bytes]:
    """Open an original for reading.

    Raises:
        FileNotFoundError: it is not there.
    """
    here = place()
    return here.filesystem.open(here.path("images", filename), "rb")


def read_original(filename: str) -> bytes:
    """Return an original's bytes.

    Raises:
        FileNotFoundError: it is not there.
    """
    return place().read(filename)


def opener(filename: str) -> Callable[[], bytes]:
    """Return what gives an original's bytes in any thread, without an application context."""
    here = place()
    return lambda: here.read(filename)


def read_thumbnail(filename: str) -> bytes:
    """Return the square thumbnail as JPEG bytes, made now where it is missing.

    Raises:
        FileNotFoundError: there is no such image.
        ImageRefused: the stored image is damaged.
    """
    here = place()
    path = here._thumbnail(filename)
    return _read_or_make(here, path, lambda: make_thumbnail(open_image(here.read(filename)), THUMBNAIL_SIZE))


def read_view(filename: str) -> tuple[bytes, str]:
    """Return the whole image upright, at most 1,600 pixels a side, without metadata, and its media type.

    Raises:
        FileNotFoundError: there is no such image.
        ImageRefused: the stored image is damaged.
    """
    here = place()
    kind = "jpg" if filename.endswith(".jpg") else "png"
    content = _read_or_make(
        here, here._view(filename, kind), lambda: make_view(open_image(here.read(filename)), VIEW_SIDE)
    )
    return content, _MIMETYPES[kind]


def _read_or_make(here: Place, path: str, make: Callable[[], bytes]) -> bytes:
    try:
        return here.filesystem.cat_file(path)
    except FileNotFoundError:
        content = make()
    # Two readers may make it at once, so each writes under a name of its own and moves it into place.
    temporary = f"{path}.{generate_random_name('tmp')}"
    here.filesystem.pipe_file(temporary, content)
    here.filesystem.mv(temporary, path)
    return content


def flush() -> None:
    """Bring all that was written to the disk itself, so that no row survives a power cut without its bytes.

    Called once a batch: it costs milliseconds where an fsync for every file costs most of an import.
    """
    if isinstance(place().filesystem, LocalFileSystem) and hasattr(os, "sync"):
        os.sync()


def free_space_left() -> float:
    """Return the bytes that are free where images lie, infinity where nobody can say (s3)."""
    here = place()
    if not isinstance(here.filesystem, LocalFileSystem):
        return math.inf
    return shutil.disk_usage(here.root).free


def require_free_space(wanted: int = 0) -> None:
    """See that `wanted` bytes more can come in.

    Raises:
        StorageFull: less than the setting MIN_FREE_DISK, or MIN_FREE_SHARE of the disk, would be left.
    """
    here = place()
    if not isinstance(here.filesystem, LocalFileSystem):
        return
    settings, usage = current_app.config["PIGEONHOLE"], shutil.disk_usage(here.root)
    least = max(settings.min_free_disk, settings.min_free_share * usage.total)
    if usage.free - wanted < least:
        raise _full()


def _full() -> StorageFull:
    return StorageFull(
        errno.ENOSPC, "The server's disk is nearly full. Tell its administrator; nothing was taken."
    )


def stored_names(older_than: datetime) -> Iterator[tuple[str, str]]:
    """Yield (path, filename of the original it belongs to) of every file written before `older_than`."""
    here = place()
    for folder in FOLDERS:
        for path, entry in here.filesystem.find(f"{here.root}/{folder}", detail=True).items():
            written = entry.get("mtime") or entry["LastModified"].timestamp()
            if written < older_than.timestamp():
                yield path, ".".join(path.rsplit("/", 1)[1].split(".")[:2])


def delete_path(path: str) -> None:
    """Delete one file that `stored_names` gave."""
    here = place()
    if here.filesystem.exists(path):
        here.filesystem.rm_file(path)
