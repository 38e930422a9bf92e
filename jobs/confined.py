"""What a confined process does before it becomes a program: bounds itself, for good.

`python -m jobs.confined JSON PROGRAM…`; JSON is an Allowance as jobs/sandbox.py writes it.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from jobs import landlock, seccomp

if os.name != "nt":
    import resource


@dataclass(frozen=True)
class Allowance:
    """What a confined program may use.

    Attributes:
        memory: bytes of writable memory of its own, for each process.
        file_size: bytes of one file.
        seconds: of processor time, for each process.
        processes: of its user (the kernel does not count root's).
        readable, writable, devices: what Landlock is to leave it; None where namespaces hide the rest.
        program: our own modules, of which Landlock leaves no folder that Python could look through.
    """

    memory: int
    file_size: int
    seconds: int
    processes: int = 512
    open_files: int = 4096
    readable: list[str] | None = None
    writable: list[str] | None = None
    devices: list[str] | None = None
    program: list[str] | None = None

    def to_json(self) -> str:
        """As this module's first argument."""
        return json.dumps(asdict(self))


def confine(allowance: Allowance) -> None:
    """Bound this process.

    RLIMIT_DATA counts what was asked for and can be written; RLIMIT_AS would count TensorFlow's reservations
    and every mapped file too, and says little.

    Raises:
        OSError: the kernel refuses something; nothing may be run then.
    """
    wanted = {
        resource.RLIMIT_DATA: allowance.memory,
        resource.RLIMIT_FSIZE: allowance.file_size,
        resource.RLIMIT_CPU: allowance.seconds,
        resource.RLIMIT_NPROC: allowance.processes,
        resource.RLIMIT_NOFILE: allowance.open_files,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MEMLOCK: 0,
    }
    for kind, most in wanted.items():
        hard = resource.getrlimit(kind)[1]
        bound = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (bound, bound))
    if allowance.readable is not None:
        os.environ["PYTHONPATH"] = _link(allowance.program, allowance.writable[0])
        landlock.confine(allowance.readable, allowance.writable, allowance.devices)
    seccomp.confine()


def _link(program: list[str], folder: str) -> str:
    """Return a folder of links to our modules: Python lists the folders that it imports from."""
    place = tempfile.mkdtemp(dir=folder, prefix=".program-")
    for path in program:
        Path(place, Path(path).name).symlink_to(path)
    return place


if __name__ == "__main__":
    confine(Allowance(**json.loads(sys.argv[1])))
    os.execv(sys.argv[2], sys.argv[2:])
