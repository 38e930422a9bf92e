"""Overload: predictions get a 503 that says when to come back, instead of a queue that grows."""

from __future__ import annotations

import http.client
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import config
import server
from jobs import database
from models import Dataset, Member, User, db
from tests.house import running
from tests.trained import COLOURS, as_bytes, make_photo
from web import crowding, tokens
from web.crowding import CountingPool

SETTINGS = """
web_processes = 1
web_threads = 2
predict_queue = 2
predict_rate_token = 1000000
"""
PATH = "/api/v1/datasets/flowers/predict"


@pytest.fixture
def pool():
    """One thread, which is busy until `pool.may_end` is set."""
    pool = CountingPool(1)
    pool.may_end, is_busy = threading.Event(), threading.Event()
    pool.submit(lambda: is_busy.set() or pool.may_end.wait(60))
    assert is_busy.wait(60)
    yield pool
    pool.may_end.set()
    pool.shutdown()


def test_a_pool_counts_who_waits_and_not_who_is_at_work(pool):
    assert pool.waiting == 0
    calls = [pool.submit(int, "7") for _ in range(3)]
    assert pool.waiting == 3
    pool.may_end.set()
    assert [call.result() for call in calls] == [7, 7, 7]
    assert pool.waiting == 0


def test_a_prediction_is_sent_away_when_more_wait_than_may_and_another_is_at_work(
    app, client, pool, settings
):
    crowding.watch(app, pool)
    assert pool.begin_prediction(settings.predict_queue)
    for _ in range(settings.predict_queue):
        pool.submit(int)
    assert client.post(PATH).status_code == 401
    pool.submit(int)
    answer = client.post(PATH, data=b"x" * 1_000_000)
    assert (answer.status_code, answer.json["error"]["code"]) == (503, "busy")
    assert int(answer.headers["Retry-After"]) > 0


def test_however_many_wait_some_are_always_answered(app, client, pool, settings):
    crowding.watch(app, pool)
    for _ in range(settings.predict_queue + 1):
        pool.submit(int)
    assert [client.post(PATH).status_code for _ in range(3)] == [401, 401, 401]
    assert pool.predicting == 0


def test_pages_and_health_are_answered_however_many_wait(app, client, pool, settings):
    crowding.watch(app, pool)
    for _ in range(settings.predict_queue + 1):
        pool.submit(int)
    assert [client.get(path).status_code for path in ("/livez", "/login")] == [200, 200]


def test_a_crowded_server_answers_some_and_sends_the_others_away(tmp_path, trained):
    instance = tmp_path / "instance"
    instance.mkdir()
    (instance / "config.toml").write_text(SETTINGS)
    bearer = _fill(instance, trained)
    with running(instance, tmp_path / "log.txt", "--no-worker") as house:
        host = house.address.removeprefix("http://")
        with ThreadPoolExecutor(24) as senders:
            answers = list(senders.map(lambda _: _send_some(host, bearer), range(24)))
    found = {one for several in answers for one in several}
    assert found == {(200, None), (503, "5")}


def _fill(instance, trained) -> dict[str, str]:
    app = server.create_app(config.load(instance))
    database.prepare(app)
    with app.app_context():
        user = User(name="alice", password_hash="set by tests that sign in")
        dataset = Dataset(slug="flowers", name="Flowers", members=[Member(user=user, role="owner")])
        db.session.add(dataset)
        _, text = tokens.make_token(user, "camera", ["predict"])
        trained.install(app, dataset)
        db.session.remove()
        db.engine.dispose()
    return {"Authorization": f"Bearer {text}", "Content-Type": "image/jpeg"}


def _send_some(host: str, bearer: dict[str, str]) -> list[tuple[int, str | None]]:
    """Send five predictions over one connection; return each one's status and Retry-After."""
    photo, found = as_bytes(make_photo(COLOURS["red"], 1)), []
    connection = http.client.HTTPConnection(host, timeout=60)
    for _ in range(5):
        connection.request("POST", PATH, photo, bearer)
        answer = connection.getresponse()
        answer.read()
        found.append((answer.status, answer.headers["Retry-After"]))
    connection.close()
    return found
