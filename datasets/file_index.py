"""Files found by the names in a label list: the whole path, its end, or either without the ending."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator

from utils import is_allowed_file


def leads_out(name: str) -> bool:
    """Whether a name in a list points out of the folder that the list is for."""
    path = name.replace("\\", "/")
    return path.startswith("/") or bool(re.match(r"[A-Za-z]:", path)) or ".." in path.split("/")


class FileIndex:
    """Finds the file that a list means, where it can mean only one."""

    def __init__(self, files: Iterable[str], folder: str = ""):
        """Args:
        files: paths with `/` between folders.
        folder: where the list lies among them, ending in `/`, or empty.
        """
        self._files = set(files)
        self._folder = folder
        self._ends: dict[str, str | None] = {}  # None: the end of several files
        for file in self._files:
            for end in _ends_of(file):
                self._ends[end] = file if end not in self._ends else None

    def find(self, name: str) -> str | None:
        """Return the file of that name: beside the list, at that path, or the only one ending so."""
        path = _normal(name)
        for whole in (self._folder + path, path):
            if whole in self._files:
                return whole
        return self._ends.get(path)

    def is_ambiguous(self, name: str) -> bool:
        """Whether several files are called so."""
        path = _normal(name)
        return path in self._ends and self._ends[path] is None


def _normal(name: str) -> str:
    path = unicodedata.normalize("NFC", name.strip().replace("\\", "/"))
    while path.startswith("./"):
        path = path[2:]
    return path


def _ends_of(file: str) -> Iterator[str]:
    """Yield the path and every end of it that begins after a `/`; those of images without ending too."""
    whole = unicodedata.normalize("NFC", file)
    bare = whole.rpartition(".")[0] if is_allowed_file(whole) else ""
    for path in filter(None, (whole, bare)):
        parts = path.split("/")
        yield from ("/".join(parts[start:]) for start in range(len(parts)))
