"""How a throwaway process that looks at an uploaded model is started: in the sandbox, where there is one."""

from __future__ import annotations

from pathlib import Path

from jobs import sandbox
from learning.uploads import throwaway
from learning.uploads.facts import ModelRefused


def enclose(
    words: list[str], writable: Path, readable: list[Path], memory: int
) -> tuple[list[str], dict[str, str]]:
    """Return the command and the environment of a throwaway process; see `throwaway.Enclose`.

    Raises:
        ModelRefused: the folder to write in lies where every sandbox may look; the message says what to do.
    """
    found = sandbox.probe()
    if found is None:
        return throwaway.plain(words, writable, readable, memory)
    try:
        command = sandbox.command(found, words, writable, readable, memory, throwaway.PROBE_SECONDS)
    except sandbox.SandboxRefused as refused:
        raise ModelRefused("sandbox", str(refused)) from refused
    return command, sandbox.environment(writable)
