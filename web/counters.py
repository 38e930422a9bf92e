"""Where requests are counted: in memory that all web processes of this machine share, without a thread."""

from __future__ import annotations

import hashlib
import mmap
import secrets
import struct
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import IO

from limits.storage import Storage

try:
    import fcntl
except ImportError:  # Windows, where one process serves
    fcntl = None

SLOTS = 32_768  # users, tokens and addresses of one minute
PROBES = 8  # slots that one key may lie in
_SLOT = struct.Struct("=Qdq")  # hash of the key, when it expires (seconds since the epoch), count
_ROW = struct.Struct("=" + "Qdq" * PROBES)


class SharedMemory(Storage):
    """Counters that expire, in a table that every process forked from this one sees.

    The table has a fixed size. Where all slots of a key are taken, the smallest count is forgotten: a flood
    of addresses may let single requests by, but takes no more memory. (The library's own memory storage
    counts for one process, and starts a thread with nearly every request.)
    """

    STORAGE_SCHEME = ["shared"]

    def __init__(self, uri: str | None = None, wrap_exceptions: bool = False, **options: str):
        super().__init__(uri, wrap_exceptions, **options)
        self._table = mmap.mmap(-1, (SLOTS + PROBES) * _SLOT.size)
        self._secret = secrets.token_bytes(16)  # nobody can choose which keys share a slot
        self._thread_lock, self._file = Lock(), _lock_file()

    @property
    def base_exceptions(self) -> type[Exception]:
        """What a storage that is out of reach raises; memory never is."""
        return ValueError

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Add `amount` and return the count; the first one decides when it expires (seconds from now)."""
        digest = self._digest(key)
        with self._locked():
            place, until, count = self._find(digest)
            count, until = count + amount, until or time.time() + expiry
            _SLOT.pack_into(self._table, place, digest, until, count)
            return count

    def get(self, key: str) -> int:
        """Return the count, 0 once it has expired."""
        return self._read(key)[2]

    def get_expiry(self, key: str) -> float:
        """Return when the counter expires, as seconds since the epoch."""
        return self._read(key)[1] or time.time()

    def check(self) -> bool:
        """Whether the storage can be reached."""
        return True

    def clear(self, key: str) -> None:
        """Forget one counter."""
        digest = self._digest(key)
        with self._locked():
            place = self._find(digest)[0]
            _SLOT.pack_into(self._table, place, 0, 0.0, 0)

    def reset(self) -> None:
        """Forget every counter."""
        with self._locked():
            self._table[:] = bytes(len(self._table))

    def _read(self, key: str) -> tuple[int, float, int]:
        with self._locked():
            return self._find(self._digest(key))

    def _digest(self, key: str) -> int:
        return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8, key=self._secret).digest()) | 1

    def _find(self, digest: int) -> tuple[int, float, int]:
        """Return the key's place in the table, when its counter expires, its count; 0 where it has none."""
        start = digest % SLOTS * _SLOT.size
        row, moment = _ROW.unpack_from(self._table, start), time.time()
        for at in range(PROBES):
            if row[3 * at] == digest and row[3 * at + 1] > moment:
                return start + at * _SLOT.size, row[3 * at + 1], row[3 * at + 2]
        free = min(range(PROBES), key=lambda at: (row[3 * at + 1] > moment, row[3 * at + 2]))
        return start + free * _SLOT.size, 0.0, 0

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the table, against threads and then processes (the kernel frees what a dead one held)."""
        with self._thread_lock:
            if fcntl:
                fcntl.lockf(self._file, fcntl.LOCK_EX)
            try:
                yield
            finally:
                if fcntl:
                    fcntl.lockf(self._file, fcntl.LOCK_UN)


@cache
def _lock_file() -> IO[bytes]:
    """The file without a name whose lock is taken; inherited by whoever is forked."""
    return tempfile.TemporaryFile()
