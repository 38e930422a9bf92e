"""What is like nothing that was taught is told from it, whatever was taught and however little."""

from __future__ import annotations

import hashlib
import io
import zipfile

import numpy as np
import pytest

from learning import heads, rejection, strangeness
from learning.calibration import MULTI, SINGLE
from learning.rejection import RejectionDamaged

SIZE = 40
CENTRES = np.random.default_rng(5).normal(size=(6, SIZE))


def make(labels: int, each: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings of so many labels, which differ along ten directions within a label, and their targets."""
    rng = np.random.default_rng(seed)
    truth = np.tile(np.arange(labels), each)
    spread = np.random.default_rng(6).normal(size=(10, SIZE)) * 0.25
    noise = rng.normal(size=(len(truth), SIZE)) * 0.05
    drawn = CENTRES[truth] + rng.normal(size=(len(truth), 10)) @ spread + noise
    return drawn.astype(np.float32), np.eye(labels)[truth]


def draw_foreign(count: int = 100) -> np.ndarray:
    return np.random.default_rng(9).normal(size=(count, SIZE)).astype(np.float32)


def name(embeddings: np.ndarray) -> list[str]:
    return [hashlib.sha256(row.tobytes()).hexdigest() for row in embeddings]


def learn(embeddings, targets, task=SINGLE, **options):
    """Return a rejection and the head it belongs to."""
    solution = heads.solve(embeddings, targets, task=task)
    said = solution.leave_one_out
    return rejection.fit(embeddings, said, targets, name(embeddings), task=task, **options), solution.head


@pytest.fixture(scope="module")
def taught():
    return learn(*make(4, 60))


@pytest.fixture
def saved(taught, tmp_path):
    taught[0].save(tmp_path / "rejection.npz")
    return tmp_path / "rejection.npz"


def rejected(found, head, embeddings) -> float:
    return np.mean(found.scores(embeddings, head.probabilities(embeddings)) > found.threshold)


def test_what_is_wholly_other_is_unknown_and_new_images_of_the_taught_kinds_are_not(taught):
    assert rejected(*taught, draw_foreign()) >= 0.99
    assert rejected(*taught, make(4, 100, seed=1)[0]) == pytest.approx(0.05, abs=0.04)


def test_images_of_labels_that_were_not_taught_are_mostly_unknown(taught):
    assert rejected(*taught, make(6, 50, seed=1)[0][4::6]) > 0.9


def test_an_image_is_unknown_from_its_score_on(taught):
    found, head = taught
    for embedding in (make(4, 1, seed=1)[0][0], draw_foreign(1)[0]):
        said = head.probabilities(embedding[np.newaxis])[0]
        is_over = found.score(embedding, said) > found.threshold
        assert found.is_unknown(embedding, said) == is_over
    assert is_over


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("without_limit", [np.nan, np.inf, 3e38])
def test_what_the_network_says_without_limit_is_unknown(taught, without_limit):
    """A distance that is no number is under no threshold."""
    found, head = taught
    embedding, _ = make(4, 1, seed=1)
    said = head.probabilities(embedding)[0]
    embedding[0, :2] = without_limit
    assert found.is_unknown(embedding[0], said)


def test_the_nearest_taught_images_are_named_best_first_with_their_similarity(taught):
    embeddings, _ = make(4, 60)
    asked = embeddings[7]
    nearest = taught[0].nearest(asked, 3)
    similar = strangeness.normalise(embeddings) @ strangeness.normalise(asked[np.newaxis])[0]
    order = np.argsort(-similar)[:3]
    assert [sha256 for sha256, _ in nearest] == [name(embeddings)[place] for place in order]
    assert [similarity for _, similarity in nearest] == pytest.approx(similar[order], abs=1e-3)


@pytest.mark.parametrize("each", [2, 3, 5, 10])
def test_few_images_never_reject_their_like(each):
    """Half of what comes may well be kept wrongly; to reject everything would be worse."""
    found, head = learn(*make(2, each))
    assert rejected(found, head, make(2, 100, seed=1)[0]) <= 0.25


def test_too_few_to_say_95_percent_of_reject_only_what_is_twice_as_strange():
    scores = np.array([1.0, 7.0, 3.0])
    assert strangeness.find_threshold(scores) == 14.0
    assert strangeness.find_threshold(scores[:1]) == strangeness.LEAST_THRESHOLD


def test_the_threshold_keeps_95_percent_counting_the_next_image_too():
    assert strangeness.find_threshold(np.arange(1.0, 100.0)) == 95.0
    assert strangeness.find_threshold(np.arange(1.0, 20.0)) == 19.0


def test_images_that_are_all_the_same_are_known_and_another_is_not():
    embeddings, targets = np.ones((30, SIZE), np.float32), np.eye(2)[np.arange(30) % 2]
    said = np.full((30, 2), 0.5)
    found = rejection.fit(embeddings, said, targets, name(embeddings + np.arange(30)[:, np.newaxis]))
    assert not found.is_unknown(embeddings[0], said[0])
    assert found.is_unknown(draw_foreign(1)[0], said[0])


def test_copies_of_an_image_say_nothing_of_what_is_usual():
    embeddings, targets = make(3, 30)
    copied, twice = np.repeat(embeddings, 2, axis=0), np.repeat(targets, 2, axis=0)
    solution = heads.solve(copied, twice)
    others = name(copied + np.arange(len(copied))[:, np.newaxis])  # saved anew, so bytes differ
    found = rejection.fit(copied, solution.leave_one_out, twice, others)
    alone, _ = learn(embeddings, targets)
    assert found.centres[1] == pytest.approx(alone.centres[1], rel=0.3)


def test_only_judged_items_measure_what_is_usual():
    """As of a network that learnt from the others: whatever is said of these is not looked at."""
    embeddings, targets = make(4, 60)
    solution = heads.solve(embeddings, targets)
    judged = np.arange(200, 240)
    flattered = solution.leave_one_out.copy()
    flattered[:200] = np.nan
    found = rejection.fit(embeddings, flattered, targets, name(embeddings), judged=judged)
    assert found.limits[2] == 40
    assert len(found.references) == 240
    assert rejected(found, solution.head, make(4, 100, seed=1)[0]) <= 0.15
    assert rejected(found, solution.head, draw_foreign()) >= 0.99


def test_axes_are_not_bent_to_judged_items_where_others_are_flattered():
    """A network that learnt from most items draws them together: only the judged show the usual spread."""
    embeddings, targets = make(4, 60)
    said = heads.solve(embeddings, targets).leave_one_out
    tight = embeddings.copy()
    tight[:180] = (CENTRES[targets[:180].argmax(axis=1)] + 0.1 * embeddings[:180]).astype(np.float32)
    found = rejection.fit(tight, said, targets, name(tight), judged=np.arange(180, 240))
    fresh, marks = make(4, 100, seed=1)
    left_over = found.find_signs(fresh, marks)[:, 2].mean()
    assert found.centres[2] == pytest.approx(left_over, rel=0.1)


def test_images_with_several_labels_or_none_are_judged_too():
    rng = np.random.default_rng(1)
    targets = (rng.random((300, 4)) < 0.4).astype(float)
    spread = rng.normal(size=(8, SIZE)) * 0.1

    def embed(marks):
        return (marks @ CENTRES[:4] + rng.normal(size=(len(marks), 8)) @ spread).astype(np.float32) + 1

    found, head = learn(embed(targets), targets, task=MULTI)
    assert rejected(found, head, embed(targets)) == pytest.approx(0.05, abs=0.05)
    assert rejected(found, head, 3 * draw_foreign()) >= 0.99


def test_a_large_set_is_measured_on_a_sample_with_as_many_references_of_each_label(monkeypatch):
    monkeypatch.setattr(rejection, "REFERENCE_BYTES", 40 * SIZE)
    monkeypatch.setattr(rejection, "MOST_TO_SPAN", 30)
    monkeypatch.setattr(rejection, "MOST_JUDGED", 100)
    embeddings, targets = make(4, 60)
    rows = np.concatenate([np.arange(240), np.arange(0, 240, 4), np.arange(0, 240, 4)])  # three times label 0
    found, head = learn(embeddings[rows], targets[rows])
    assert found.bears.sum(axis=0).tolist() == [10, 10, 10, 10]
    assert found.limits[2] == 100
    assert rejected(found, head, draw_foreign()) >= 0.99
    assert rejected(found, head, make(4, 100, seed=1)[0]) <= 0.15


def test_nearness_is_looked_for_in_the_last_layer_alone_where_it_is_known():
    embeddings, _ = make(4, 60)
    blocks = np.hstack([strangeness.normalise(embeddings), 0.7 * strangeness.normalise(embeddings**2)])
    assert strangeness.find_width(blocks) == SIZE
    assert strangeness.find_width(embeddings) == SIZE


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_what_is_no_number_cannot_be_learnt_from(wrong):
    embeddings, targets = make(2, 10)
    embeddings[3, 3] = wrong
    with pytest.raises(ValueError, match="no number"):
        rejection.fit(embeddings, targets, targets, name(embeddings))


def test_nothing_to_measure_on_is_told():
    embeddings, targets = make(2, 10)
    with pytest.raises(ValueError, match="measure"):
        rejection.fit(embeddings, targets, targets, name(embeddings), judged=np.arange(0))


def test_saved_and_read_again_it_gives_the_same_scores(taught, saved):
    found, head = taught
    asked = np.concatenate([make(4, 5, seed=1)[0], draw_foreign(5)])
    said = head.probabilities(asked)
    again = rejection.load(saved)
    assert (again.scores(asked, said) == found.scores(asked, said)).all()
    assert again.to_spec() == found.to_spec()
    assert again.fits(SIZE, 4)
    assert not again.fits(SIZE, 5)


def rewrite(path, **changed):
    with np.load(path) as file:
        arrays = dict(file)
    np.savez(path, **{key: value for key, value in (arrays | changed).items() if value is not None})


DAMAGES = {
    "of another size": {"mean": np.zeros(7, np.float32)},
    "not finite": {"limits": np.array([np.nan, 1.0, 3.0])},
    "of another kind": {"scales": np.ones(240)},
    "without a spread": {"spreads": np.zeros(3)},
    "of no known task": {"task": np.array("guess")},
    "a pickle": {"task": np.array({"a": 1}, dtype=object)},
    "one missing": {"axes": None},
    "one too many": {"more": np.zeros(3)},
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_part_that_does_not_fit_is_refused(saved, damage):
    rewrite(saved, **damage)
    with pytest.raises(RejectionDamaged, match=r"rejection\.npz"):
        rejection.load(saved)


def test_a_file_that_is_missing_cut_short_or_no_archive_is_refused(saved, tmp_path):
    whole = saved.read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"\x93NUMPY" + bytes(50)):
        saved.write_bytes(content)
        with pytest.raises(RejectionDamaged):
            rejection.load(saved)
    with pytest.raises(RejectionDamaged):
        rejection.load(tmp_path / "none.npz")


def test_a_compressed_file_is_refused_since_anything_could_come_out_of_it(saved):
    buffer = io.BytesIO()
    with zipfile.ZipFile(saved) as read, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as written:
        for member in read.namelist():
            written.writestr(member, read.read(member))
    saved.write_bytes(buffer.getvalue())
    with pytest.raises(RejectionDamaged):
        rejection.load(saved)
