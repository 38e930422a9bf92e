"""What an import brings: the files of a zip, of a folder or of the sample digits, in a fixed order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from datasets import samples
from datasets.archives import ArchiveRefused, Limits, open_archive
from datasets.checking import SentFile
from datasets.folders import label_by_folder, list_folder
from datasets.names import make_inert


@contextmanager
def open_source(kind: str, upload: str | None, label: str | None, limits: Limits) -> Iterator[list[SentFile]]:
    """Open what an import brings; its files can be read until this ends.

    Args:
        kind: zip, folder or digits.
        upload: where the zip or folder lies.
        label: one label for everything; without it folders are labels.
        limits: of a zip.

    Raises:
        ArchiveRefused: the zip or folder as a whole is not taken.
    """
    if kind == "digits":
        yield samples.digits()
    elif kind == "folder":
        yield _label(_read_folder(Path(upload)), label)
    else:
        with _open_zip(upload, limits) as archive:
            archive.verify()
            files = [(m.path, partial(archive.read, m), m.size) for m in archive.members]
            yield _label(files, label)


@contextmanager
def _open_zip(path: str, limits: Limits):
    if not Path(path).exists():
        raise ArchiveRefused("zip_missing", "The zip is no longer there. Send it again.")
    with open_archive(path, limits) as archive:
        yield archive


def _read_folder(root: Path) -> Iterator[tuple[str, Callable[[], bytes], int]]:
    """Yield (relative path, reader, size in bytes) of every file in a folder."""
    if not root.is_dir():
        raise ArchiveRefused("folder_missing", f"{root} is not a folder. Give a folder of class folders.")
    for name in list_folder(root):
        path = root / name
        yield name, path.read_bytes, path.stat().st_size


def _label(files: Iterable[tuple[str, Callable[[], bytes], int]], label: str | None) -> list[SentFile]:
    files = list(files)
    by_folder = label_by_folder(name for name, _, _ in files)
    return [
        SentFile(make_inert(name), read, size, tuple(filter(None, [label or by_folder[name]])))
        for name, read, size in files
    ]
