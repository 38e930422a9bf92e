"""The calls that docs/api.md shows for datasets, images and imports work as they stand there, in order."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
from sqlalchemy import select

from models import Import, Item, db
from tests.asking import make_bearer
from tests.conftest import ROOT
from tests.corpus import good_files, make_zip, photo
from tests.house import listening

PAGE = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
SHOWN = "http://127.0.0.1:5000"

pytestmark = pytest.mark.skipif(
    not (shutil.which("curl") and shutil.which("bash")), reason="curl or bash is missing"
)


def calls_of(title: str, server: str) -> str:
    """The shell lines below a title of the page, asking `server` and failing where it refuses."""
    (part,) = re.findall(rf"^## {title}\n(.*?)(?=^## )", PAGE, re.DOTALL | re.MULTILINE)
    lines = "\n".join(re.findall(r"```sh\n(.*?)```", part, re.DOTALL))
    return lines.replace(SHOWN, server).replace("curl -sS", "curl -sS --fail-with-body")


@pytest.fixture
def folder(tmp_path):
    """A folder with the files that the page names."""
    for number in (1, 2, 3):
        (tmp_path / f"{number}.jpg").write_bytes(photo(number))
    (tmp_path / "flowers.zip").write_bytes(make_zip(good_files()))
    (tmp_path / "labels.csv").write_text("name,kind\n0.jpg,daisy\n1.jpg,rose\n")
    return tmp_path


def test_the_calls_of_the_page_do_what_it_says(app, alice, folder):
    token = make_bearer(alice, "read", "write")["Authorization"].removeprefix("Bearer ")
    with listening(app) as server:
        script = "".join(calls_of(title, server) for title in ("Datasets and labels", "Images", "Imports"))
        known = {"PIGEONHOLE_TOKEN": token, "PATH": "/usr/bin:/bin"}
        done = subprocess.run(
            ["bash", "-ec", script], env=known, cwd=folder, capture_output=True, text=True, timeout=120
        )
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr
    db.session.rollback()
    labels = [[label.name for label in item.labels] for item in db.session.scalars(select(Item))]
    assert labels == [["rose"], ["daisy"], ["rose"]]
    assert [one.source for one in db.session.scalars(select(Import))] == ["flowers.zip"] * 2
    assert (folder / "small.jpg").read_bytes().startswith(b"\xff\xd8")
