"""What a process and everything it started hold: memory, files without a name. Linux tells; else nobody."""

from __future__ import annotations

import os
import stat
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")
SHARE_OF_MACHINE = 0.9
KINDS = ("RssAnon:", "RssShmem:")  # what cannot be dropped and read again from its file


def default_limit() -> int | None:
    """Return the bytes a run may hold where no setting says: most of the machine's; None where unknown."""
    try:
        return int(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") * SHARE_OF_MACHINE)
    except (AttributeError, ValueError, OSError):
        return None


def held_by(process: int) -> int:
    """Return the bytes held by a process, what it started, and what else is in its group; 0 where unknown."""
    return sum(_held(number) for number in family(process))


def family(process: int) -> set[int]:
    """Return the numbers of a process, of all that it started, and of what else is in its group."""
    children, group = defaultdict(list), []
    for number, parent, of_group in _processes():
        children[parent].append(number)
        if of_group == process:
            group.append(number)
    found, waiting = set(), [process, *group]
    while waiting:
        number = waiting.pop()
        if number not in found:
            found.add(number)
            waiting += children[number]
    return found


def unlinked_by(numbers: set[int]) -> int:
    """Return the bytes of disk of files that these processes hold open though they have no name any more."""
    found = {}
    for number in numbers:
        with suppress(OSError):  # it has ended
            for path in (PROC / str(number) / "fd").iterdir():
                with suppress(OSError):
                    status = path.stat()
                    if status.st_nlink == 0 and stat.S_ISREG(status.st_mode):
                        found[status.st_dev, status.st_ino] = status.st_blocks * 512
    return sum(found.values())


def _processes() -> list[tuple[int, int, int]]:
    """(number, parent, group) of all of them."""
    found = []
    for path in PROC.glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended
        found.append((int(path.parent.name), int(fields[1]), int(fields[2])))
    return found


def _held(number: int) -> int:
    try:
        lines = (PROC / str(number) / "status").read_text().splitlines()
    except OSError:
        return 0
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith(KINDS))
