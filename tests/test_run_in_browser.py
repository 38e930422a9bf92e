"""A run's page in a real browser: curves that move without a reload, and that everybody can read it."""

from __future__ import annotations

import json

import pytest
from PIL import Image
from playwright.sync_api import expect

from jobs import challenges, previews, runs, training
from models import db
from tests import test_work_in_browser as at_work
from tests.house import chromium
from tests.teaching import finish, start, teach
from tests.test_accessibility import LOOKS, faults_of
from tests.test_curves import STEP, TWO, epoch
from tests.test_live_pages import answer_both
from web.recipes.offered import RECIPES

pytestmark = pytest.mark.browser
DATASET, address, page = at_work.DATASET, at_work.address, at_work.page  # the last two are fixtures
expect.set_options(timeout=30_000)
POINTS = "globalThis.Bokeh.documents.map((one) => one.get_model_by_name('epochs')).filter(Boolean)"


@pytest.fixture(scope="module")
def browser():
    """A browser."""
    with chromium() as browser:
        yield browser


def tell(run, *events) -> None:
    """Write events as the trainer would."""
    for event in events:
        runs.report(
            training.folder_of(run), **{name: value for name, value in event.items() if name != "time"}
        )


@pytest.fixture
def run(dataset):
    """A run at work that has two epochs behind it and tried some learning rates before."""
    teach(dataset)
    run = start(dataset)
    run.job.state = "running"
    db.session.commit()
    rates = [{"phase": "finding", "rate": 10.0 ** (place - 5), "loss": 1 / (place + 1)} for place in range(5)]
    tell(run, *rates, {"phase": "finding", "suggested": 0.01}, *TWO)
    return run


def failed(dataset) -> str:
    """The name of a run of own code that failed."""
    run = start(dataset)
    run.recipe, run.job.state, run.job.message = "custom", "failed", "Line 1: it is wrong."
    path = training.folder_of(run) / "settings.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "recipe": "custom", "code": "model.add()"}))
    db.session.commit()
    return run.folder


@pytest.mark.parametrize(("theme", "width"), LOOKS)
def test_a_run_with_curves_is_readable_by_everybody(page, address, run, theme, width):
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=theme)
    page.goto(f"{address}{DATASET}/runs/{run.folder}", wait_until="load")
    page.wait_for_function("() => globalThis.Bokeh?.documents.length === 3")
    assert (faults_of(page), page.faults) == ([], [])


@pytest.mark.parametrize(("theme", "width"), LOOKS)
def test_the_pages_around_a_run_are_readable_by_everybody(
    page, address, run, dataset, alice, settings, theme, width
):
    settings.values["OWN_CODE"] = True
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=theme)
    first, live = [finish(start(dataset)) for _ in range(2)]
    challenges.start(dataset, first, alice)
    answer_both(dataset, live, first, 1, ["red"])
    db.session.commit()
    faults = {}
    compared = f"{DATASET}/versions/compare?version=1&version=2"
    forms = [f"{DATASET}/runs/?recipe={recipe}" for recipe in RECIPES]
    shadow = f"{DATASET}/versions/challenger"
    for path in ("/queue", f"{DATASET}/runs/{failed(dataset)}", compared, shadow, *forms):
        page.goto(f"{address}{path}", wait_until="load")
        page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
        faults |= {path: found} if (found := faults_of(page)) else {}
    assert (faults, page.faults) == ({}, [])


def test_the_queue_is_shown_as_it_is_without_a_reload(page, address, run):
    page.goto(f"{address}/queue")
    page.evaluate("globalThis.isTheSamePage = true")
    run.job.state = "cancelled"
    db.session.commit()
    page.get_by_role("heading", name="Ended lately").wait_for()
    assert page.evaluate("globalThis.isTheSamePage")


def test_samples_appear_in_the_form_and_nothing_typed_is_lost(page, address, dataset, settings):
    teach(dataset)
    page.goto(f"{address}{DATASET}/runs/?recipe=fine-tune")
    page.get_by_label("Turning (degrees)").fill("45")
    page.get_by_role("button", name="Show on some of your images").click()
    expect(page.get_by_text("Waiting for its turn")).to_be_visible()
    [folder] = [path.parent for path in settings.folder("previews").glob("*/*/settings.json")]
    Image.new("RGB", (64, 64), "red").save(folder / previews.PICTURE)
    expect(page.get_by_alt_text("Four of your images")).to_be_visible()
    assert page.get_by_label("Turning (degrees)").input_value() == "45"
    assert page.faults == []
    page.get_by_label("Turning (degrees)").fill("900")
    page.get_by_role("button", name="Show on some of your images").click()
    expect(page.get_by_text("Must be a number from 0 to 180")).to_be_visible()


def spy_on_notifications(page, permission: str) -> None:
    """Put what would appear on the desktop into `globalThis.told` (kept over loads); headless shows none."""
    page.add_init_script(
        """globalThis.Notification = class {
          static permission = sessionStorage.getItem("permission") ?? "default";
          static async requestPermission() {
            sessionStorage.setItem("permission", PERMISSION);
            return (this.permission = PERMISSION);
          }
          constructor(title) { sessionStorage.setItem("told", title); }
        };""".replace("PERMISSION", repr(permission))
    )


def test_somebody_who_asked_is_told_when_the_run_is_over(page, address, run):
    spy_on_notifications(page, "granted")
    page.goto(f"{address}{DATASET}/runs/{run.folder}")
    page.get_by_role("button", name="Tell me when it is done").click()
    expect(page.get_by_role("button", name="You will be told")).to_have_attribute("aria-pressed", "true")
    finish(run)
    page.wait_for_url("**/versions/1")
    assert page.evaluate("sessionStorage.getItem('told')") == "Flowers: the run is over"


def test_nobody_is_told_who_did_not_ask_or_said_no(page, address, run):
    spy_on_notifications(page, "denied")
    page.goto(f"{address}{DATASET}/runs/{run.folder}")
    button = page.locator("[data-notify]")
    button.click()
    expect(button).to_be_hidden()
    finish(run)
    page.wait_for_url("**/versions/1")
    assert page.evaluate("sessionStorage.getItem('told')") is None
    assert page.faults == []


def test_curves_and_table_go_on_without_a_reload(page, address, run):
    page.goto(f"{address}{DATASET}/runs/{run.folder}")
    page.evaluate("globalThis.isTheSamePage = true")
    rows = page.locator("[data-epochs] tr")
    expect(rows).to_have_count(2)
    tell(run, epoch(3, loss=0.25, val_loss=None, accuracy=0.9), {**STEP, "epoch": 4})
    expect(rows).to_have_count(3)
    expect(page.get_by_text("epoch 4 of 8, 1 of 4")).to_be_visible()
    page.wait_for_function(f"() => {POINTS}.every((source) => source.get_length() === 3)")
    page.evaluate("document.documentElement.dataset.bsTheme = 'dark'")  # draws them anew, with all points
    page.wait_for_function(f"() => {POINTS}.every((source) => source.get_length() === 3)")
    assert page.evaluate("globalThis.isTheSamePage")
    assert page.faults == []


def test_a_step_that_only_some_runs_take_appears_when_it_begins(page, address, run):
    page.goto(f"{address}{DATASET}/runs/{run.folder}")
    expect(page.locator(".phases")).not_to_contain_text("Reading the images")
    tell(run, {"phase": "reading", "done": 3, "total": 9})
    expect(page.locator("[data-phase=reading][aria-current=step]")).to_have_text("Reading the images3 of 9")


def test_a_page_says_when_the_server_no_longer_answers_and_when_it_does_again(page, address, run):
    page.goto(f"{address}{DATASET}/runs/{run.folder}")
    note = page.get_by_text("The server does not answer just now")
    expect(note).to_be_hidden()
    page.context.set_offline(True)
    expect(note).to_be_visible()
    page.context.set_offline(False)
    expect(note).to_be_hidden()
