"""What a process and everything it started hold."""

from __future__ import annotations

import subprocess
import sys

import pytest

from jobs import memory

MIB = 1024**2
HOLD = (
    "import mmap, os, sys; held = bytearray(b'x') * 2**26;"
    "parent = os.fork(); shared = mmap.mmap(-1, 2**25); shared.write(b'x' * 2**25);"
    "os.write(1, b'held\\n'); sys.stdin.read()"
)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells")
def test_children_and_shared_memory_count():
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", HOLD], stdin=pipe, stdout=pipe, text=True) as process:
        assert [process.stdout.readline() for _ in range(2)] == ["held\n"] * 2
        assert memory.held_by(process.pid) > 64 * MIB + 2 * 32 * MIB
        process.stdin.close()
    assert memory.held_by(process.pid) == 0


def test_most_of_the_machine_s_memory_is_the_limit_unless_a_setting_says_otherwise():
    assert memory.default_limit() > 100 * MIB
