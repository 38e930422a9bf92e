"""Sets up what is missing, then serves, tests, demonstrates or measures Pigeonhole.

    python3 start.py [serve] [--host 127.0.0.1] [--port 5000]
    python3 start.py test [ARGUMENTS OF PYTEST]
    python3 start.py demo
    python3 start.py bench [intake|training|serving|pages]

Standard library only, and readable by Pythons that are too old, so that they can be told so.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
OLDEST_PYTHON = (3, 11)
BENCHMARKS = ("intake", "training", "serving", "pages")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# A process more than there are cores, since some wait for a server or a browser.
# A file's tests stay together, as they share one, and files keep the order that tests/conftest.py gives them.
TEST_PROCESSES = str((os.cpu_count() or 1) + 1)
IN_PARALLEL = ["--numprocesses", TEST_PROCESSES, "--dist", "loadfile", "--no-loadscope-reorder"]
LINTERS = (["ruff", "check", "."], ["ruff", "format", "--check", "."])


class SetUpFailed(Exception):
    """What a person must mend before this can go on, in one sentence."""


def main():
    """Run one command; return its exit status."""
    arguments, rest = parse(sys.argv[1:])
    commands = {"serve": serve, "test": test, "demo": demo, "bench": bench}
    try:
        check_python()
        return commands[arguments.command](arguments, rest)
    except SetUpFailed as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def parse(words):
    """Return the command's own arguments and, for test and bench, the rest."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("command", nargs="?", default="serve", choices=["serve", "test", "demo", "bench"])
    parser.add_argument("--host", default=None, help="address to serve on (127.0.0.1)")
    parser.add_argument("--port", default=None, type=int, help="port to serve on (5000)")
    arguments, rest = parser.parse_known_args(words)
    if rest and arguments.command in ("serve", "demo"):
        parser.error("unknown arguments: " + " ".join(rest))
    return arguments, rest


def serve(arguments, rest):
    """Serve the application until it is interrupted."""
    set_up("requirements.lock")
    words = ["server.py", "run"]
    if arguments.host:
        words += ["--host", arguments.host]
    if arguments.port:
        words += ["--port", str(arguments.port)]
    return become(words)


def test(arguments, rest):
    """Run lint and every test."""
    set_up("requirements-test.lock")
    find_browser()
    failed = [words for words in LINTERS if run(["-m", *words])]
    return 1 if failed else run(["-m", "pytest", *(rest or IN_PARALLEL)])


def demo(arguments, rest):
    """Train on the sample of handwritten digits, and predict one image in the terminal."""
    set_up("requirements.lock")
    folder = Path(os.environ.get("PIGEONHOLE_INSTANCE", ROOT / "instance")).resolve() / "demo"
    digits, package = folder / "digits", folder / "package"
    say("Writing 1,797 handwritten digits as images.")
    steps = [
        ["-m", "datasets.samples", str(digits)],
        ["training.py", "--dataset", str(digits), "--out", str(package)],
    ]
    for words in steps:
        if run(words):
            return 1
    image = sorted((digits / "7").iterdir())[0]
    say(f"What is {image}?")
    return run(["server.py", "predict", "--package", str(package), str(image)])


def bench(arguments, rest):
    """Run the named benchmarks, or all."""
    set_up("requirements-test.lock")
    unknown = set(rest) - set(BENCHMARKS)
    if unknown:
        raise SetUpFailed(f"There is no benchmark {unknown.pop()}: choose from {', '.join(BENCHMARKS)}.")
    return max(run(["-m", "benchmarks." + name]) for name in rest or BENCHMARKS)


def check_python():
    """Refuse a Python that is too old or has no venv module."""
    if sys.version_info < OLDEST_PYTHON:
        raise SetUpFailed(
            f"Pigeonhole needs Python {'.'.join(map(str, OLDEST_PYTHON))} or newer, and this is "
            f"{sys.version.split()[0]}: install a newer one and start with it."
        )
    try:
        import ensurepip  # noqa: F401  (Debian leaves it out of python3)
        import venv  # noqa: F401
    except ImportError:
        raise SetUpFailed(
            "This Python lacks its venv module: install it (on Debian and Ubuntu: apt install python3-venv) "
            "and start again."
        ) from None


def set_up(lock):
    """Make the virtual environment, install the locked requirements and convert the backbone, if need be."""
    make_venv()
    install(lock)
    if run(["training.py", "--prepare"]):
        raise SetUpFailed("The backbone could not be prepared: the lines above say why.")


def make_venv():
    """Make .venv unless there is one that works."""
    if python().exists() and subprocess.run([str(python()), "-c", ""], check=False).returncode == 0:
        return
    say("Making .venv.")
    made = subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], check=False)
    if made.returncode:
        raise SetUpFailed(f"Python could not make {VENV}: the lines above say why.")


def install(lock):
    """Install a lock file into .venv unless exactly this was installed before."""
    wanted = (ROOT / lock).read_bytes()
    stamp = VENV / (lock + ".sha256")
    digest = hashlib.sha256(wanted).hexdigest()
    if stamp.exists() and stamp.read_text() == digest:
        return
    say(f"Installing {lock}: once, a few minutes and about 3 GB of disk.")
    stamp.unlink(missing_ok=True)
    pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement", lock]
    if run(pip):
        raise SetUpFailed(
            "The requirements could not be installed: the lines above say why. Start again to retry."
        )
    stamp.write_text(digest)


def find_browser():
    """Install Chromium by the system's package manager where we may; else say that its tests are skipped."""
    if any(shutil.which(name) for name in BROWSERS):
        return
    if shutil.which("apt-get") and hasattr(os, "geteuid") and os.geteuid() == 0:
        say("Installing Chromium for the browser tests.")
        for words in (["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", "chromium"]):
            subprocess.run(words, stdout=subprocess.DEVNULL, check=False)
    if not any(shutil.which(name) for name in BROWSERS):
        say("NO BROWSER: install Chromium, or the browser tests are skipped.")


def python():
    """The interpreter of the virtual environment."""
    return VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def run(words):
    """Run the environment's Python with `words`; return its exit status."""
    return subprocess.run([str(python()), *words], cwd=ROOT, check=False).returncode


def become(words):
    """Turn into the environment's Python, so that signals reach it; on Windows wait for it."""
    if os.name == "nt":
        return run(words)
    os.chdir(ROOT)
    sys.stdout.flush()
    return os.execv(python(), [str(python()), *words])


def say(sentence):
    """Tell the person what goes on."""
    print(sentence, flush=True)


if __name__ == "__main__":
    sys.exit(main())
