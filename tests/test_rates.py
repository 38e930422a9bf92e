"""Rates: counted for every token, user and address, by all processes together, and told in the headers."""

from __future__ import annotations

import multiprocessing
import time

import pytest
from flask import abort

from tests.asking import make_bearer
from tests.oauth_flow import ask, make_client
from web import counters
from web.access import public
from web.counters import SharedMemory
from web.limits import limits
from web.rates import network_of

MINUTE = 60


@public
@limits(rate="predict")
def counted():
    return {"counted": True}


@public
def overloaded():
    abort(503)


@pytest.fixture
def app(app):
    """The application, with routes of the tests' own."""
    app.add_url_rule("/api/counted", view_func=counted)
    app.add_url_rule("/api/overloaded", view_func=overloaded)
    return app


@pytest.fixture
def storage():
    """An empty table of counters."""
    return SharedMemory("shared://")


def bearer(user) -> dict[str, str]:
    return make_bearer(user, "predict")


def remaining(answer) -> int:
    return int(answer.headers["X-RateLimit-Remaining"])


# What is counted


def test_an_answer_says_how_many_requests_remain_and_until_when(client):
    first, second = client.get("/api/counted"), client.get("/api/counted")
    assert first.headers["X-RateLimit-Limit"] == "60"
    assert (remaining(first), remaining(second)) == (59, 58)
    assert 0 < int(first.headers["X-RateLimit-Reset"]) - time.time() <= MINUTE + 1


def test_a_good_answer_asks_nobody_to_come_back_later(client):
    assert "Retry-After" not in client.get("/api/counted").headers


def test_a_busy_server_is_tried_again_after_seconds_and_not_after_the_minute(client):
    assert client.get("/api/overloaded").headers["Retry-After"] == "5"


def test_every_token_is_counted_for_itself(client, alice):
    first, second = bearer(alice), bearer(alice)
    client.get("/api/counted", headers=first)
    answers = [client.get("/api/counted", headers=one) for one in (first, second)]
    assert [remaining(answer) for answer in answers] == [598, 599]
    assert answers[0].headers["X-RateLimit-Limit"] == "600"


def test_a_program_gets_no_more_by_fetching_new_access_tokens(client, alice):
    make_client(alice, grants=["client_credentials"])
    given = [ask(client, grant_type="client_credentials").json["access_token"] for _ in range(2)]
    personal = bearer(alice)
    answers = [
        client.get("/api/counted", headers=one)
        for one in (*({"Authorization": f"Bearer {text}"} for text in given), personal)
    ]
    assert [remaining(answer) for answer in answers] == [599, 598, 599]


@pytest.mark.parametrize(
    ("address", "counted_as"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::7", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_of_an_ipv6_address_the_network_is_counted(address, counted_as):
    assert network_of(address) == counted_as


def test_a_token_is_counted_apart_from_the_address_it_comes_from(client, alice):
    for _ in range(61):
        refused = client.get("/api/counted")
    assert refused.status_code == 429
    assert client.get("/api/counted", headers=bearer(alice)).status_code == 200


def test_a_429_says_when_to_come_back(client):
    for _ in range(61):
        refused = client.get("/api/counted")
    assert 0 < int(refused.headers["Retry-After"]) <= MINUTE
    assert refused.headers["X-RateLimit-Remaining"] == "0"
    assert refused.json["error"]["code"] == "too_many_requests"


# Where it is counted


def test_counts_add_up_until_they_expire(storage):
    assert [storage.incr("alice", MINUTE) for _ in range(3)] == [1, 2, 3]
    assert storage.get("alice") == 3
    assert storage.get("bob") == 0
    storage.incr("charlie", -1)
    assert storage.incr("charlie", MINUTE) == 1


def test_a_counter_expires_when_the_first_request_decided(storage):
    storage.incr("alice", MINUTE)
    first = storage.get_expiry("alice")
    storage.incr("alice", 10 * MINUTE)
    assert storage.get_expiry("alice") == first


def test_a_counter_and_all_of_them_can_be_forgotten(storage):
    for name in ("alice", "bob"):
        storage.incr(name, MINUTE)
    storage.clear("alice")
    assert (storage.get("alice"), storage.get("bob")) == (0, 1)
    storage.reset()
    assert storage.get("bob") == 0


def test_a_flood_of_addresses_takes_no_more_memory_and_forgets_the_smallest_counts(storage, monkeypatch):
    monkeypatch.setattr(counters, "SLOTS", 4)
    for _ in range(50):
        storage.incr("alice", MINUTE)
    for number in range(1000):
        storage.incr(f"address {number}", MINUTE)
    assert storage.incr("alice", MINUTE) == 51


def count_to(storage: SharedMemory, times: int) -> None:
    for _ in range(times):
        storage.incr("alice", MINUTE)


def test_processes_count_together_and_lose_nothing(storage):
    fork = multiprocessing.get_context("fork")
    children = [fork.Process(target=count_to, args=(storage, 500)) for _ in range(4)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert storage.get("alice") == 2000
