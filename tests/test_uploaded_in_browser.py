"""An uploaded model from the choice of a file to its run, in a real browser."""

from __future__ import annotations

import pytest

from datasets import intake
from models import db
from tests import model_corpus
from tests.house import chromium, listening
from tests.test_accessibility import LOOKS, cookie_of, faults_of
from tests.trained import COLOURS, as_bytes, make_photo

pytestmark = pytest.mark.browser


@pytest.fixture
def page(app, dataset, client, sign_in, alice):
    """A page of alice's on her dataset of coloured discs."""
    for place, (label, colour) in enumerate(COLOURS.items()):
        for seed in range(6):
            intake.take(
                dataset, f"{label}{seed}.jpg", as_bytes(make_photo(colour, 100 * place + seed)), [label]
            )
    db.session.commit()
    with listening(app) as address, chromium() as browser:
        context = browser.new_context(base_url=address)
        context.add_cookies([cookie_of(client, sign_in, alice, address)])
        page = context.new_page()
        page.faults = []
        page.on("pageerror", lambda error: page.faults.append(str(error)))
        yield page


def look_at(page, address):
    """See that everybody can read the page, however it is looked at."""
    for theme, width in LOOKS:
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=theme)
        page.goto(address, wait_until="load")
        assert not faults_of(page)


def test_a_model_is_sent_with_progress_asked_about_and_given_to_a_run(page, tmp_path):
    (tmp_path / "colours.keras").write_bytes(model_corpus.good()["colours.keras"])
    (tmp_path / "evil.keras").write_bytes(model_corpus.hostile(tmp_path)["58 Lambda in .h5"])
    look_at(page, "/datasets/flowers/runs/?recipe=uploaded")
    page.set_input_files("#file", tmp_path / "evil.keras")
    page.get_by_role("button", name="Look at it").click()
    page.get_by_text("evil.keras: it holds “Lambda”").wait_for()
    page.set_input_files("#file", tmp_path / "colours.keras")
    page.get_by_role("button", name="Look at it").click()
    page.wait_for_url("**recipe=uploaded&model=*")
    look_at(page, page.url)
    page.get_by_label("Its labels, in order").fill("red\ngreen\nblue")
    page.get_by_label("0 to 1: divided by 255").check()
    page.get_by_role("button", name="Measure it").click()
    page.get_by_role("heading", name="Training run").wait_for()
    assert not page.faults
