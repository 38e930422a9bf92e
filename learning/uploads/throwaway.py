"""Gate and probe in processes that are thrown away, so that a hostile file ends nobody else.

Whoever has a sandbox passes `enclose`; without one the processes still bound themselves.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from learning.uploads import facts
from learning.uploads.facts import Facts, ModelRefused

ROOT = Path(__file__).parents[2]
GATE_SECONDS = 180  # on the clock
PROBE_SECONDS = 180
GATE_MEMORY = 3 * 1024**3
PROBE_MEMORY = 6 * 1024**3

# enclose(words after `python`, the folder it may write in, files it may read, bytes of memory)
# -> the whole command and its environment
Enclose = Callable[[list[str], Path, list[Path], int], tuple[list[str], dict[str, str]]]


def plain(
    words: list[str], writable: Path, readable: list[Path], memory: int
) -> tuple[list[str], dict[str, str]]:
    """No sandbox: the process's own limits alone, and an environment without secrets."""
    passed_on = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT", "LD_LIBRARY_PATH")
    return [sys.executable, *words], {name: os.environ[name] for name in passed_on if name in os.environ}


def take(path: Path, sent_name: str, folder: Path, enclose: Enclose = plain) -> Facts:
    """Let the gate write its clean copy of `path` into `folder`, and return the facts.

    Raises:
        ModelRefused: with a message that names the file; nothing is kept.
    """
    words = ["-m", "learning.uploads.gate", str(path), sent_name, str(folder)]
    answer = _run(enclose(words, folder, [path], GATE_MEMORY), GATE_SECONDS, sent_name)
    if "facts" not in answer:
        raise ModelRefused(answer["code"], answer["message"])
    return facts.from_json(answer["facts"])


def look(folder: Path, found: Facts, size: int, enclose: Enclose = plain) -> dict[str, int]:
    """Let Keras load the clean copy in `folder` and answer once; return its `outputs` and `parameters`.

    Raises:
        ModelRefused: with a message that names the file.
    """
    words = ["-m", "learning.uploads.probe", str(folder / found.file), str(size)]
    answer = _run(enclose(words, folder, [], PROBE_MEMORY), PROBE_SECONDS, found.sent_name)
    if "outputs" not in answer:
        raise ModelRefused(answer["code"], f"{found.sent_name}: {answer['message']}")
    return answer


def _run(command: tuple[list[str], dict[str, str]], seconds: int, file: str) -> dict[str, Any]:
    words, environment = command
    try:
        ended = subprocess.run(
            words, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds
        )
    except subprocess.TimeoutExpired:
        raise ModelRefused("took_too_long", f"{file}: looking at it took over {seconds} seconds.") from None
    return _read(ended.stdout) or {
        "code": "not_loadable",
        "message": f"{file}: the process that looked at it ended ({_how(ended.returncode)}). {facts.SMALLER}",
    }


def _how(code: int) -> str:
    return f"by signal {-code}, perhaps of memory" if code < 0 else f"with status {code}"


def _read(output: bytes) -> dict[str, Any] | None:
    """Return the last line's JSON object, if it is one."""
    lines = output.strip().splitlines()
    try:
        answer = json.loads(lines[-1]) if lines else None
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None
