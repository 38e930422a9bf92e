"""A folder as a zip that is made while it is sent, so that nothing of its size lies in memory or on disk."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

BLOCK = 256 * 1024


class _Outbox:
    """What zipfile writes to: it keeps the bytes until they are sent. It can't seek, and zipfile copes."""

    def __init__(self) -> None:
        self.waiting = bytearray()

    def write(self, content: bytes) -> int:
        self.waiting += content
        return len(content)

    def flush(self) -> None:
        """Nothing to do: `take` sends."""

    def take(self) -> bytes:
        content = bytes(self.waiting)
        self.waiting.clear()
        return content


def stream_folder(folder: Path, root: str) -> Iterator[bytes]:
    """Yield a zip of every file under `folder`, inside it a folder named `root`. Hidden files stay out."""
    outbox = _Outbox()
    with zipfile.ZipFile(outbox, "w", zipfile.ZIP_STORED) as archive:
        for path in _files(folder):
            name = f"{root}/{path.relative_to(folder).as_posix()}"
            with (
                path.open("rb") as source,
                archive.open(zipfile.ZipInfo.from_file(path, name), "w") as target,
            ):
                while block := source.read(BLOCK):
                    target.write(block)
                    yield outbox.take()
    yield outbox.take()


def _files(folder: Path) -> list[Path]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return [path for path in paths if not any(part[0] == "." for part in path.relative_to(folder).parts)]
