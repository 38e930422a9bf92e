"""The sandboxes themselves: what a program inside cannot do, whatever it tries."""

from __future__ import annotations

import http.server
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from jobs import sandbox, seccomp, trainers

MIB = 1024**2


@pytest.fixture(scope="module", params=sandbox.KINDS, ids=lambda kind: kind.kind)
def kind(request):
    """Every kind that holds on this machine."""
    if reason := sandbox._missing(request.param) or sandbox._try_out(request.param):
        pytest.skip(f"NOT TESTED: {reason}")
    return request.param


@pytest.fixture
def run(kind, tmp_path):
    """`run(code, *arguments)`: what became of Python code inside, and its folder."""
    folder = tmp_path / "inside"
    folder.mkdir()

    def run(code, *arguments, readable=(), **limits):
        words = sandbox.command(kind, ["-c", code, *map(str, arguments)], folder, readable, **limits)
        return subprocess.run(
            words,
            env=sandbox.environment(folder),
            cwd=sandbox.ROOT,
            capture_output=True,
            text=True,
            timeout=60,
        )

    run.folder = folder
    return run


def test_the_machine_is_told_which_sandbox_it_has():
    found = sandbox.probe()
    assert (found.words if found else "There is no sandbox") in sandbox.describe()
    assert found or sandbox.why_none()


def test_it_may_write_in_its_folder_and_nowhere_else(run, tmp_path):
    code = "import sys; open(sys.argv[1], 'w').write('x')"
    assert run(code, run.folder / "mine").returncode == 0
    for place in (tmp_path / "other", Path("/tmp/other"), sandbox.ROOT / "learning" / "other.py"):
        done = run(code, place)
        assert "Error: [Errno" in done.stderr
        assert not place.exists()


def test_it_sees_only_what_it_was_shown(run, tmp_path):
    shown, secret = tmp_path / "shown", tmp_path / "secret"
    for file in (shown, secret):
        file.write_text("42")
    code = "import sys; print(open(sys.argv[1]).read())"
    assert run(code, shown, readable=[shown]).stdout == "42\n"
    assert run(code, secret, readable=[shown]).returncode == 1
    assert run(code, "/etc/passwd").returncode == 1


def test_what_it_was_shown_cannot_be_changed(run, tmp_path):
    shown = tmp_path / "shown"
    shown.mkdir()
    (shown / "image").write_text("42")
    code = "import os, sys; {}"
    for attempt in (
        "open(sys.argv[1] + '/image', 'w')",
        "os.remove(sys.argv[1] + '/image')",
        "os.chmod(sys.argv[1] + '/image', 0) or os.stat(sys.argv[1] + '/image').st_mode & 7 or 1 / 0",
    ):
        run(code.format(attempt), shown, readable=[shown])
    assert (shown / "image").read_text() == "42"
    assert run(code.format("os.link(sys.argv[1] + '/image', 'x')"), shown, readable=[shown]).returncode == 1


def test_it_reaches_no_network_not_even_this_machine_s(run):
    server = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    code = f"import socket; socket.create_connection(('127.0.0.1', {server.server_port}))"
    assert "PermissionError" in run(code).stderr
    assert "gaierror" in run("import socket; socket.getaddrinfo('example.org', 80)").stderr
    server.server_close()


def test_it_knows_no_secret_of_ours(run, monkeypatch):
    monkeypatch.setenv("PIGEONHOLE_SECRET_KEY", "hidden")
    code = f"import os; print(os.environ); print(open('/proc/{os.getpid()}/environ').read())"
    assert "hidden" not in run(code).stdout
    assert "hidden" not in run("import os; print(os.listdir('/proc'), os.environ)").stdout


def test_it_cannot_signal_us(run):
    done = run("import os, sys; os.kill(int(sys.argv[1]), 9)", os.getpid())
    assert done.returncode == 1


def test_it_changes_no_setting_of_the_kernel(run):
    for name in (
        "sys/kernel/core_pattern",
        "sys/vm/overcommit_memory",
        "sysrq-trigger",
        "self/oom_score_adj",
    ):
        assert run(f"open('/proc/{name}', 'r+')").returncode == 1, name


def test_it_changes_no_limit_and_no_turn_of_other_processes(run):
    for attempt in (
        "resource.prlimit(other, resource.RLIMIT_CORE, (0, 0))",
        "os.setpriority(os.PRIO_PROCESS, other, 19)",
        "os.sched_setaffinity(other, {0})",
    ):
        done = run(f"import os, resource, sys\nother = int(sys.argv[1])\n{attempt}", os.getpid())
        assert "Error" in done.stderr, attempt
    own = "import resource; resource.setrlimit(resource.RLIMIT_CPU, (5, 5)); print(resource.prlimit(0, 0))"
    assert run(own).stdout == "(5, 5)\n"


def test_it_changes_no_mode_and_no_times_of_files_it_may_not_write(run, tmp_path):
    shown, hidden = tmp_path / "shown", tmp_path / "hidden"
    for file in (shown, hidden):
        file.write_text("42")
    before = [(file.stat().st_mode, file.stat().st_mtime_ns) for file in (shown, hidden)]
    for file in (shown, hidden):
        for attempt in ("os.chmod(sys.argv[1], 0)", "os.utime(sys.argv[1], (1, 1))"):
            assert run(f"import os, sys; {attempt}", file, readable=[shown]).returncode == 1
    assert before == [(file.stat().st_mode, file.stat().st_mtime_ns) for file in (shown, hidden)]


def test_it_leaves_nothing_in_the_kernel_that_outlives_it(run):
    for number in (seccomp.X86_64["semget"], seccomp.X86_64["msgget"]):
        code = (
            f"import ctypes; c = ctypes.CDLL(None, use_errno=True); print(c.syscall({number}, 42, 1, 0o1666))"
        )
        assert run(code).stdout == "-1\n"


def test_its_memory_is_bounded(run):
    assert "MemoryError" in run("bytearray(20 * 1024**3)", memory=512 * MIB).stderr
    assert "Error" in run("import os; os.memfd_create('x')").stderr


def test_its_files_are_bounded(run, monkeypatch):
    monkeypatch.setattr(sandbox, "FILE_SIZE", MIB)
    done = run("import os; os.chdir(os.environ['HOME']); open('x', 'wb').write(bytes(2**22))")
    assert done.returncode != 0
    assert (run.folder / "x").stat().st_size <= MIB


def test_its_processor_time_is_bounded(run):
    done = run("while True: pass", seconds=1)
    assert done.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL)


def test_it_makes_no_namespaces_and_no_devices(run):
    for call in (seccomp.X86_64["unshare"], seccomp.X86_64["mount"]):
        code = f"import ctypes; c = ctypes.CDLL(None, use_errno=True); print(c.syscall({call}, 0x10000000))"
        assert run(code).stdout == "-1\n"
    assert run("import os; os.mknod(os.environ['HOME'] + '/x', 0o60600, 1)").returncode == 1


def test_a_daemon_ends_with_it(run, kind):
    beat = (
        "import os, time\nif os.fork() == 0:\n    try: os.setsid()\n    except OSError: pass\n"
        "    if os.fork() == 0:\n        while True:\n"
        "            open(os.environ['HOME'] + '/beat', 'a').write('.'); time.sleep(0.02)\n"
        "    os._exit(0)\ntime.sleep(0.3)"
    )
    words = sandbox.command(kind, ["-c", beat], run.folder)
    with subprocess.Popen(
        words, env=sandbox.environment(run.folder), cwd=sandbox.ROOT, start_new_session=True
    ) as process:
        process.wait(60)
        trainers.end(process)
    size = (run.folder / "beat").stat().st_size
    time.sleep(0.3)
    assert size == (run.folder / "beat").stat().st_size


def test_an_instance_in_a_shown_folder_is_refused(kind):
    with pytest.raises(sandbox.SandboxRefused, match="PIGEONHOLE_INSTANCE"):
        sandbox.command(kind, [], Path("/usr/local/instance/runs/x/inside"))
