"""Folders as labels: what the path of a file inside a folder or a zip says of it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

_JUNK_FILES = {"thumbs.db", "desktop.ini"}
_JUNK_FOLDERS = {"__macosx"}


def is_junk(path: str) -> bool:
    """Whether a file was left there by a system, not by a person: dot files, __MACOSX, Thumbs.db."""
    *folders, name = path.split("/")
    return (
        any(part.startswith(".") for part in (*folders, name))
        or name.lower() in _JUNK_FILES
        or any(folder.lower() in _JUNK_FOLDERS for folder in folders)
    )


def list_folder(root: Path) -> list[str]:
    """Return the relative paths of a folder's files, `/` between folders, sorted; links and junk left out."""
    paths = (path for path in root.rglob("*") if path.is_file() and not path.is_symlink())
    return sorted(name for path in paths if not is_junk(name := path.relative_to(root).as_posix()))


def label_by_folder(paths: Iterable[str]) -> dict[str, str | None]:
    """Return {path: label}: the last folder that holds the file, None where no folder does.

    A single folder around everything is packing, not a label, unless there is no other folder.

    Args:
        paths: relative paths with `/` between folders.
    """
    folders = {path: path.split("/")[:-1] for path in paths}
    tops = {tuple(parts[:1]) for parts in folders.values()}
    is_packing = len(tops) == 1 and any(len(parts) > 1 for parts in folders.values())
    if is_packing:
        folders = {path: parts[1:] for path, parts in folders.items()}
    return {path: parts[-1] if parts else None for path, parts in folders.items()}
