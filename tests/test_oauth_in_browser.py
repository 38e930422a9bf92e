"""A program lets a person be asked in a real browser: the consent page, the way back, a call of the API."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import requests
from playwright.sync_api import expect

from models import db
from tests.house import chromium, listening
from tests.oauth_flow import VERIFIER, challenge_of, make_client
from tests.test_accessibility import LOOKS, cookie_of, faults_of

pytestmark = pytest.mark.browser
STATE = "a b/ü=%&?"


@pytest.fixture(scope="module")
def browser():
    """A browser."""
    with chromium() as browser:
        yield browser


@contextmanager
def program():
    """A program on this machine: gives the address that it waits at, and what browsers have brought."""
    brought: list[dict[str, str]] = []

    class Callback(BaseHTTPRequestHandler):
        def do_GET(self):
            query = urlsplit(self.path).query
            if query:
                brought.append({name: values[0] for name, values in parse_qs(query).items()})
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<h1>Back at the shop</h1>")

        def log_message(self, *words):
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Callback)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/done", brought
    finally:
        server.shutdown()
        server.server_close()


def asking(address: str, callback: str) -> str:
    query = {
        "response_type": "code",
        "client_id": "shop1",
        "redirect_uri": callback,
        "scope": "read",
        "state": STATE,
        "code_challenge": challenge_of(VERIFIER),
        "code_challenge_method": "S256",
    }
    return f"{address}/oauth/authorize?{urlencode(query)}"


@pytest.fixture
def shop(alice):
    """A program for people's own machines, which takes any port."""
    return make_client(alice, secret=None, redirect_uris=["http://127.0.0.1/done"])


def test_a_person_lets_a_program_in_and_it_calls_the_api(browser, app, client, sign_in, alice, shop, dataset):
    with listening(app) as address, program() as (callback, brought):
        context = browser.new_context()
        context.add_cookies([cookie_of(client, sign_in, alice, address)])
        page = context.new_page()
        page.goto(asking(address, callback))
        page.get_by_role("button", name="Let it in").click()
        expect(page.get_by_role("heading", name="Back at the shop")).to_be_visible()
        (answer,) = brought
        assert (answer["state"], answer["iss"]) == (STATE, address)
        sent = {"grant_type": "authorization_code", "client_id": "shop1", "code": answer["code"]}
        sent |= {"redirect_uri": callback, "code_verifier": VERIFIER}
        token = requests.post(f"{address}/oauth/token", data=sent, timeout=60).json()
        headers = {"Authorization": f"Bearer {token['access_token']}"}
        runs = requests.get(f"{address}/api/v1/datasets/flowers/runs", headers=headers, timeout=60)
        assert (runs.status_code, runs.json()["items"]) == (200, [])
        context.close()


def test_a_person_keeps_a_program_out_by_keyboard(browser, app, client, sign_in, alice, shop):
    with listening(app) as address, program() as (callback, brought):
        context = browser.new_context()
        context.add_cookies([cookie_of(client, sign_in, alice, address)])
        page = context.new_page()
        page.goto(asking(address, callback))
        page.get_by_role("button", name="Let it in").focus()
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Back at the shop")).to_be_visible()
        assert brought[0]["error"] == "access_denied"
        context.close()


@pytest.mark.parametrize(("theme", "width"), LOOKS)
def test_the_pages_are_readable_by_everybody(browser, app, client, sign_in, alice, shop, theme, width):
    make_client(alice, public_id="other1", name="A program with a rather long name of very many words")
    db.session.commit()
    with listening(app) as address:
        context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=theme)
        context.add_cookies([cookie_of(client, sign_in, alice, address)])
        page = context.new_page()
        faults = {}
        for path in ("/clients", "/clients/shop1", "/clients/other1", "/account"):
            page.goto(address + path)
            faults |= {path: found} if (found := faults_of(page)) else {}
        page.goto(asking(address, "http://127.0.0.1:5005/done"))
        assert (faults, faults_of(page)) == ({}, [])
        context.close()
