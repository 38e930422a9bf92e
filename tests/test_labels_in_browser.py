"""Labels in a real browser: a folder with its CSV, several by keyboard, all of a filter, and readable."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import expect
from sqlalchemy import select

from models import Item, db
from tests.photos import photo
from tests.test_accessibility import LOOKS, faults_of
from tests.test_datasets_pages import add_items
from tests.test_several_labels import labels_of
from tests.test_work_in_browser import DATASET, address, browser, page

__all__ = ["address", "browser", "page"]  # fixtures
pytestmark = pytest.mark.browser


@pytest.fixture
def tagged(dataset):
    """A multi-label dataset with more items than a page shows, one of them without a label."""
    dataset.task = "multi-label"
    return add_items(dataset, 70, "rose") + add_items(dataset, 1)


def write_photos(folder, count: int):
    for seed in range(count):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{seed}.jpg").write_bytes(photo((200, 40, 40), seed))
    return folder


def labels_by_name() -> dict[str, list[str]]:
    return {
        item.sent_name: sorted(label.name for label in item.labels)
        for item in db.session.scalars(select(Item))
    }


@pytest.mark.parametrize(("theme", "width"), LOOKS)
def test_the_pages_of_several_labels_are_readable_by_everybody(page, address, tagged, theme, width):
    number = tagged[0].id
    db.session.commit()  # hold no lock
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=theme)
    faults = {}
    for path in ("/", "/?label=", f"/items/{number}", "/task", "/imports/"):
        page.goto(f"{address}{DATASET}{path}", wait_until="load")
        for summary in page.locator("summary").all():
            summary.click()
        faults |= {path: found} if (found := faults_of(page)) else {}
    assert faults == {}


def test_a_folder_with_a_csv_brings_what_it_names(page, address, dataset, tmp_path):
    dataset.task = "multi-label"
    db.session.commit()
    folder = write_photos(tmp_path / "set" / "photos", 3)
    (tmp_path / "set" / "labels.csv").write_text(
        "name,cat,dog\nphotos/0.jpg,1,1\nphotos/1.jpg,0,0\ngone.jpg,1,0\n"
    )
    assert folder.exists()
    page.goto(f"{address}{DATASET}/imports/")
    page.set_input_files("#folder", tmp_path / "set")
    page.get_by_role("button", name="Add photos").click()
    page.wait_for_url("**/imports/1")
    assert labels_by_name() == {"set/photos/0.jpg": ["cat", "dog"], "set/photos/1.jpg": []}
    expect(page.get_by_text("gone.jpg, which is not there")).to_be_visible()


def test_a_folder_with_labelme_files_brings_their_flags(page, address, dataset, tmp_path):
    folder = write_photos(tmp_path / "set", 1)
    (folder / "0.json").write_text(json.dumps({"flags": {"cat": True, "dog": False}}))
    page.goto(f"{address}{DATASET}/imports/")
    page.set_input_files("#folder", folder)
    page.get_by_role("button", name="Add photos").click()
    page.wait_for_url("**/imports/1")
    assert labels_by_name() == {"set/0.jpg": ["cat"]}


def test_a_csv_that_is_wrong_is_told_on_the_page_and_nothing_is_sent(page, address, dataset, tmp_path):
    folder = write_photos(tmp_path / "set", 1)
    (folder / "labels.csv").write_text('file,label\n0.jpg,"cat\n')
    page.goto(f"{address}{DATASET}/imports/")
    page.set_input_files("#folder", folder)
    page.get_by_role("button", name="Add photos").click()
    expect(page.get_by_text("Row 2 cannot be read")).to_be_visible()
    assert db.session.scalar(select(Item)) is None


def test_labels_are_given_and_made_by_keyboard_alone(page, address, tagged):
    number = tagged[0].id
    db.session.commit()  # hold no lock
    page.goto(f"{address}{DATASET}/items/{number}")
    field = page.get_by_label("Another label")
    for name in ("red", "  Thorny  rose "):
        field.fill(name)
        field.press("Enter")
    field.press("Enter")
    expect(page.get_by_text("1 image labelled")).to_be_visible()
    db.session.expire_all()
    assert sorted(labels_of(tagged[:1])[0]) == ["Thorny rose", "red", "rose"]


def test_all_images_of_a_filter_are_chosen_at_once_and_taken_back(page, address, tagged):
    page.goto(f"{address}{DATASET}/?label=rose")
    page.get_by_label("All 70 of this choice").check()
    expect(page.get_by_text("70 images chosen")).to_be_visible()
    page.get_by_label("Label", exact=True).fill("red")
    page.get_by_role("button", name="Add label").click()
    expect(page.get_by_text("70 images labelled red too")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("Taken back")).to_be_visible()
