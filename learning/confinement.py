"""What a throwaway process allows itself before it opens a file from a stranger."""

from __future__ import annotations

import os

if os.name != "nt":
    import resource


def limit(memory: int, seconds: int, file_size: int) -> None:
    """Bound this process's memory (bytes of address space), processor time and the files it writes.

    The limits hold for its children too and can't be raised again. Windows knows no such limits.
    """
    if os.name == "nt":
        return
    wanted = {
        resource.RLIMIT_AS: memory,
        resource.RLIMIT_CPU: seconds,
        resource.RLIMIT_FSIZE: file_size,
        resource.RLIMIT_CORE: 0,
    }
    for kind, most in wanted.items():
        hard = resource.getrlimit(kind)[1]
        bound = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (bound, bound))
