"""Looking through a dataset: what is found, kept, swept, done again and ended."""

from __future__ import annotations

import os
import time

import numpy as np
import pytest

from datasets import datasets, editing
from jobs import examining, leftovers, local, survey
from learning import backbones
from learning.embeddings import EmbeddingStore
from models import Item, Job, db
from serving import findings
from tests.photos import COLOURS
from tests.teaching import teach


@pytest.fixture
def known(settings, with_backbones, dataset):
    """Two colours of 12 images each whose embeddings are known: the last image is a copy of the first."""
    teach(dataset, 12)
    prepared = backbones.find(backbones.DEFAULT, settings.folder("backbones"))
    items = db.session.scalars(db.select(Item).order_by(Item.id)).all()
    names = sorted(COLOURS)
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(len(names), 32))
    rows = [centres[names.index(item.labels[0].name)] + 0.5 * rng.normal(size=32) for item in items]
    rows[-1] = rows[0] + 0.01
    store = EmbeddingStore(settings.folder("embeddings"), prepared.identifier)
    store.put({item.sha256: row.astype(np.float32) for item, row in zip(items, rows, strict=True)})
    return dataset


def look_through(app, dataset):
    examining.request_examination(dataset)
    db.session.commit()
    assert local.work_once(local.Shift(app, "w1"), local.EXAMINE_KINDS)
    db.session.expire_all()
    return examining.find(dataset)


def test_what_is_found_is_kept_with_the_datasets_stamp(app, known):
    found = look_through(app, known)
    assert found.items == known.counts["items"]
    assert found.stamp == examining.make_stamp(known)
    assert db.session.query(Job).filter_by(kind="examine").one().state == "finished"


def test_the_curve_and_every_labels_gain_are_told(app, known, monkeypatch):
    monkeypatch.setattr(examining.curves, "LEAST_ITEMS", 20)
    found = look_through(app, known)
    assert found.curve["sizes"][-1] == found.learnt == 24
    assert {gain["label"] for gain in found.gains} == {label.id for label in known.labels}


def test_too_few_images_have_no_curve_but_are_looked_through(app, known):
    assert look_through(app, known).curve is None


def test_images_that_look_alike_across_labels_are_found(app, known):
    ids = db.session.scalars(db.select(Item.id).order_by(Item.id)).all()
    pairs = [(pair["first"], pair["second"]) for pair in look_through(app, known).pairs]
    assert (ids[0], ids[-1]) in pairs


def test_the_stamp_changes_when_a_label_does_and_again_when_that_is_undone(known, alice):
    stamps = [examining.make_stamp(known)]
    change = editing.relabel(db.session.scalars(db.select(Item)).all()[:1], "green", alice)
    stamps.append(examining.make_stamp(known))
    editing.undo(change)
    stamps.append(examining.make_stamp(known))
    assert len(set(stamps)) == 3


def test_an_empty_dataset_is_looked_through_too(app, with_backbones, dataset):
    found = look_through(app, dataset)
    assert (found.items, found.curve, found.pairs, found.telltales) == (0, None, [], [])


def test_it_waits_in_the_queue_once_however_often_it_is_asked_for(dataset):
    examining.request_examination(dataset)
    examining.request_examination(dataset)
    assert db.session.query(Job).filter_by(kind="examine").count() == 1


def test_after_a_run_only_what_has_changed_is_looked_through(app, known, alice):
    look_through(app, known)
    examining.request_if_changed(known)
    assert db.session.query(Job).filter_by(kind="examine", state="queued").count() == 0
    editing.relabel(db.session.scalars(db.select(Item)).all()[:1], "green", alice)
    examining.request_if_changed(known)
    assert db.session.query(Job).filter_by(kind="examine", state="queued").count() == 1


def test_a_worker_that_is_ending_gives_it_back(app, known):
    examining.request_examination(known)
    db.session.commit()
    shift = local.Shift(app, "w1")
    shift.ending.set()
    local.work_once(shift, local.EXAMINE_KINDS)
    db.session.expire_all()
    assert db.session.query(Job).filter_by(kind="examine").one().state == "queued"


def test_a_damaged_file_counts_as_none(settings, dataset):
    path = findings.path_of(settings.folder("findings"), dataset.id)
    path.write_text('{"stamp": ')
    assert examining.find(dataset) is None


def test_findings_of_a_deleted_dataset_are_swept(settings, app, known):
    look_through(app, known)
    path = findings.path_of(settings.folder("findings"), known.id)
    assert path not in leftovers.find()
    datasets.delete(known)
    db.session.commit()
    old = time.time() - 2 * leftovers.YOUNG_SECONDS
    os.utime(path, (old, old))
    assert path in leftovers.find()


def test_the_survey_knows_each_items_labels_and_numbers(known):
    seen = survey.take(known)
    item = db.session.scalars(db.select(Item).order_by(Item.id)).first()
    assert seen.ids[0] == item.id
    assert [seen.label_ids[place] for place in np.flatnonzero(seen.targets[0])] == [item.labels[0].id]
    numbers = survey.measure(seen, lambda done, total: None)
    assert set(numbers) == {"brightness", "area", "shape", "bytes"}
    assert ((numbers["brightness"] >= 0) & (numbers["brightness"] <= 1)).all()
