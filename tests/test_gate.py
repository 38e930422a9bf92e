"""The static gate and the probe behind it: what may come in, and SAFETY's hostile models."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from learning.uploads import gate
from learning.uploads.facts import ModelRefused, check_outputs, from_json, match_labels, parse_labels
from tests import model_corpus

ROOT = Path(__file__).parents[1]
FLIPS = 200


@pytest.fixture
def take(tmp_path):
    """`take(content, name)`: the gate's facts of a file of that content; its copy lies in `kept`."""

    def take(content, name="model.keras"):
        (tmp_path / "kept").mkdir(exist_ok=True)
        (tmp_path / "sent").write_bytes(content)
        return gate.take(tmp_path / "sent", name, tmp_path / "kept")

    return take


@pytest.mark.parametrize(("name", "kind"), [("colours.keras", "keras"), ("colours.h5", "h5")])
def test_a_good_model_is_described(take, name, kind):
    found = take(model_corpus.good()[name], name)
    assert (found.format, found.size, found.channels) == (kind, 16, 3)
    assert (found.outputs, found.ending, found.parameters, found.layers) == (3, "softmax", 12, 3)
    assert from_json(json.loads(json.dumps(found.as_json()))) == found


def test_a_teachable_machine_zip_brings_its_labels(take):
    found = take(model_corpus.good()["converted_keras.zip"], "converted_keras.zip")
    assert found.is_teachable_machine
    assert found.labels == ("red", "green", "blue")
    assert (found.format, found.size, found.outputs) == ("h5", 32, 3)


def test_a_keras_file_under_another_name_is_taken_by_its_content(take):
    assert take(model_corpus.good()["colours.keras"], "colours.h5").format == "keras"


def test_no_hostile_model_passes(take, tmp_path):
    marker, passed = tmp_path / "marker", []
    for case, content in model_corpus.hostile(marker).items():
        try:
            take(content, "evil.keras")
            passed.append(case)
        except ModelRefused as refusal:
            assert "evil.keras" in str(refusal), case
            assert not any((tmp_path / "kept").iterdir()), case
    assert not passed
    assert not marker.exists()


def test_the_gate_limits_itself_in_a_process_of_its_own(tmp_path):
    (tmp_path / "sent").write_bytes(model_corpus.hostile(tmp_path)["57 Lambda in .keras"])
    command = [
        sys.executable,
        "-m",
        "learning.uploads.gate",
        str(tmp_path / "sent"),
        "evil.keras",
        str(tmp_path),
    ]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 1
    assert json.loads(ended.stdout)["code"] == "layer_not_allowed"


@pytest.mark.parametrize("name", sorted(model_corpus.good()))
def test_a_flipped_bit_is_refused_or_changes_nothing_the_gate_says(take, name):
    content, chance = model_corpus.good()[name], random.Random(57)
    expected = take(content, name)
    others = []
    for _ in range(FLIPS):
        flipped = bytearray(content)
        flipped[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        try:
            others += [found for found in [take(bytes(flipped), name)] if found != expected]
        except ModelRefused:
            continue
    assert all(found.sent_name == name for found in others)
    assert len(others) < FLIPS / 20  # a digit or a letter that means another good model


def test_the_probe_runs_what_passed_and_refuses_what_does_not_work(take, tmp_path):
    models = {**model_corpus.good(), **model_corpus.refused_by_the_probe()}
    arguments = []
    for index, (name, content) in enumerate(models.items()):
        found = take(content, name)
        kept = tmp_path / f"{index}.{found.format}"
        (tmp_path / "kept" / found.file).rename(kept)
        arguments += [str(kept), str(found.size)]
    command = [sys.executable, "-m", "learning.uploads.probe", *arguments]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    told = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [answer.get("outputs") for answer in told] == [3, 3, 3, None, None]
    assert [answer.get("code") for answer in told[3:]] == ["not_loadable", "wrong_shape"]


def test_labels_lose_their_numbers_only_where_they_count_up_from_nought():
    assert parse_labels("0 rose\n1 tulip\n", "labels.txt") == ("rose", "tulip")
    assert parse_labels("1 euro\n2 euro\n", "labels.txt") == ("1 euro", "2 euro")


@pytest.mark.parametrize("text", ["a\na\n", "a\n" + "b" * 101, "a\n\u202eb"])
def test_labels_that_cannot_be_kept_are_refused(text):
    with pytest.raises(ModelRefused):
        parse_labels(text, "labels.txt")


def test_labels_are_spelt_as_the_dataset_spells_them():
    assert match_labels(("Rose", "Fern", "TULIP"), ["rose", "tulip"]) == ["rose", "Fern", "tulip"]


def test_a_model_of_other_labels_is_refused():
    with pytest.raises(ModelRefused, match="“rose”"):
        match_labels(("cat", "dog"), ["rose", "tulip"])


def test_one_output_stands_for_two_labels():
    check_outputs(["no", "yes"], 1)
    with pytest.raises(ModelRefused):
        check_outputs(["no", "yes"], 3)
