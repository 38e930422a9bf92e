"""The API's documentation in a real browser: readable by everybody, searched, and tried."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import expect

from models import db
from tests.house import chromium, listening
from tests.photos import COLOURS, photo
from tests.test_accessibility import LOOKS, faults_of
from web import tokens

pytestmark = pytest.mark.browser
PAGE = "/api/docs"
UNFOLD = "(every) => document.querySelectorAll('details').forEach((one, n) => (one.open = n % every === 0))"


@pytest.fixture(scope="module")
def browser():
    """A browser."""
    with chromium() as browser:
        yield browser


@pytest.fixture
def address(app, dataset):
    """Where the application listens."""
    with listening(app) as address:
        yield address


@pytest.fixture
def page(browser, address):
    """The documentation as a stranger sees it, with what its scripts complained of in `page.faults`."""
    context = browser.new_context(reduced_motion="reduce")
    page = context.new_page()
    page.faults = []
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.on("console", lambda message: message.type == "error" and page.faults.append(message.text))
    page.goto(address + PAGE)
    yield page
    context.close()


@pytest.fixture
def token(alice):
    """A token of alice's."""
    _, text = tokens.make_token(alice, "docs", ["read", "write"])
    db.session.commit()
    return text


def unfold(page, name: str):
    """Follow the link to an operation; return its form."""
    page.goto(page.url.partition("#")[0] + f"#{name}")
    expect(page.locator(f"#{name}")).to_be_visible()
    return page.locator(f"#{name} [data-try]")


def send(form) -> dict:
    """Send the form and return the JSON that it shows."""
    form.get_by_role("button", name="Send").click()
    shown = form.locator("[data-answer] pre")
    shown.wait_for()
    return json.loads(shown.inner_text())


@pytest.mark.parametrize(("theme", "width", "every"), [(*LOOKS[0], 1), (*LOOKS[1], 9)])
def test_all_of_it_is_readable_by_everybody(page, theme, width, every):
    """The operations are made by one template, so that some of them in the second look stand for all."""
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=theme)
    page.evaluate(UNFOLD, every)
    assert (faults_of(page), page.faults) == ([], [])


def test_it_reads_without_scripts_and_hides_the_forms(browser, address):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{address}{PAGE}#datasets_index")
    expect(page.locator("#datasets_index")).to_be_visible()
    expect(page.get_by_text("need JavaScript")).to_be_visible()
    assert page.locator("[data-try]:visible, [data-search]:visible, button[data-copy]:visible").count() == 0
    context.close()


def test_the_search_leaves_what_fits_and_enter_unfolds_it(page):
    page.get_by_label("Search the operations").fill("delete dataset good")
    expect(page.locator("[data-search-count]")).to_contain_text("1 of")
    assert page.locator("[data-operation]:visible").count() == 1
    page.keyboard.press("Enter")
    expect(page.locator("#datasets_delete")).to_be_visible()


def test_the_language_that_was_chosen_is_shown_everywhere_and_remembered(page):
    unfold(page, "datasets_index")
    page.locator("#datasets_index").get_by_role("button", name="Python").click()
    page.reload()
    unfold(page, "datasets_add")
    expect(page.locator("#sample-datasets_add-python")).to_be_visible()
    expect(page.locator("#sample-datasets_add-curl")).to_be_hidden()


def test_without_a_token_the_answer_is_401_and_leads_to_the_field(page):
    assert send(unfold(page, "datasets_index"))["error"]["code"] == "unauthorized"
    page.get_by_role("link", name="Put your token in").click()
    expect(page.get_by_label("Your token")).to_be_in_viewport()


def test_json_and_a_form_with_files_are_sent_and_answered(page, token, dataset):
    page.get_by_label("Your token").fill(token)
    made = send(unfold(page, "datasets_add"))
    assert made["slug"] == "flowers-2"
    form = unfold(page, "additions_add")
    form.get_by_label("slug").fill("flowers-2")
    sent = {"name": "red.jpg", "mimeType": "image/jpeg", "buffer": photo(COLOURS["red"], 1)}
    form.locator("input[type=file][name=image]").set_input_files([sent])
    form.locator("textarea[name=label]").fill("red")
    assert send(form)["added"][0]["labels"] == ["red"]
    assert unfold(page, "items_index").get_by_label("slug").input_value() == "flowers-2"
    assert page.faults == []


def test_the_token_stays_in_the_tab_and_is_forgotten_on_demand(page, token, browser):
    page.get_by_label("Your token").fill(token)
    page.reload()
    expect(page.get_by_label("Your token")).to_have_value(token)
    page.get_by_role("button", name="Forget").click()
    page.reload()
    expect(page.get_by_label("Your token")).to_have_value("")


def test_what_is_no_json_is_told_before_it_is_sent(page):
    form = unfold(page, "datasets_add")
    form.get_by_label("JSON").fill("{")
    form.get_by_role("button", name="Send").click()
    expect(form.get_by_text("That is not JSON yet")).to_be_visible()
    assert page.faults == []
