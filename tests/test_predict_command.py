"""`server.py predict`: images, folders and lists into lines, JSON and a table that survives kill -9."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from datasets import intake
from models import db
from serving import batches, explain, heatmaps, tables, telling
from tests.house import environment, wait_until
from tests.trained import COLOURS, ROOT, as_bytes, make_photo

pytestmark = pytest.mark.trainer


@pytest.fixture
def photos(tmp_path):
    """A folder of twelve photos and a broken one."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for place, (label, colour) in enumerate(COLOURS.items()):
        for index in range(4):
            (folder / f"{label}{index}.jpg").write_bytes(as_bytes(make_photo(colour, 7 * place + index)))
    (folder / "broken.jpg").write_bytes(b"no image")
    return folder


@pytest.fixture
def answerer(trained):
    """What answers from the package."""
    return batches.by_package(trained.package)


def images_of(folder) -> list[batches.ImageFile]:
    return [batches.ImageFile(path.name, path.read_bytes) for path in sorted(folder.iterdir())]


def run(instance, *words, python=()):
    """Call the command in a process of its own, with these options of Python's."""
    command = [sys.executable, *python, "server.py", "predict", *map(str, words)]
    return subprocess.run(command, cwd=ROOT, env=environment(instance), capture_output=True, text=True)


def rows(path) -> dict[str, dict]:
    with path.open(newline="", encoding="utf-8") as file:
        return {row["file"]: row for row in csv.DictReader(file)}


def test_every_image_is_answered_in_order_and_a_broken_one_keeps_its_place(answerer, photos):
    answers = list(batches.answer_all(answerer, images_of(photos)))
    assert [answer.name for answer in answers] == sorted(path.name for path in photos.iterdir())
    assert all(answer.name.startswith(answer.labels[0]) for answer in answers if not answer.refusal)
    assert [answer.name for answer in answers if answer.refusal] == ["broken.jpg"]


def test_an_end_asked_for_early_leaves_the_rest(answerer, photos):
    answers = batches.answer_all(answerer, images_of(photos))
    next(answers)
    answers.close()
    assert not list(answers)


def test_a_version_of_the_instance_says_what_its_package_says(app, dataset, trained, answerer, photos):
    by_version = batches.by_version(trained.install(app, dataset))
    assert by_version.name == "flowers 1"
    for one, other in zip(
        batches.answer_all(by_version, images_of(photos)),
        batches.answer_all(answerer, images_of(photos)),
        strict=True,
    ):
        assert dict(one.pairs) == pytest.approx(dict(other.pairs), abs=1e-5)


def test_lines_go_to_standard_output_and_refusals_to_standard_error(answerer, photos, capsys):
    told = telling.tell(answerer, images_of(photos), None, as_json=False)
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 12 and out.startswith("blue0.jpg: blue ")
    assert "broken.jpg: This is not a" in err
    assert told["refused"] == 1


def test_the_package_alone_and_the_version_explain_as_the_api_does(app, dataset, trained, answerer, photos):
    version, image = trained.install(app, dataset), images_of(photos)[-1]
    expected = explain.explain(version, image.read()).as_json()
    for one in (answerer, batches.by_version(version)):
        told = telling.answer(telling.Wish(as_json=True, explain=True), one, [image])["predictions"][0]
        found = told["explanation"]
        assert (found["label"], found["method"], found["box"]) == ("red", "exact", expected["box"])
        assert found["scale"] == pytest.approx(expected["scale"], abs=1e-3)
        assert np.abs(np.array(found["heatmap"]) - expected["heatmap"]).max() < 1e-3


def test_a_package_without_its_head_is_explained_by_hiding_parts(trained, photos, tmp_path):
    folder = shutil.copytree(trained.package, tmp_path / "package")
    (folder / "head.npz").unlink()
    wish = telling.Wish(as_json=True, explain=True)
    told = telling.answer(wish, batches.by_package(folder), images_of(photos)[-1:])
    assert told["predictions"][0]["explanation"]["method"] == "occlusion"


def test_why_is_said_in_words_in_marks_and_by_taught_images(app, dataset, trained, photos, capsys):
    content = (trained.package.parent / "colours" / "red" / "0.jpg").read_bytes()
    number = intake.take(dataset, "red/0.jpg", content, ["red"]).item.id
    db.session.commit()
    answerer = batches.by_version(trained.install(app, dataset))
    telling.answer(telling.Wish(explain=True), answerer, images_of(photos)[:1] + images_of(photos)[-1:])
    out = capsys.readouterr().out.splitlines()
    words, *rows = out[-10:-2]
    assert words.startswith("  What spoke most for red: the ")
    assert len(rows) == 7 and all(len(row.split()) == 7 for row in rows) and "#" in "".join(rows)
    assert out[-2].endswith("exact: the parts add up to the answer)")
    assert out[-1].startswith("  Most similar of what was taught: red 0.") and f"(image {number})" in out[-1]


def test_what_mattered_is_painted_over_the_image(answerer, photos, tmp_path):
    path, images = tmp_path / "why.png", images_of(photos)[-1:]
    telling.answer(telling.Wish(as_json=True, heatmap=path), answerer, images)
    picture = Image.open(path)
    assert (picture.format, picture.mode, picture.size) == ("PNG", "RGB", (320, 240))
    with pytest.raises(heatmaps.NotSaved, match="cannot be written"):
        telling.answer(telling.Wish(heatmap=tmp_path / "nowhere" / "why.png"), answerer, images)


def test_another_package_may_not_go_on_with_a_table(answerer, trained, photos, tmp_path):
    telling.fill(tmp_path / "out.csv", False, answerer, images_of(photos), None)
    other = batches.by_package(trained.as_tags(tmp_path / "tags").package)
    with pytest.raises(tables.TableRefused, match="holds answers of package"):
        telling.fill(tmp_path / "out.csv", False, other, images_of(photos), None)


def test_a_call_killed_in_the_middle_is_gone_on_with_by_the_same_call(trained, photos, tmp_path):
    for copy in range(20):  # more than is answered before the kill arrives
        shutil.copytree(photos, photos / f"copy{copy}", ignore=shutil.ignore_patterns("copy*"))
    words = ("--package", trained.package, photos, "--csv", tmp_path / "out.csv", "--json")
    instance = tmp_path / "instance"
    command = [sys.executable, "server.py", "predict", *map(str, words)]
    killed = subprocess.Popen(command, cwd=ROOT, env=environment(instance), stderr=subprocess.DEVNULL)
    wait_until(lambda: (tmp_path / "out.csv").exists() and len(rows(tmp_path / "out.csv")) > 5, what="rows")
    killed.kill()
    killed.wait()
    done = run(instance, *words)
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["there_already"] > 5
    assert told["there_already"] + told["answered"] == 21 * 13 == len(rows(tmp_path / "out.csv"))
    assert done.returncode == 1 and "21 of 273 images could not be answered" in done.stderr
    assert not instance.exists() or not (instance / "pigeonhole.db").exists()  # a package needs no database


def test_images_that_are_all_answered_are_status_0_and_tensorflow_is_not_needed(trained, photos, tmp_path):
    (photos / "broken.jpg").unlink()
    words = ("--package", trained.package, photos, "--top", "1", "--json")
    done = run(tmp_path / "instance", *words, python=("-X", "importtime"))
    assert done.returncode == 0, done.stderr
    imported = done.stderr.replace("  ", "")
    assert "| ai_edge_litert" in imported and "| tensorflow" not in imported
    first, *_ = json.loads(done.stdout.splitlines()[-1])["predictions"]
    assert [entry["label"] for entry in first["probabilities"]] == ["blue"]
