"""The settings, and that the page of them is complete."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import config

PAGE = Path(__file__).parents[1] / "docs" / "settings.md"
ROW = re.compile(r"^\| `(\w+)` \| (.+?)(?: \([^|]*\))? \| (.+) \|$", re.MULTILINE)


def rows() -> dict[str, tuple[str, str]]:
    found = ROW.findall(PAGE.read_text(encoding="utf-8"))
    return {name.upper(): (default, reason) for name, default, reason in found}


def test_the_page_lists_every_setting_and_no_other():
    assert set(rows()) == set(config.SETTINGS)


@pytest.mark.parametrize("name", config.SETTINGS)
def test_the_page_gives_the_default_and_the_reason_of(name):
    setting = config.SETTINGS[name]
    default = str(setting.default).lower() if isinstance(setting.default, bool) else str(setting.default)
    assert rows()[name] == (default or "empty", setting.reason)


def test_a_file_overrides_a_default(tmp_path):
    (tmp_path / "config.toml").write_text("port = 8080\n")
    assert config.load(tmp_path).port == 8080


def test_a_variable_overrides_the_file(tmp_path, monkeypatch):
    (tmp_path / "config.toml").write_text("port = 8080\n")
    monkeypatch.setenv("PIGEONHOLE_PORT", "9090")
    assert config.load(tmp_path).port == 9090


@pytest.mark.parametrize("line", ["prot = 8080", "port = 'many'", "secure_cookies = 'perhaps'", "port = "])
def test_a_setting_that_cannot_be_meant_is_refused_by_name_and_place(tmp_path, line):
    (tmp_path / "config.toml").write_text(line)
    with pytest.raises(config.BadSetting, match=r"config\.toml"):
        config.load(tmp_path)


def test_the_secret_key_is_made_once_and_kept_from_others(tmp_path):
    first = config.load(tmp_path).secret_key
    assert config.load(tmp_path).secret_key == first
    assert len(first) == 64
    assert (tmp_path / "secret_key").stat().st_mode & 0o077 == 0
