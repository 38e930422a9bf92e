"""The form of own code: when it is offered, what is refused at once, and that the switch holds everywhere."""

from __future__ import annotations

import html

import pytest
from sqlalchemy import select

from jobs import local, runs, sandbox, training
from learning import own_code
from learning.own_code import CodeRefused
from models import Run, db
from tests.teaching import teach

RUNS = "/datasets/flowers/runs/"


@pytest.fixture
def owner(client, sign_in, alice, dataset):
    """A browser in which alice is signed in; the dataset has photos."""
    teach(dataset)
    return sign_in(client, alice)


@pytest.fixture
def allowed(settings):
    """An administrator has turned own code on, and there is a sandbox."""
    if sandbox.probe() is None:
        pytest.skip(f"NOT TESTED: {sandbox.describe()}")
    settings.values["OWN_CODE"] = True


def test_it_is_switched_off_until_an_administrator_turns_it_on(owner):
    assert "Own code is switched off" in owner.get(f"{RUNS}?recipe=custom").text
    assert owner.post(RUNS, data={"recipe": "custom", "code": own_code.TEMPLATE}).status_code == 409
    assert db.session.scalars(select(Run)).all() == []


def test_the_page_offers_the_template_and_names_the_sandbox(owner, allowed):
    page = owner.get(f"{RUNS}?recipe=custom").text
    assert "def build_model(input_shape, labels):" in page
    assert sandbox.probe().words in page


def test_code_is_kept_as_it_was_sent_and_waits_for_the_worker(owner, allowed):
    code = "model.add(Flatten())\r\n"
    assert owner.post(RUNS, data={"recipe": "custom", "code": code, "epochs": "3"}).status_code == 303
    run = db.session.scalars(select(Run)).one()
    kept = runs.read_settings(training.folder_of(run))
    assert (kept["recipe"], kept["code"], kept["epochs"]) == ("custom", "model.add(Flatten())\n", 3)


def test_a_syntax_error_is_told_at_once_with_its_line(owner, allowed):
    answer = owner.post(RUNS, data={"recipe": "custom", "code": "x = 1\ndef build_model(:\n"})
    assert answer.status_code == 422
    assert "Line 2: invalid syntax." in answer.text
    assert "def build_model(:" in answer.text


def test_a_run_does_not_begin_when_the_switch_was_turned_off_meanwhile(owner, allowed, app, settings):
    owner.post(RUNS, data={"recipe": "custom", "code": own_code.TEMPLATE})
    settings.values["OWN_CODE"] = False
    local.work_once(local.Shift(app, "w1"), ("run",))
    db.session.expire_all()
    run = db.session.scalars(select(Run)).one()
    assert (run.job.state, "switched off" in run.job.message) == ("failed", True)
    assert not (training.folder_of(run) / "log.txt").exists()
    assert owner.post(f"{RUNS}{run.folder}/again").status_code == 409


def test_administrators_see_the_switch_and_the_sandbox(client, sign_in, root):
    page = sign_in(client, root).get("/admin").text
    assert "Editors may not train networks of their own code" in page
    assert html.escape(sandbox.describe()) in page


@pytest.mark.parametrize(
    "code",
    ["", "#" * 65_537, "x = (", "return 1", "\x00", "(" * 5_000, "-" * 60_000 + "1", "x = '\ud800'"],
    ids=["empty", "large", "open", "return", "nul", "nested", "unary", "surrogate"],
)
def test_what_is_no_python_is_refused_without_running_it(code):
    with pytest.raises(CodeRefused):
        own_code.parse(code)
