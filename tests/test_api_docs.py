"""The calls that docs/api.md shows work as they stand there, in order."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import select

from models import SCOPES, Feedback, Import, Item, Label, Member, Prediction, Run, Token, db
from tests.asking import make_bearer
from tests.conftest import ROOT
from tests.corpus import good_files, make_zip, photo
from tests.house import listening
from tests.teaching import finish, start, teach

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


def run(script: str, token: str, folder) -> None:
    """Let a shell carry the lines out in `folder`; fail with what it said where one fails."""
    known = {"PIGEONHOLE_TOKEN": token, "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
    done = subprocess.run(
        ["bash", "-ec", script], env=known, cwd=folder, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr
    db.session.rollback()


def test_the_calls_of_the_page_do_what_it_says(app, alice, folder):
    token = make_bearer(alice, "read", "write")["Authorization"].removeprefix("Bearer ")
    with listening(app) as server:
        script = "".join(calls_of(title, server) for title in ("Datasets and labels", "Images", "Imports"))
        run(script, token, folder)
    labels = [[label.name for label in item.labels] for item in db.session.scalars(select(Item))]
    assert labels == [["rose"], ["daisy"], ["rose"]]
    assert [one.source for one in db.session.scalars(select(Import))] == ["flowers.zip"] * 2
    assert (folder / "small.jpg").read_bytes().startswith(b"\xff\xd8")


def test_the_calls_of_training_predictions_and_people_do_what_the_page_says(
    app, root, bob, dataset, tmp_path
):
    teach(dataset, 2)
    made = [finish(start(dataset), ("litert",)) for _ in range(2)]
    answer = {"label": "red", "labels": ["red"]}
    db.session.add(Prediction(public_id="pr_7Hk", dataset=dataset, version=made[0], answer=answer))
    db.session.add(Label(dataset_id=dataset.id, name="daisy"))
    token = make_bearer(root, *SCOPES)["Authorization"].removeprefix("Bearer ")
    ours = {"pr_7Hk…": "pr_7Hk", "true=daisy&predicted=rose": "true=red&predicted=blue"}
    with listening(app) as server:
        for title in ("Train", "Predict", "Members, users and tokens"):
            script = calls_of(title, server)
            for shown, there in ours.items():
                script = script.replace(shown, there)
            run(script, token, tmp_path)
    assert (dataset.live_version, db.session.query(Run).count()) == (2, 3)
    assert (tmp_path / "flowers-2.tflite").read_bytes() == b"a network"
    assert db.session.query(Feedback).one().labels == ["daisy"]
    assert db.session.get(Member, (dataset.id, bob.id)).role == "editor"
    assert db.session.query(Token).filter_by(name="camera").count() == 1
