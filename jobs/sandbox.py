"""The sandbox for what strangers wrote: the strongest this machine has, tried out before it is trusted.

bubblewrap shows a process nothing but the program, the files named to it and one folder to write in, without
a network and among processes of its own, which end with it. Where no namespaces can be made (as in most
containers), Landlock names the files. Either way jobs/confined.py adds limits and a system call filter. Where
neither works there is no sandbox, and nothing of a stranger's is run.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jobs import landlock, seccomp
from jobs.confined import Allowance

ROOT = Path(__file__).parents[1]
GIB = 1024**3
MEMORY = 4 * GIB
FILE_SIZE = 1 * GIB
SECONDS = 24 * 3600
TRIAL_SECONDS = 30
# Of our own program a trainer needs these rooms and modules, and never the instance that may lie beside them.
PROGRAM = ("datasets", "jobs", "learning", "config.py", "training.py", "utils.py")
# Of the system: what the loader, Python and TensorFlow look into.
SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/sbin", "/sys/devices/system/cpu")
SYSTEM_FILES = (
    *("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/localtime", "/etc/alternatives"),
)
# What Landlock must leave of /proc, which it cannot replace by one of the sandbox's own.
PROC = ("/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/filesystems", "/proc/sys/vm")
DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")

# Run inside: everything it tries must be refused, or the sandbox is none.
TRIAL = """
import os, resource, socket, sys
def is_refused(attempt):
    try:
        attempt()
    except OSError:
        return True
    return False
secret, folder = sys.argv[1:]
held = {
    "the network": is_refused(socket.socket),
    "reading": is_refused(lambda: open(secret).read()),
    "writing": is_refused(lambda: open(secret + ".new", "w")),
    "the processes": is_refused(lambda: os.kill(int(os.environ["OUTSIDER"]), 0)),
    "its session": is_refused(os.setsid),
    "their limits": is_refused(lambda: resource.prlimit(int(os.environ["OUTSIDER"]), resource.RLIMIT_CORE)),
    "files' modes": is_refused(lambda: os.chmod(os.path.dirname(secret), 0o700)),
    "the kernel's settings": is_refused(lambda: open("/proc/sys/kernel/core_pattern", "r+")),
}
open(os.path.join(folder, "written"), "w").close()
sys.exit("; ".join(f"{name} is open" for name, was_refused in held.items() if not was_refused) or 0)
"""


class SandboxRefused(RuntimeError):
    """What is to be run can't be kept apart where it lies; the message says what to do."""


@dataclass(frozen=True)
class Sandbox:
    """A sandbox that was tried out here.

    Attributes:
        kind: bubblewrap or landlock.
        words: what it is, for a person.
    """

    kind: str
    words: str


@dataclass(frozen=True)
class Found:
    """The sandbox found, or None, and why not the stronger ones."""

    sandbox: Sandbox | None
    reasons: tuple[str, ...]


KINDS = (
    Sandbox("bubblewrap", "bubblewrap (namespaces of its own, no network, a system call filter, limits)"),
    Sandbox("landlock", "Landlock (only named files, no network, a system call filter, limits)"),
)


def probe() -> Sandbox | None:
    """Return the strongest sandbox that holds here, tried out once a process; None where none does."""
    return _find().sandbox


def why_none() -> str:
    """Say for a person why there is no sandbox, or no stronger one; empty where there is the strongest."""
    return " ".join(_find().reasons)


def describe() -> str:
    """Name the sandbox in a sentence, for the start and the doctor."""
    found = probe()
    if found is None:
        return f"There is no sandbox for own code, so none is run. {why_none()}"
    return f"Own code and uploaded models run in a sandbox: {found.words}. {why_none()}".strip()


@cache
def _find() -> Found:
    reasons = []
    for sandbox in KINDS:
        reason = _missing(sandbox) or _try_out(sandbox)
        if reason is None:
            return Found(sandbox, tuple(reasons))
        reasons.append(reason)
    return Found(None, tuple(reasons))


def _missing(sandbox: Sandbox) -> str | None:
    """Why it can't even be tried."""
    if not sys.platform.startswith("linux"):
        return f"{sandbox.kind} is for Linux."
    if not seccomp.is_known():
        return f"{sandbox.kind} needs a processor of kind {' or '.join(seccomp.MACHINES)}."
    if sandbox.kind == "bubblewrap" and shutil.which("bwrap") is None:
        return "bubblewrap is not installed (apt-get install bubblewrap)."
    if sandbox.kind == "landlock" and (has := landlock.version()) < landlock.NEEDED_VERSION:
        return f"The kernel has Landlock {has or 'not at all'}, and {landlock.NEEDED_VERSION} is needed."
    return None


def _try_out(sandbox: Sandbox) -> str | None:
    """Run the trial inside; return why it does not hold, or None."""
    with tempfile.TemporaryDirectory() as outside:
        secret, folder = Path(outside, "secret"), Path(outside, "inside")
        secret.write_text("secret")
        folder.mkdir()
        words = command(sandbox, ["-c", TRIAL, str(secret), str(folder)], writable=folder)
        try:
            tried = subprocess.run(
                words,
                env={**environment(folder), "OUTSIDER": str(os.getpid())},
                cwd=ROOT,
                capture_output=True,
                text=True,
                timeout=TRIAL_SECONDS,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"{sandbox.kind} can't be started: {error}."
        if tried.returncode != 0 or not (folder / "written").exists():
            last = (tried.stderr.strip().splitlines() or ["it ended without a word"])[-1]
            return f"{sandbox.kind} does not hold here: {last[:200]}."
    return None


def command(
    sandbox: Sandbox,
    arguments: Iterable[str],
    writable: Path,
    readable: Iterable[Path] = (),
    memory: int = MEMORY,
    seconds: int = SECONDS,
) -> list[str]:
    """Return the command that runs Python with `arguments` inside; start it in `ROOT`, in `environment`.

    Args:
        arguments: as after `python`: a script of ours, `-m` and a module, or `-c` and a program.
        writable: the one folder it may write in; what lies there afterwards is a stranger's: links, pipes and
            anything else may be among it.
        readable: further files and folders it may read. Nothing of the instance is shown unless named here.
        memory: bytes of its own memory, for each process; seconds: of processor time, likewise.

    Raises:
        SandboxRefused: the writable folder lies where every sandbox may look.
    """
    _refuse_inside_the_shown(writable)
    program = [sys.executable, *arguments]
    shown = [*map(str, readable), *_program()]
    if sandbox.kind == "landlock":
        allowance = Allowance(
            *(memory, FILE_SIZE, seconds),
            readable=[*SYSTEM, *SYSTEM_FILES, *PROC, *shown],
            writable=[str(writable)],
            devices=[*DEVICES, *_graphics()],
            program=[str(ROOT / name) for name in PROGRAM],
        )
        return [*_confined(allowance), *program]
    allowance = Allowance(memory, FILE_SIZE, seconds)
    return [*_bubblewrap(shown, str(writable)), "--", *_confined(allowance), *program]


def _refuse_inside_the_shown(writable: Path) -> None:
    around = {str(parent) for parent in writable.resolve().parents}
    for shown in (*SYSTEM, *_program()):
        if shown in around:
            message = f"{shown} is shown to what runs in the sandbox, and the instance folder lies in it."
            raise SandboxRefused(f"{message} Move it elsewhere (PIGEONHOLE_INSTANCE).")


def environment(writable: Path) -> dict[str, str]:
    """The environment of what runs inside: where things are, and nothing of ours."""
    home = str(writable)
    passed_on = ("PATH", "LANG", "LC_ALL", "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS")
    return {
        **{name: os.environ[name] for name in passed_on if name in os.environ},
        **{"HOME": home, "TMPDIR": home, "KERAS_HOME": home, "PYTHONDONTWRITEBYTECODE": "1"},
    }


def _confined(allowance: Allowance) -> list[str]:
    return [sys.executable, "-m", "jobs.confined", allowance.to_json()]


def _program() -> list[str]:
    """What Python and this program consist of: the environment, what it was made from, our own rooms."""
    python = Path(sys.executable)
    folders = {sys.prefix, sys.base_prefix, str(python.resolve().parents[1])}
    return [*sorted(folders), *(str(ROOT / name) for name in PROGRAM)]


def _graphics() -> list[str]:
    return [str(path) for path in sorted(Path("/dev").glob("nvidia*"))]


def _bubblewrap(shown: list[str], writable: str) -> list[str]:
    """A root that holds nothing but what is shown, nothing in it to be written but one folder."""
    words = [
        *(
            shutil.which("bwrap") or "bwrap",
            "--unshare-all",
            "--unshare-user",
            "--die-with-parent",
            "--cap-drop",
            "ALL",
        ),
        *("--uid", "1000", "--gid", "1000", "--hostname", "sandbox"),
    ]
    for path in (*SYSTEM, *SYSTEM_FILES, *shown):
        words += ["--ro-bind-try", path, path]
    # Where we are root, the kernel would let what runs inside write its settings in /proc/sys.
    words += ["--proc", "/proc", "--remount-ro", "/proc", "--dev", "/dev"]
    for path in _graphics():
        words += ["--dev-bind-try", path, path]
    words += ["--bind", writable, writable, "--remount-ro", "/dev", "--remount-ro", "/"]
    return [*words, "--chdir", str(ROOT)]
