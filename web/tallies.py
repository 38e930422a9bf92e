"""Numbers that all web processes add up: each writes files of its own, mapped into memory, which outlive it.

The files have the format of prometheus-client's multiprocess mode, which adds them up. They are numbered and
not named after processes: whoever starts takes the first number that nobody living holds, and counts on.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from itertools import count
from pathlib import Path

from prometheus_client import Metric
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector

from utils import lock_file

KINDS = ("counter", "histogram")


class Tallies:
    """The numbers of this process, and in `read` those of all of them."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._turn = threading.Lock()
        self._pid = 0  # of the process whose files these are
        self._held = ExitStack()
        self._files: dict[str, MmapedDict] = {}
        self._begun: set[str] = set()  # histograms that this process has in its file

    def count(self, key: str) -> None:
        """Add one to a number, by its `mmap_key`."""
        with self._turn:
            _add(self._own_files()["counter"], key, 1.0)

    def observe(self, buckets: tuple[str, ...], at: int, total: str, seconds: float) -> None:
        """Count a time in the bucket at a place and add it to the total, all named by their `mmap_key`."""
        with self._turn:
            file = self._own_files()["histogram"]
            if total not in self._begun:  # Prometheus adds buckets up by their bounds: none may be missing
                for bucket in buckets:
                    file.read_value(bucket)  # makes it, at zero
                self._begun.add(total)
            _add(file, buckets[at], 1.0)
            _add(file, total, seconds)

    def read(self) -> Iterator[Metric]:
        """Yield every number, added up over all processes, dead ones too."""
        files = [str(path) for kind in KINDS for path in sorted(self._folder.glob(f"{kind}_*.db"))]
        yield from MultiProcessCollector.merge(files)

    def living(self) -> dict[int, int]:
        """Return the process id of every living process that has counted something, by its number."""
        numbers = sorted(int(path.stem) for path in self._folder.glob("*.lock"))
        return {number: self._pid_of(number) for number in numbers if not self._try_lock(number, ExitStack())}

    def clear(self) -> None:
        """Forget what dead processes have counted; to be called before the first process starts."""
        for path in self._folder.glob("*.lock"):
            with ExitStack() as held:
                if self._try_lock(int(path.stem), held):
                    for kind in KINDS:
                        (self._folder / f"{kind}_{path.stem}.db").unlink(missing_ok=True)

    def _own_files(self) -> dict[str, MmapedDict]:
        """Return the open files of this process; after a fork they are others."""
        if self._pid != os.getpid():
            self._held, self._begun = ExitStack(), set()
            number = next(number for number in count() if self._try_lock(number, self._held))
            (self._folder / f"{number}.pid").write_text(str(os.getpid()))
            self._files = {kind: MmapedDict(str(self._folder / f"{kind}_{number}.db")) for kind in KINDS}
            self._pid = os.getpid()
        return self._files

    def _pid_of(self, number: int) -> int:
        with suppress(OSError, ValueError):
            return int((self._folder / f"{number}.pid").read_text())
        return 0

    def _try_lock(self, number: int, held: ExitStack) -> bool:
        """Hold a number as long as `held` is open; false where a living process holds it."""
        try:
            held.enter_context(lock_file(self._folder / f"{number}.lock", wait=False))
            return True
        except BlockingIOError:
            return False


def _add(file: MmapedDict, key: str, amount: float) -> None:
    file.write_value(key, file.read_value(key)[0] + amount, 0.0)
