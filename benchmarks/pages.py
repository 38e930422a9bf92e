"""How long the pages of a large dataset take the server: 100,000 items beside 1,000, in one run.

    python -m benchmarks.pages [--large 100000] [--small 1000] [--rounds 40]

Rows are inserted directly (no image is made); requests go through the whole application without a network.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import insert, select

import config
import server
from datasets.counts import recount
from models import SPLITS, Dataset, Item, ItemLabel, Label, Member, User, db

LABELS = 10
RARE_ITEMS = 100  # items of each dataset that bear the rare label alone, and as many that bear none
BATCH = 10_000


def main() -> None:
    """Fill two datasets, time the pages of each, print a table and one JSON line."""
    arguments = _read_arguments()
    with tempfile.TemporaryDirectory() as folder:
        app = server.create_app(config.Config(*_settings(folder)))
        sizes = {"small": arguments.small, "large": arguments.large}
        with app.app_context():
            db.create_all()
            user = _add_user()
            for name, size in sizes.items():
                _fill(name, size, user)
            identity = user.get_id()
            deep = {name: _id_in_the_middle(name) for name in sizes}
        times = _time_pages(app, identity, deep, arguments.rounds)
    _report(times, sizes)


def _read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--large", type=int, default=100_000)
    parser.add_argument("--small", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=40)
    return parser.parse_args()


def _settings(folder: str) -> tuple:
    settings = config.load(folder)
    return settings.instance, {**settings.values, "REQUEST_RATE": 1_000_000}


def _add_user() -> User:
    user = User(name="bench", password_hash="none")
    db.session.add(user)
    db.session.commit()
    return user


def _fill(slug: str, size: int, user: User) -> None:
    labels = [*(Label(name=f"label {number:02}") for number in range(LABELS)), Label(name="rare")]
    members = [Member(user=user, role="owner")]
    dataset = Dataset(slug=slug, name=slug, task="multi-label", labels=labels, members=members)
    db.session.add(dataset)
    db.session.commit()
    for start in range(0, size, BATCH):
        rows = [_row(dataset, slug, number) for number in range(start, min(start + BATCH, size))]
        ids = list(db.session.scalars(insert(Item).returning(Item.id, sort_by_parameter_order=True), rows))
        links = [
            {"item_id": item_id, "label_id": label.id}
            for item_id in ids
            for label in _labels_of(labels, item_id, size)
        ]
        db.session.execute(insert(ItemLabel), links)
        db.session.commit()
    recount(dataset)
    db.session.commit()


def _labels_of(labels: list[Label], item_id: int, size: int) -> set[Label]:
    """Two labels for nearly every item."""
    if (place := item_id % (size // RARE_ITEMS)) < 2:
        return {labels[-1]} if place else set()
    return {labels[item_id % LABELS], labels[item_id // LABELS % LABELS]}


def _row(dataset: Dataset, slug: str, number: int) -> dict:
    facts = {"format": "JPEG", "width": 640, "height": 480, "size": 40_000, "fingerprint": f"{number:016x}"}
    names = {"filename": f"{slug}-{number}.jpg", "sent_name": f"IMG_{number}.jpg"}
    split = SPLITS[0] if number % 20 < 14 else SPLITS[1 + number % 2]
    return {"dataset_id": dataset.id, "sha256": f"{number:064x}", "split": split, **names, **facts}


def _id_in_the_middle(slug: str) -> int:
    ids = select(Item.id).join(Dataset, Dataset.id == Item.dataset_id).where(Dataset.slug == slug)
    all_ids = list(db.session.scalars(ids.order_by(Item.id)))
    return all_ids[len(all_ids) // 2]


def _time_pages(app: Flask, identity: str, middles: dict[str, int], rounds: int) -> dict[str, dict]:
    """Return the milliseconds of every request, {page: {dataset: [...]}}; the datasets take turns."""
    client = app.test_client()
    with client.session_transaction() as session:
        session.update(_user_id=identity, _fresh=True, signed_in_at=int(time.time()))
    addresses = {slug: _pages(slug, middle) for slug, middle in middles.items()}
    times = {page: {slug: [] for slug in middles} for page in addresses["large"]}
    for round_ in range(rounds + 1):
        for page, by_dataset in times.items():
            for slug, values in by_dataset.items():
                taken = _milliseconds(lambda address=addresses[slug][page]: _ask(client, address))
                values += [taken] if round_ else []  # the first round compiles the templates
    return times


def _pages(slug: str, middle: int) -> dict[str, str]:
    """Return the address of each page by its name."""
    return {
        "first page": f"/datasets/{slug}/",
        "page in the middle": f"/datasets/{slug}/?after={middle}",
        "one label": f"/datasets/{slug}/?label=label 07",
        "one label, one split": f"/datasets/{slug}/?label=label 07&split=train",
        "a label of a few items": f"/datasets/{slug}/?label=rare",
        "the few without a label": f"/datasets/{slug}/?label=",
        "one split, in the middle": f"/datasets/{slug}/?split=test&after={middle}",
        "one item": f"/datasets/{slug}/items/{middle}?label=label 07",
    }


def _ask(client: FlaskClient, address: str) -> None:
    answer = client.get(address)
    assert answer.status_code == 200, f"{address}: {answer.status_code}"


def _milliseconds(action: Callable[[], None]) -> float:
    started = time.perf_counter()
    action()
    return (time.perf_counter() - started) * 1_000


def _p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20, method="inclusive")[-1]


def _report(times: dict[str, dict], sizes: dict[str, int]) -> None:
    print(f"{'page':26}{sizes['small']:>14,} items{sizes['large']:>14,} items{'ratio':>8}   (p95, ms)")
    rows = {}
    for page, by_dataset in times.items():
        small, large = _p95(by_dataset["small"]), _p95(by_dataset["large"])
        medians = {f"{slug}_p50_ms": statistics.median(values) for slug, values in by_dataset.items()}
        rows[page] = {"small_p95_ms": small, "large_p95_ms": large, "ratio": large / small, **medians}
        print(f"{page:26}{small:20.1f}{large:20.1f}{large / small:8.2f}")
    print(json.dumps({"benchmark": "pages", "sizes": sizes, "pages": rows}))


if __name__ == "__main__":
    main()
