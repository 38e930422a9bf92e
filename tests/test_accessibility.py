"""The pages in a real browser: readable by everybody, narrow and wide, light and dark."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from jobs import addresses, events, webhooks
from models import EVENTS, Item, db
from tests.house import chromium, listening
from tests.test_datasets_pages import add_items, make_member
from web import invitations, tokens

pytestmark = pytest.mark.browser

PAGES = [
    "/",
    "/account",
    "/admin",
    "/queue",
    "/datasets/new",
    "/datasets/flowers/",
    "/datasets/flowers/?label=rose&split=test",
    "/datasets/flowers/items/1",
    "/datasets/flowers/labels",
    "/datasets/flowers/settings",
    "/datasets/flowers/predict/batches/",
    "/datasets/flowers/webhooks/",
    "/datasets/flowers/webhooks/1",
    "/nothing/here",
]
STRANGERS_PAGES = ["/", "/login"]
LOOKS = [("light", 1440), ("dark", 360)]
expect.set_options(timeout=30_000)  # milliseconds: the machine may be busy with other tests


@pytest.fixture(scope="module")
def browser():
    """A browser."""
    with chromium() as browser:
        yield browser


@pytest.fixture
def address(app, dataset, root, bob):
    """Where the application listens, with something on every page."""
    add_items(dataset, 70, "rose")
    add_items(dataset, 3, "a label with a rather long name of many words", "test")
    add_items(dataset, 1)
    make_member(dataset, root, "owner")
    make_member(dataset, bob, "viewer")
    tokens.make_token(root, "camera", ["predict"])
    invitations.invite("dora")
    events.add_delivery(add_webhook(dataset), "run.finished", '{"type":"run.finished","data":{}}')
    db.session.commit()
    assert db.session.get(Item, 1)
    with listening(app) as address:
        yield address


def add_webhook(dataset):
    """A webhook with a long address."""
    address = addresses.parse(f"https://hooks.example:8443/{'a-rather-long-path/' * 5}")
    return webhooks.create(dataset, None, address, EVENTS)


def cookie_of(client, sign_in, user, address):
    value = sign_in(client, user).get_cookie("pigeonhole").value
    db.session.commit()  # the server waits for no lock of the test's
    return {"name": "pigeonhole", "value": value, "url": address}


def faults_of(page) -> list[str]:
    """What is wrong with the page shown: headings, width, and what axe finds."""
    faults = [f"{page.locator('h1').count()} h1"] if page.locator("h1").count() != 1 else []
    excess = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    faults += [f"{excess} px too wide"] if excess > 0 else []
    return faults + [violation["id"] for violation in Axe().run(page).response["violations"]]


@pytest.mark.parametrize(("theme", "width"), LOOKS)
def test_every_page_is_readable_by_everybody(browser, address, client, sign_in, root, theme, width):
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=theme)
    faults, script_faults = {}, []
    for pages, cookies in ((STRANGERS_PAGES, []), (PAGES, [cookie_of(client, sign_in, root, address)])):
        context.add_cookies(cookies)
        page = context.new_page()
        page.on("pageerror", lambda error, found=script_faults: found.append(str(error)))
        for path in pages:
            page.goto(address + path, wait_until="load")
            faults |= {path: found} if (found := faults_of(page)) else {}
    context.close()
    assert (faults, script_faults) == ({}, [])


def test_a_selection_is_made_by_shift_click_and_undone(browser, address, client, sign_in, root):
    context = browser.new_context()
    context.add_cookies([cookie_of(client, sign_in, root, address)])
    page = context.new_page()
    page.goto(f"{address}/datasets/flowers/?label=rose")
    boxes = page.locator("input[data-item]")
    boxes.nth(0).click()
    boxes.nth(4).click(modifiers=["Shift"])
    expect(page.get_by_text("5 images chosen")).to_be_visible()
    page.get_by_label("New label").fill("tulip")
    page.get_by_role("button", name="Relabel").click()
    expect(page.get_by_text("5 images labelled tulip")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("Taken back")).to_be_visible()
    context.close()


def test_the_theme_is_remembered(browser, address):
    context = browser.new_context(color_scheme="light")
    page = context.new_page()
    page.goto(address)
    switch = page.locator("[data-theme-switch]")
    switch.click()
    switch.click()
    page.reload()
    assert page.evaluate("document.documentElement.dataset.bsTheme") == "dark"
    context.close()
