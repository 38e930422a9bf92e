"""Zips from strangers: refused whole with nothing kept, or taken but for the members that are bad."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select

from datasets import archives, intake
from models import Import, ImportFile, Item, db
from tests import corpus


def import_zip(dataset, settings, content: bytes, label: str | None = None) -> Import:
    """Import a zip as the worker does, committing each batch."""
    path = settings.folder("uploads") / "sent.zip"
    path.write_bytes(content)
    import_ = Import(dataset_id=dataset.id, kind="zip", source="sent.zip", upload=str(path), label=label)
    db.session.add(import_)
    db.session.commit()
    for _ in intake.work_through(import_):
        db.session.commit()
    return import_


def count(table) -> int:
    return db.session.scalar(select(func.count()).select_from(table))


def check(path, limits=None):
    """Check a zip whole, its content too."""
    with archives.open_archive(path, limits) as archive:
        archive.verify()


@pytest.mark.parametrize("what", corpus.REFUSED_ZIPS)
def test_a_hostile_zip_is_refused_and_nothing_is_kept(dataset, settings, what):
    with pytest.raises(archives.ArchiveRefused) as refused:
        import_zip(dataset, settings, corpus.REFUSED_ZIPS[what]())
    db.session.rollback()
    assert refused.value.code
    assert str(refused.value).endswith(".")
    assert (count(Item), count(ImportFile)) == (0, 0)
    assert not [path for path in (settings.instance / "storage").rglob("*") if path.is_file()]


@pytest.mark.parametrize("what", corpus.TAKEN_ZIPS)
def test_what_is_good_is_taken_and_what_is_bad_is_told_by_name(dataset, settings, what):
    files, added, refused = corpus.TAKEN_ZIPS[what]
    import_ = import_zip(dataset, settings, corpus.make_zip(files))
    told = db.session.scalars(select(ImportFile.sent_name).filter_by(outcome="refused")).all()
    assert (import_.added, told) == (added, refused)
    assert import_.refused == len(refused)


@pytest.mark.parametrize(
    ("what", "code"),
    [
        ("31 256 MB of zeros", "zip_ratio"),
        ("33 100,000 empty members", "zip_too_many_files"),
        ("34 parent folders", "zip_path"),
        ("38 link", "zip_link"),
        ("39 the same name twice", "zip_duplicate"),
        ("43 NUL in a name", "zip_path"),
        ("49 empty zip", "zip_empty"),
        ("51 500 overlapping members", "zip_overlap"),
        ("52 encrypted", "zip_encrypted"),
        ("53 bad CRC", "zip_damaged"),
        ("54 unknown method", "zip_method"),
        ("55 bz2 bomb", "zip_method"),
        ("56 shell before it", "not_a_zip"),
    ],
)
def test_the_refusal_says_what_is_wrong(tmp_path, what, code):
    path = tmp_path / "sent.zip"
    path.write_bytes(corpus.REFUSED_ZIPS[what]())
    with pytest.raises(archives.ArchiveRefused) as refused:
        check(path)
    assert refused.value.code == code


def test_more_content_than_the_limit_is_refused(tmp_path):
    path = tmp_path / "sent.zip"
    path.write_bytes(corpus.make_zip(corpus.good_files()))
    with pytest.raises(archives.ArchiveRefused) as refused:
        check(path, archives.Limits(content=1000))
    assert refused.value.code == "zip_too_large"


def test_a_member_over_the_limit_is_refused_alone(app, dataset, settings):
    app.config["PIGEONHOLE"].values["MAX_IMAGE"] = 20_000
    files = corpus.good_files() | {"cat/large.bmp": bytes(range(256)) * 100}
    import_ = import_zip(dataset, settings, corpus.make_zip(files))
    assert (import_.added, import_.refused) == (4, 1)
    assert db.session.scalar(select(ImportFile.code).filter_by(outcome="refused")) == "file_too_large"


def test_no_flipped_bit_in_a_zip_raises_anything_but_a_refusal(tmp_path):
    good = corpus.make_zip(corpus.good_files(2))
    path = tmp_path / "sent.zip"
    for number in range(200):
        at = (number * 2654435761) % (8 * len(good))
        bad = bytearray(good)
        bad[at // 8] ^= 1 << at % 8
        path.write_bytes(bytes(bad))
        try:
            check(path)
        except archives.ArchiveRefused as refused:
            assert refused.code
