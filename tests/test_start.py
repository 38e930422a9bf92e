"""start.py: one clear sentence for everything that a machine may lack."""

from __future__ import annotations

import ast
import builtins
import subprocess
import sys
from pathlib import Path

import pytest

import start

ROOT = Path(__file__).parents[1]


def test_it_imports_the_standard_library_only():
    tree = ast.parse((ROOT / "start.py").read_text(encoding="utf-8"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in imported} <= set(sys.stdlib_module_names)


def test_a_python_too_old_is_told_so(monkeypatch):
    monkeypatch.setattr(start, "OLDEST_PYTHON", (99, 1))
    with pytest.raises(start.SetUpFailed, match=r"needs Python 99\.1 or newer"):
        start.check_python()


def test_it_can_be_read_by_a_python_that_is_too_old():
    assert ast.parse((ROOT / "start.py").read_text(encoding="utf-8"), feature_version=(3, 7)).body


def test_a_python_without_venv_is_told_how_to_get_it(monkeypatch):
    really_import = builtins.__import__

    def without_ensurepip(name, *arguments, **more):
        if name == "ensurepip":
            raise ImportError(name)
        return really_import(name, *arguments, **more)

    monkeypatch.setattr(builtins, "__import__", without_ensurepip)
    with pytest.raises(start.SetUpFailed, match="apt install python3-venv"):
        start.check_python()


def test_the_lock_is_not_installed_twice(monkeypatch, tmp_path):
    monkeypatch.setattr(start, "VENV", tmp_path)
    ran = []
    monkeypatch.setattr(start, "run", lambda words: ran.append(words) or 0)
    start.install("requirements.lock")
    start.install("requirements.lock")
    assert len(ran) == 1


def test_an_install_that_failed_is_tried_again(monkeypatch, tmp_path):
    monkeypatch.setattr(start, "VENV", tmp_path)
    monkeypatch.setattr(start, "run", lambda words: 1)
    with pytest.raises(start.SetUpFailed, match="could not be installed"):
        start.install("requirements.lock")
    assert not (tmp_path / "requirements.lock.sha256").exists()


@pytest.mark.parametrize("words", [["dance"], ["serve", "--loudly"], ["--port", "many"]])
def test_wrong_usage_ends_with_status_2(words):
    run = subprocess.run([sys.executable, "start.py", *words], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 2
    assert "usage" in run.stderr


def test_an_unknown_benchmark_is_named(monkeypatch):
    monkeypatch.setattr(start, "set_up", lambda lock: None)
    with pytest.raises(start.SetUpFailed, match="no benchmark speed"):
        start.bench(None, ["speed"])
