"""Adding images, runs and versions in a real browser: what the scripts do, and that everybody can read it."""

from __future__ import annotations

import base64
import io

import pytest
from playwright.sync_api import expect
from sqlalchemy import select

from jobs import runs, training
from learning.package import read_spec
from models import Import, Item, db
from serving import feedback
from tests.furnished import add_prediction
from tests.house import chromium, listening
from tests.photos import COLOURS, photo
from tests.teaching import find_alike, finish, start, teach
from tests.test_accessibility import LOOKS, cookie_of, faults_of
from tests.trained import as_bytes, make_photo

pytestmark = pytest.mark.browser
DATASET = "/datasets/flowers"
DROP = """([name, content]) => {
  const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, {type: "image/jpeg"}));
  document.dispatchEvent(new DragEvent("drop", {dataTransfer: transfer, bubbles: true, cancelable: true}));
}"""


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
def page(browser, address, client, sign_in, alice):
    """A page of alice's, with what its scripts complained of in `page.faults`."""
    context = browser.new_context()
    context.add_cookies([cookie_of(client, sign_in, alice, address)])
    page = context.new_page()
    page.faults = []
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.on("console", lambda message: message.type == "error" and page.faults.append(message.text))
    yield page
    context.close()


@pytest.mark.parametrize(("theme", "width"), LOOKS)
def test_the_pages_of_work_are_readable_by_everybody(page, address, alice, dataset, theme, width):
    teach(dataset)
    finish(start(dataset), proven=("litert", "keras"))
    finish(start(dataset))
    prediction = add_prediction(dataset, alice)
    db.session.flush()
    feedback.give(prediction, alice, False, ["red"])
    address_of_answer = f"/predict/{prediction.filename}"
    waiting = start(dataset).folder
    db.session.add(Import(dataset_id=dataset.id, kind="zip", source="flowers.zip"))
    db.session.commit()
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=theme)
    faults = {}
    paths = ("/imports/", "/imports/1", "/runs/", f"/runs/{waiting}", "/versions/", "/versions/1")
    paths += ("/versions/1/calibration", "/versions/1/threshold")
    paths += ("/versions/1/mistakes/wrong", "/versions/1/mistakes/called")
    for path in (*(f"{DATASET}{path}" for path in paths), address_of_answer):
        page.goto(f"{address}{path}", wait_until="load")
        faults |= {path: found} if (found := faults_of(page)) else {}
    assert (faults, page.faults) == ({}, [])


def test_a_chosen_folder_gives_its_labels_and_the_report_follows(page, address, tmp_path):
    for label, colour in COLOURS.items():
        (tmp_path / "photos" / label).mkdir(parents=True)
        for seed in range(3):
            (tmp_path / "photos" / label / f"{seed}.jpg").write_bytes(photo(colour, seed))
    page.goto(f"{address}{DATASET}/imports/")
    page.set_input_files("#folder", tmp_path / "photos")
    page.get_by_role("button", name="Add photos").click()
    page.wait_for_url("**/imports/1")
    items = db.session.scalars(select(Item)).all()
    assert {label.name for item in items for label in item.labels} == {"red", "blue"}
    assert len(items) == 6


def test_a_dropped_photo_goes_under_the_label_written_in_the_field(page, address):
    page.goto(f"{address}{DATASET}/imports/")
    page.get_by_label("Label for all of them").fill("daisy")
    page.evaluate(DROP, ["a.jpg", base64.b64encode(photo((9, 9, 9), 1)).decode()])
    page.wait_for_url("**/imports/1")
    assert [label.name for label in db.session.scalars(select(Item)).one().labels] == ["daisy"]


def test_a_refused_photo_is_named_on_the_page_at_once(page, address):
    page.goto(f"{address}{DATASET}/imports/")
    page.evaluate(DROP, ["bad.jpg", base64.b64encode(b"no image").decode()])
    page.get_by_text("bad.jpg: This is not").wait_for()
    assert page.get_by_text("1 refused").is_visible()


def test_a_run_moves_without_reloading_and_leads_to_its_version(page, address, dataset):
    teach(dataset)
    run = start(dataset)
    page.goto(f"{address}{DATASET}/runs/{run.folder}")
    runs.report(training.folder_of(run), "embedding", 3, 12)
    page.get_by_text("3 of 12").wait_for()
    finish(run)
    page.wait_for_url("**/versions/1")
    assert page.locator("h1").inner_text().startswith("Version 1")


@pytest.mark.parametrize(("theme", "width"), LOOKS)
def test_why_an_answer_is_what_it_is_is_readable_by_everybody(
    page, address, client, app, dataset, trained, theme, width
):
    trained.install(app, dataset)
    image = io.BytesIO(as_bytes(make_photo((200, 50, 40), seed=7)))
    answer = client.post(f"{DATASET}/predict", data={"image": (image, "photo.jpg")}).location
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=theme)
    page.goto(f"{address}{answer}", wait_until="load")
    page.get_by_role("link", name="Show what mattered").click()
    page.get_by_label("What spoke for").select_option("blue")
    page.get_by_role("button", name="Show that").click()
    page.get_by_alt_text("what mattered for blue").wait_for()
    assert (faults_of(page), page.faults) == ([], [])


def test_a_tap_on_a_cell_opens_its_images_in_either_theme(page, address, dataset):
    teach(dataset)
    version = finish(start(dataset))
    page.goto(f"{address}{DATASET}/versions/1")
    page.wait_for_function("globalThis.Bokeh?.documents.length === 1")
    page.evaluate("document.documentElement.dataset.bsTheme = 'dark'")
    page.wait_for_function("globalThis.Bokeh.documents.at(-1).get_model_by_name('cells')")
    page.wait_for_timeout(300)
    wrong = [version.labels.index("red"), version.labels.index("blue")]
    page.evaluate(
        """([is, said]) => {
          const source = globalThis.Bokeh.documents.at(-1).get_model_by_name("cells");
          const row = [...source.get_column("true")].findIndex(
            (value, place) => value === is && source.get_column("predicted")[place] === said);
          source.selected.indices = [row];
        }""",
        wrong,
    )
    page.get_by_role("heading", name="“red” taken for “blue”").wait_for()
    assert page.faults == []


def test_mistakes_are_put_right_by_keyboard_alone(page, address, dataset):
    teach(dataset)
    finish(start(dataset))
    page.goto(f"{address}{DATASET}/versions/1/mistakes/wrong")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("s")
    expect(page.get_by_text("labelled blue. All on this page are done.")).to_be_visible()
    expect(page.locator("[data-put-right]")).to_have_text("1")
    expect(page.get_by_role("button", name="Train again")).to_be_focused()
    page.keyboard.press("u")
    expect(page.get_by_text("taken back")).to_be_visible()
    expect(page.locator(".mistake")).to_be_focused()
    page.keyboard.press("l")
    expect(page.get_by_text("red/0.jpg: left as it is")).to_be_visible()
    expect(page.locator("[data-done]")).to_have_text("1")
    assert (faults_of(page), page.faults) == ([], [])


def test_a_look_alike_is_settled_at_once_when_its_like_is_relabelled(page, address, dataset):
    teach(dataset)
    finish(start(dataset))
    pair = [db.session.scalar(select(Item).filter_by(sent_name=f"{colour}/0.jpg")) for colour in COLOURS]
    find_alike(dataset, *pair)
    ids = {item.sent_name: item.id for item in pair}
    db.session.commit()
    page.goto(f"{address}{DATASET}/versions/1/mistakes/alike")
    blue = page.locator(f"#item-{ids['blue/0.jpg']}")
    page.locator(f"#item-{ids['red/0.jpg']}").get_by_role("button", name="blue").click()
    expect(blue).to_contain_text("Nothing left to do here")
    expect(page.get_by_role("button", name="Train again")).to_be_focused()
    page.keyboard.press("u")
    expect(blue).to_contain_text("Looks like")
    assert page.faults == []


def test_a_table_is_sorted_by_a_press_on_its_head(page, address, dataset):
    teach(dataset)
    finish(start(dataset))
    page.goto(f"{address}{DATASET}/versions/1")
    page.get_by_role("button", name="Recall").click()
    table = page.locator("[data-sortable]")
    assert table.locator("tbody tr th").all_inner_texts() == ["red", "blue"]
    page.get_by_role("button", name="Recall").click()
    assert table.locator("tbody tr th").all_inner_texts() == ["blue", "red"]


def numbers_on(page) -> list[str]:
    """Everything that the thresholds change on the page."""
    return page.locator("[data-cell]").all_inner_texts()


def test_sliders_count_what_the_server_counts_and_what_is_saved_is_obeyed(page, address, dataset):
    teach(dataset)
    version = finish(start(dataset))
    here = f"{address}{DATASET}/versions/1/threshold"
    page.goto(here)
    box = page.get_by_label("Threshold for all labels", exact=True)
    seen = {}
    for limit in ("0.9", "0.901", "0.1", "0"):
        page.get_by_label("Threshold for all labels, slider").fill(limit)
        expect(box).to_have_value(limit)
        seen[limit] = numbers_on(page)
    for limit, numbers in seen.items():
        page.goto(f"{here}?at={limit}")
        assert numbers_on(page) == numbers
    page.get_by_label("One for each label").check()
    page.get_by_text("Label by label").click()
    page.get_by_label("blue", exact=True).fill("0.95")
    numbers = numbers_on(page)
    page.get_by_role("button", name="Save").click()
    page.get_by_text("decides by these thresholds from now on").wait_for()
    assert numbers_on(page) == numbers
    limits = read_spec(training.package_folder(version))["thresholds"]
    assert dict(zip(version.labels, limits, strict=True)) == {"blue": 0.95, "red": 0}
    assert page.faults == []
