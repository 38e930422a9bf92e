"""Datasets: names, addresses, deletion, and pages of items."""

from __future__ import annotations

import pytest
from sqlalchemy import func, insert, select, text

from datasets import datasets, editing, intake, labels, sweep
from datasets.datasets import NameRefused
from models import Dataset, Item, ItemLabel, Label, Member, db
from tests import corpus


def test_its_maker_owns_a_new_dataset(alice):
    dataset = datasets.create("  Garden   flowers ", alice, "multi-label", "of 2024")
    assert (dataset.name, dataset.slug, dataset.task) == ("Garden flowers", "garden-flowers", "multi-label")
    assert [(member.user, member.role) for member in dataset.members] == [(alice, "owner")]


@pytest.mark.parametrize(
    ("name", "slug"),
    [("Käfer & Co.", "kafer-co"), ("花", "dataset"), ("New", "new-2"), ("x" * 100, "x" * 100)],
)
def test_a_name_gives_a_plain_address(alice, name, slug):
    assert datasets.create(name, alice).slug == slug


def test_datasets_of_one_name_have_addresses_of_their_own(alice):
    assert [datasets.create("Flowers", alice).slug for _ in range(3)] == ["flowers", "flowers-2", "flowers-3"]


@pytest.mark.parametrize(
    "name", ["", "   ", "x" * 101, "a\u202eb", "a\nb", "a\0b", "\u200b", "\u3164 \u2060"]
)
def test_what_is_no_name_is_refused(alice, name):
    with pytest.raises(NameRefused):
        datasets.create(name, alice)


def test_an_unknown_task_is_refused(alice):
    with pytest.raises(NameRefused, match="task"):
        datasets.create("Flowers", alice, "regression")


def test_renaming_keeps_the_address(dataset):
    datasets.rename(dataset, "Blossoms")
    assert (dataset.name, dataset.slug) == ("Blossoms", "flowers")


def test_deleting_takes_every_row_and_the_sweep_the_bytes(dataset, settings):
    intake.take(dataset, "1.jpg", corpus.photo(1), ["cat"])
    datasets.delete(dataset)
    db.session.commit()
    for table in (Dataset, Item, ItemLabel, Label, Member):
        assert db.session.scalar(select(func.count()).select_from(table)) == 0
    assert sweep.sweep_orphans(age=sweep.ORPHAN_AGE * 0) == 2


def fill(dataset, count: int = 25) -> list[int]:
    """Items of the labels even and odd, and every fifth in the test split; return the ids, newest first."""
    rows = [
        {
            **{"dataset_id": dataset.id, "sha256": f"{n:064x}", "filename": f"f{n}.jpg", "sent_name": "x"},
            **{"format": "JPEG", "width": 1, "height": 1, "size": 1, "fingerprint": f"{n:016x}"},
            "split": "test" if n % 5 == 0 else "train",
        }
        for n in range(count)
    ]
    db.session.execute(insert(Item), rows)
    ids = list(db.session.scalars(select(Item.id).order_by(Item.id)))
    even, odd = (labels.create(dataset, name).id for name in ("even", "odd"))
    links = [{"item_id": i, "label_id": odd if n % 2 else even} for n, i in enumerate(ids[:-1])]
    db.session.execute(insert(ItemLabel), links)
    datasets.recount(dataset)
    db.session.commit()
    return ids[::-1]


def walk(dataset, **chosen) -> list[list[int]]:
    pages, after = [], None
    while True:
        page = datasets.page(dataset, after=after, size=10, **chosen)
        pages.append([item.id for item in page.items])
        after = page.next_after
        if after is None:
            return pages


def test_pages_go_through_everything_newest_first(dataset):
    ids = fill(dataset)
    assert walk(dataset) == [ids[:10], ids[10:20], ids[20:]]
    assert datasets.page(dataset).total == 25


def test_pages_go_back_as_they_came(dataset):
    ids = fill(dataset)
    last = datasets.page(dataset, after=ids[19], size=10)
    middle = datasets.page(dataset, before=last.previous_before, size=10)
    first = datasets.page(dataset, before=middle.previous_before, size=10)
    assert [item.id for item in middle.items + first.items] == ids[10:20] + ids[:10]
    assert (first.previous_before, last.next_after) == (None, None)


def test_pages_of_a_label_of_a_split_and_of_both(dataset):
    fill(dataset)
    assert sum(map(len, walk(dataset, label="even"))) == 12 == datasets.page(dataset, label="even").total
    assert sum(map(len, walk(dataset, split="test"))) == 5 == datasets.page(dataset, split="test").total
    both = {"label": labels.find(dataset, "odd"), "split": "train"}
    assert sum(map(len, walk(dataset, **both))) == datasets.page(dataset, **both).total == 10
    assert sum(map(len, walk(dataset, label=""))) == 1 == datasets.page(dataset, label="").total


def test_a_label_that_is_not_there_gives_an_empty_page(dataset):
    assert datasets.page(dataset, label="nothing") == datasets.Page([], None, None, 0)


def test_deleted_items_are_on_no_page(dataset, alice):
    fill(dataset)
    editing.delete_items(datasets.page(dataset, size=5).items, alice)
    assert sum(map(len, walk(dataset))) == 20 == datasets.page(dataset).total


@pytest.mark.parametrize(
    "chosen", [{}, {"split": "test"}, {"label": "even"}, {"label": "even", "split": "train"}]
)
def test_no_page_reads_or_sorts_the_whole_table(dataset, chosen):
    fill(dataset)
    label = labels.find(dataset, chosen["label"]) if "label" in chosen else None
    query, key = datasets.choose(dataset, label, chosen.get("split"))
    sql = (
        query.where(key < 20)
        .order_by(key.desc())
        .limit(10)
        .compile(db.engine, compile_kwargs={"literal_binds": True})
    )
    plan = " | ".join(row.detail for row in db.session.execute(text(f"EXPLAIN QUERY PLAN {sql}")))
    assert "SCAN" not in plan and "TEMP B-TREE" not in plan
