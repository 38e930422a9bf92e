"""The main job as a newcomer does it, in a real browser against the real server, worker and trainer."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.house import ROOT, browser_path, running

playwright = pytest.importorskip("playwright.sync_api")
axe = pytest.importorskip("axe_playwright_python.sync_playwright")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.trainer,
    pytest.mark.skipif(browser_path() is None, reason="NO BROWSER: install Chromium to run the journey"),
]

COLOURS = {"amber": (230, 170, 40), "crimson": (190, 30, 60), "teal": (20, 140, 140)}
PASSWORD = "correct horse battery"
LONG = 90_000  # milliseconds; only to fail at all, never to measure


def picture(colour: tuple[int, int, int], seed: int) -> bytes:
    """A noisy photo-like JPEG of one colour."""
    noise = np.random.default_rng(seed).normal(0, 25, (120, 160, 3))
    buffer = io.BytesIO()
    Image.fromarray((np.array(colour) + noise).clip(0, 255).astype(np.uint8)).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    """A zip of three folders of twelve photos, and one file that is no photo."""
    path = tmp_path_factory.mktemp("photos") / "colours.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for place, (label, colour) in enumerate(COLOURS.items()):
            for number in range(12):
                archive.writestr(f"{label}/{number}.jpg", picture(colour, 100 * place + number))
        archive.writestr("teal/broken.jpg", b"not a photo")
    return path


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """A server with its worker on a fresh instance; a backbone prepared before is used again."""
    folder = tmp_path_factory.mktemp("house")
    instance = folder / "instance"
    instance.mkdir()
    prepared = ROOT / "instance" / "backbones"
    if prepared.exists():
        shutil.copytree(prepared, instance / "backbones")
    with running(instance, folder / "server.log") as house:
        yield house


@pytest.fixture(scope="module")
def browser():
    """Headless Chromium."""
    with playwright.sync_playwright() as session:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
        browser = session.chromium.launch(executable_path=browser_path(), args=flags)
        yield browser
        browser.close()


class Walk:
    """One person's way through the pages: every page is checked where it is looked at."""

    def __init__(self, page, address: str):
        self.page = page
        self.address = address
        self.complaints: list[str] = []
        page.set_default_timeout(LONG)
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _note(self, message) -> None:
        if message.type == "error":
            self.complaints.append(f"{self.page.url}: {message.text}")

    def go(self, path: str, status: int = 200) -> None:
        """Open an address of the house, and see that it is answered as it should be."""
        assert self.page.goto(self.address + path).status == status, path

    def look(self) -> None:
        """Check the page: one h1, nothing wider than the window, accessible in light and in dark."""
        for scheme, width in (("light", 1440), ("dark", 360)):
            self.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            self.page.set_viewport_size({"width": width, "height": 900})
            self.page.wait_for_timeout(150)
            self._check(f"{self.page.url} ({scheme}, {width} px)")
        self.page.set_viewport_size({"width": 1440, "height": 900})

    def _check(self, where: str) -> None:
        assert self.page.locator("h1").count() == 1, where
        too_wide = self.page.evaluate("document.documentElement.scrollWidth > window.innerWidth")
        assert not too_wide, f"{where} is wider than the window"
        found = axe.Axe().run(self.page).response["violations"]
        told = [(one["id"], [node["target"] for node in one["nodes"]][:3]) for one in found]
        assert not told, f"{where}: {told}"

    def press(self, name: str, role: str = "button") -> None:
        """Press the first control of that name."""
        self.page.get_by_role(role, name=name).first.click()


@pytest.fixture(scope="module")
def walk(browser, house):
    """The administrator's way, signed in by the set-up link."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    walk = Walk(context.new_page(), house.address)
    walk.go("/")
    walk.look()
    walk.page.goto(house.setup_link)
    walk.look()
    walk.page.get_by_label("Name").fill("ada")
    passwords = walk.page.locator("input[type=password]")
    for field in passwords.all():
        field.fill(PASSWORD)
    walk.press("Make the account")
    walk.page.wait_for_url(f"{house.address}/")
    yield walk
    context.close()


@pytest.fixture(scope="module")
def trained(walk, photos):
    """A dataset made, filled by a zip and trained, all by clicking; the walk stands on version 1's page."""
    page = walk.page
    walk.look()
    walk.go("/datasets/new")
    walk.look()
    page.get_by_label("Name").fill("Colours")
    walk.press("Make the dataset")
    page.wait_for_url(re.compile("/datasets/colours/"))
    walk.go("/datasets/colours/imports/")
    walk.look()
    page.locator("#archive").set_input_files(photos)
    walk.press("Add zip")
    page.wait_for_url(re.compile(r"/imports/\d+$"))
    page.get_by_text("broken.jpg").wait_for()
    walk.look()
    walk.go("/datasets/colours/runs/")
    walk.look()
    walk.press("Train")
    page.wait_for_url(re.compile("/versions/1$"))
    page.get_by_role("link", name="Keras file").wait_for()
    return walk


def test_the_zip_became_items_and_its_bad_file_was_reported(trained):
    trained.go("/datasets/colours/")
    assert trained.page.locator("main").inner_text().count("36")
    trained.look()


def test_the_version_is_measured_and_its_cells_open_their_images(trained):
    trained.go("/datasets/colours/versions/1")
    page = trained.page
    page.locator(".bk-Figure, .bk-Canvas, canvas").first.wait_for()
    trained.look()
    page.get_by_text("The same as a table").click()
    cell = page.locator("details[open] td a").first
    count = int(cell.inner_text().split()[0])
    cell.click()
    page.wait_for_url(re.compile("/versions/1/mistakes/cell"))
    assert page.locator("ol.mistakes > li").count() == count
    trained.look()


def test_every_other_page_of_the_house_is_sound(trained):
    trained.go("/datasets/colours/")
    first = trained.page.locator("a[href*='/items/']").first.get_attribute("href")
    pages = [
        *("/account", "/admin", "/", "/datasets/colours/imports/", "/datasets/colours/runs/"),
        *("/datasets/colours/versions/", "/datasets/colours/settings", "/datasets/colours/labels", first),
    ]
    for path in pages:
        trained.go(path)
        trained.look()


def test_the_error_pages_are_in_the_same_house(trained):
    before = len(trained.complaints)
    trained.go("/nothing-here", status=404)
    trained.look()
    del trained.complaints[before:]  # the browser reports the 404 that was asked for


def test_the_package_can_be_carried_away(trained, tmp_path):
    trained.go("/datasets/colours/versions/1")
    with trained.page.expect_download() as download:
        trained.press("Package (zip)", "link")
    download.value.save_as(tmp_path / "package.zip")
    names = {Path(name).name for name in zipfile.ZipFile(tmp_path / "package.zip").namelist()}
    assert {"package.json", "model.tflite", "model.keras", "README.md"} <= names


def test_the_curl_line_of_an_answer_works_when_pasted(trained, tmp_path):
    page = trained.page
    (tmp_path / "photo.jpg").write_bytes(picture(COLOURS["crimson"], 999))
    trained.go("/datasets/colours/predict")
    trained.look()
    page.locator("#image").set_input_files(tmp_path / "photo.jpg")
    if not re.search("/predict/.+", page.url.removeprefix(trained.address + "/datasets")):
        page.wait_for_url(re.compile(r"\d/predict/"))
    assert "crimson" in page.locator("h1").inner_text()
    page.locator("canvas").first.wait_for()
    trained.look()
    line = page.locator("#curl").inner_text()
    told = page.request.get(page.url + ".json").json()
    token = make_token(trained)
    pasted = f"export PIGEONHOLE_TOKEN={token}\n{line}"
    answer = subprocess.run(["bash", "-c", pasted], cwd=tmp_path, capture_output=True, text=True)
    assert '"label":"crimson"' in answer.stdout.replace(" ", "").replace("\n", ""), answer.stderr
    assert told["label"] == "crimson"


def make_token(walk: Walk) -> str:
    """Make a token on the account page, as a person does."""
    walk.go("/account")
    walk.page.locator("#token-name").fill("my camera")
    walk.press("Make a token")
    walk.page.get_by_text("Your new token").wait_for()
    found = re.search(r"pgh_\w{36}", walk.page.locator("main").inner_html())
    assert found
    return found.group()


def test_nothing_was_reported_on_the_console(trained):
    assert not trained.complaints
