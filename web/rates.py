"""How requests are counted: in the memory of this process, without a thread of its own."""

from __future__ import annotations

import time
from threading import Lock

from limits.storage import Storage

MAX_KEYS = 100_000  # past this, what has expired is forgotten before anything is added


class ProcessMemory(Storage):
    """Counters that expire. (The library's own memory storage starts a thread with nearly every request,
    which under load costs milliseconds.)
    """

    STORAGE_SCHEME = ["process"]

    def __init__(self, uri: str | None = None, wrap_exceptions: bool = False, **options: str):
        super().__init__(uri, wrap_exceptions, **options)
        self._counters: dict[str, tuple[int, float]] = {}  # key -> (count, when it expires)
        self._lock = Lock()

    @property
    def base_exceptions(self) -> type[Exception]:
        """What a storage that is out of reach raises; memory never is."""
        return ValueError

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Add `amount` and return the count; the first one decides when it expires (seconds from now)."""
        with self._lock:
            self._forget_expired()
            count, until = self._live(key)
            count, until = count + amount, until or time.time() + expiry
            self._counters[key] = (count, until)
            return count

    def get(self, key: str) -> int:
        """Return the count, 0 once it has expired."""
        return self._live(key)[0]

    def get_expiry(self, key: str) -> float:
        """Return when the counter expires, as seconds since the epoch."""
        return self._live(key)[1] or time.time()

    def check(self) -> bool:
        """Whether the storage can be reached."""
        return True

    def clear(self, key: str) -> None:
        """Forget one counter."""
        self._counters.pop(key, None)

    def reset(self) -> int:
        """Forget every counter; returns how many there were."""
        count = len(self._counters)
        self._counters.clear()
        return count

    def _live(self, key: str) -> tuple[int, float]:
        count, until = self._counters.get(key, (0, 0.0))
        return (count, until) if until > time.time() else (0, 0.0)

    def _forget_expired(self) -> None:
        if len(self._counters) >= MAX_KEYS:
            moment = time.time()
            living = {key: kept for key, kept in self._counters.items() if kept[1] > moment}
            self._counters = living if len(living) < MAX_KEYS // 2 else {}  # never search in vain again
