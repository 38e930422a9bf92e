"""The answers of a batch: whole lines, whoever was killed while writing them."""

from __future__ import annotations

from serving import results
from serving.files import FileAnswer


def write(folder, fence, names, version=3):
    with results.go_on(folder, fence, "flowers", version, ["rose", "daisy"]) as found:
        before = found.done
        for name in names:
            is_bad = name.startswith("bad")
            pairs = (("daisy", 0.7), ("rose", 0.3))
            found.add(FileAnswer(name, refusal="No.") if is_bad else FileAnswer(name, ("daisy",), pairs))
        found.sync()
    return before


def test_answers_are_read_as_they_were_written(tmp_path):
    write(tmp_path, 1, ["a.jpg", "bad.jpg"])
    head, answers = results.read(results.find(tmp_path))
    assert head == {"dataset": "flowers", "version": 3, "labels": ["rose", "daisy"]}
    assert list(answers) == [
        FileAnswer("a.jpg", ("daisy",), (("daisy", 0.7), ("rose", 0.3))),
        FileAnswer("bad.jpg", refusal="No."),
    ]


def test_the_next_worker_goes_on_behind_the_last_whole_line(tmp_path):
    write(tmp_path, 1, ["a.jpg", "bad.jpg", "cut.jpg"])
    path = results.find(tmp_path)
    path.write_bytes(path.read_bytes()[:-9])
    with results.go_on(tmp_path, 2, "flowers", 3, ["rose", "daisy"]) as found:
        assert (found.done, found.refused) == (2, 1)


def test_what_a_worker_taken_for_dead_still_writes_nobody_reads(tmp_path):
    with results.go_on(tmp_path, 1, "flowers", 3, ["rose", "daisy"]) as late:
        assert write(tmp_path, 2, ["a.jpg"]) == 0
        late.add(FileAnswer("late.jpg", refusal="No."))
    _, answers = results.read(results.find(tmp_path))
    assert [answer.name for answer in answers] == ["a.jpg"]


def test_answers_of_another_version_are_not_gone_on_with(tmp_path):
    write(tmp_path, 1, ["a.jpg"])
    assert write(tmp_path, 2, [], version=4) == 0


def test_answers_of_other_thresholds_are_not_gone_on_with(tmp_path):
    write(tmp_path, 1, ["a.jpg"])
    with results.go_on(tmp_path, 2, "flowers", 3, ["rose", "daisy"], "1a2b3c4d") as found:
        assert found.done == 0
        found.add(FileAnswer("a.jpg", (), (("daisy", 0.7), ("rose", 0.3)), None, True, "uncertain"))
    with results.go_on(tmp_path, 3, "flowers", 3, ["rose", "daisy"], "1a2b3c4d") as found:
        assert found.done == 1
    _, answers = results.read(results.find(tmp_path))
    assert [(answer.labels, answer.reason) for answer in answers] == [((), "uncertain")]
