"""Programs that end when the process that started them does, however it ends.

`python -m jobs.lifeline PID SIGNAL PROGRAM…` becomes PROGRAM. On Linux the kernel sends the signal (prctl(2),
PR_SET_PDEATHSIG; it stays set across exec). Elsewhere a run folder's lock still keeps a run from being
trained twice.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int, signal_number: int) -> None:
    """Have this process sent a signal when the thread that started it ends; end now if it has already."""
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal_number)
    if os.getppid() != parent:
        sys.exit("The process that started this one has ended.")


def command(arguments: list[str], signal_number: int = signal.SIGKILL) -> list[str]:
    """Return the command that runs `arguments` tied to this process (run it from the folder of server.py)."""
    return [sys.executable, "-m", "jobs.lifeline", str(os.getpid()), str(int(signal_number)), *arguments]


if __name__ == "__main__":
    die_with_parent(int(sys.argv[1]), int(sys.argv[2]))
    os.execv(sys.argv[3], sys.argv[3:])
