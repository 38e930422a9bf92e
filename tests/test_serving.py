"""What answers for a version: loading, turns, warm-up, and files that are missing or damaged."""

from __future__ import annotations

import subprocess
import sys
import threading
from contextlib import ExitStack

import numpy as np
import pytest

from jobs import live
from learning.package import update_spec
from models import Dataset, Version, db
from serving import classifier, prediction, warmup
from tests.trained import COLOURS, ROOT, as_bytes, make_photo
from utils import ImageRefused
from web import answers

pytestmark = pytest.mark.trainer


@pytest.fixture
def version(app, dataset, trained):
    classifier.forget()
    return trained.install(app, dataset)


@pytest.mark.parametrize("label", COLOURS)
def test_a_photo_it_has_not_seen_gets_its_label(version, label):
    answer = prediction.predict(version, as_bytes(make_photo(COLOURS[label], seed=999)))
    assert answer.labels == (label,)


def test_probabilities_are_of_every_label_and_sorted(version):
    answer = prediction.predict(version, as_bytes(make_photo(COLOURS["red"], seed=1)))
    shares = [probability for _, probability in answer.probabilities]
    assert {label for label, _ in answer.probabilities} == set(COLOURS)
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(1)


def test_the_size_told_is_that_of_the_upright_image(version):
    turned = as_bytes(make_photo(COLOURS["red"], seed=1, size=(320, 240)), orientation=6)
    answer = prediction.predict(version, turned)
    assert (answer.width, answer.height) == (240, 320)


def test_a_damaged_image_is_refused(version):
    whole = as_bytes(make_photo(COLOURS["red"], seed=1))
    with pytest.raises(ImageRefused):
        prediction.predict(version, whole[: len(whole) // 2])


def test_a_missing_backbone_makes_the_version_unusable_and_says_so(app, version):
    for file in app.config["PIGEONHOLE"].folder("backbones").glob("*.tflite"):
        file.unlink()
    with pytest.raises(classifier.VersionUnusable, match=r"network file .* is missing"):
        prediction.predict(version, as_bytes(make_photo(COLOURS["red"], seed=1)))


def test_a_damaged_backbone_is_never_opened(app, version):
    for file in app.config["PIGEONHOLE"].folder("backbones").glob("*.tflite"):
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.unlink()  # a link to the others' file
        file.write_bytes(content)
    with pytest.raises(classifier.VersionUnusable, match="is damaged"):
        prediction.predict(version, as_bytes(make_photo(COLOURS["red"], seed=1)))


def test_a_missing_package_makes_the_version_unusable(app, version):
    (app.config["PIGEONHOLE"].folder("runs") / version.run.folder / "package" / "head.npz").unlink()
    with pytest.raises(classifier.VersionUnusable, match="package is missing or damaged"):
        prediction.predict(version, as_bytes(make_photo(COLOURS["red"], seed=1)))


def test_thresholds_count_from_the_next_prediction_on(app, version):
    photo = as_bytes(make_photo(COLOURS["red"], seed=1))
    assert not prediction.predict(version, photo).rejected
    folder = app.config["PIGEONHOLE"].folder("runs") / version.run.folder / "package"
    update_spec(folder, lambda spec: spec | {"thresholds": [1.0, 1.0, 1.0]})
    answer = prediction.predict(version, photo).as_json()
    assert (answer["rejected"], answer["reason"], answer["label"]) == (True, "uncertain", None)
    assert answer["labels"] == [] and len(answer["probabilities"]) == 3


def test_many_threads_get_the_answer_that_one_gets(app, version):
    engine = classifier.find(version)
    pixels = [np.full((224, 224, 3), value, np.uint8) for value in (0, 60, 120, 180)]
    alone = [engine.answer(one).pairs for one in pixels]
    together: dict[int, list] = {}

    def ask(place: int) -> None:
        together[place] = [engine.answer(one).pairs for one in pixels]

    threads = [threading.Thread(target=ask, args=(place,)) for place in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(alone == seen for seen in together.values())
    assert len(together) == 6


def test_a_full_line_turns_the_next_one_away():
    line = classifier.Line(ask=None, places=1)
    with line.place(), pytest.raises(classifier.Busy), line.place():
        pass
    with line.place():  # and is open again afterwards
        pass


def test_warming_up_passes_over_a_version_it_cannot_load(app, version, caplog):
    (app.config["PIGEONHOLE"].folder("runs") / version.run.folder / "package" / "package.json").unlink()
    warmup.warm_up()
    assert f"Version {version.number} of {version.dataset.slug}: " in caplog.text


def test_warming_up_leaves_alone_what_everybody_asks_already(app, version):
    warmup.forget()
    line = classifier.find(version).line
    with ExitStack() as crowd:
        for _ in range(app.config["PIGEONHOLE"].predict_queue):
            crowd.enter_context(line.place())
        warmup.warm_up()


def test_what_went_live_elsewhere_is_warmed_at_the_next_look_and_once(app, dataset, version, trained, alice):
    live.make_live(dataset, trained.install(app, dataset, is_live=False), alice)
    db.session.commit()
    seen = warmup.warm_what_is_new(0)
    assert dataset.live_version == 2 and classifier._load_package.cache_info().currsize
    classifier.forget()
    warmup.forget()
    assert warmup.warm_what_is_new(seen) == seen
    assert not classifier._load_package.cache_info().currsize


def test_a_rehearsal_waits_for_nobody_who_writes_and_leaves_nothing_open(app):
    with db.engine.begin():
        answers.rehearse()
    assert not db.session().in_transaction()


def test_predicting_imports_neither_tensorflow_nor_scikit_learn(app, version):
    script = f"""
import sys, config, server
from models import Version, db
from serving import prediction
from tests.trained import COLOURS, as_bytes, make_photo
app = server.create_app(config.load({str(app.config["PIGEONHOLE"].instance)!r}))
with app.app_context():
    prediction.predict(db.session.get(Version, {version.id}), as_bytes(make_photo(COLOURS["red"], seed=1)))
print([name for name in ("tensorflow", "keras", "sklearn") if name in sys.modules])
"""
    db.session.commit()  # lets go of the lock that another process waits for
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_whole_network_answers_without_a_backbone(app, dataset, trained, tmp_path):
    version = trained.as_network(tmp_path / "package").install(app, dataset)
    for file in app.config["PIGEONHOLE"].folder("backbones").glob("*.tflite"):
        file.unlink()
    assert prediction.predict(version, as_bytes(make_photo(COLOURS["red"], seed=1))).labels == ("red",)


@pytest.mark.parametrize("damage", ["gone", "one bit flipped"])
def test_a_damaged_network_makes_the_version_unusable(app, dataset, trained, tmp_path, damage):
    version = trained.as_network(tmp_path / "package").install(app, dataset)
    path = app.config["PIGEONHOLE"].folder("runs") / version.run.folder / "package" / "model.tflite"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.unlink()
    if damage != "gone":
        path.write_bytes(content)
    with pytest.raises(classifier.VersionUnusable, match="damaged"):
        prediction.predict(version, as_bytes(make_photo(COLOURS["red"], seed=1)))


def test_no_more_interpreters_are_warmed_than_are_kept(app, alice, trained, tmp_path):
    whole = trained.as_network(tmp_path / "package")
    for place in range(classifier.INTERPRETERS_KEPT + 2):
        whole.install(app, Dataset(slug=f"set-{place}", name=f"Set {place}"))
    classifier.forget()
    warmup.forget()
    warmup.warm_up()
    assert classifier._open_line.cache_info().misses == classifier.INTERPRETERS_KEPT
    newest = db.session.scalar(db.select(Version).order_by(Version.id.desc()).limit(1))
    classifier.find(newest)
    assert classifier._open_line.cache_info().misses == classifier.INTERPRETERS_KEPT


def test_a_multi_label_version_says_every_label_from_its_own_threshold_on(app, dataset, trained, tmp_path):
    version = trained.as_tags(tmp_path / "package").install(app, dataset)
    answer = prediction.predict(version, as_bytes(make_photo(COLOURS["blue"], seed=3))).as_json()
    limits = {entry["label"]: entry["threshold"] for entry in answer["probabilities"]}
    assert limits == {"blue": 0.2, "green": 0.5, "red": 0.999}
    said = [one["label"] for one in answer["probabilities"] if one["probability"] >= one["threshold"]]
    assert answer["labels"] == said == ["blue"]
    assert answer["label"] == "blue"


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_a_version_that_gives_no_numbers_says_so(app, dataset, trained, tmp_path):
    sick = trained._copied(tmp_path / "package")
    head = dict(np.load(sick.package / "head.npz"))
    np.savez(sick.package / "head.npz", **(head | {"bias": np.full_like(head["bias"], np.nan)}))
    with pytest.raises(classifier.VersionUnusable, match="no numbers"):
        prediction.predict(sick.install(app, dataset), as_bytes(make_photo(COLOURS["red"], seed=3)))


def test_none_of_the_labels_is_an_answer(app, dataset, trained, tmp_path):
    version = trained.as_tags(tmp_path / "package").install(app, dataset)
    answer = prediction.predict(version, as_bytes(make_photo(COLOURS["red"], seed=3))).as_json()
    assert answer["label"] is None
    assert answer["labels"] == []
    assert answer["rejected"] is False
