"""`Idempotency-Key`: the same write sent twice is carried out once, whoever dies in between."""

from __future__ import annotations

import dataclasses
import io
import multiprocessing
import os
import signal
import threading
from datetime import timedelta
from functools import partial

import pytest
from flask import Response, abort, jsonify, request
from sqlalchemy import update

import config
import server
from jobs import leftovers
from models import Dataset, IdempotencyKey, Member, Token, db, now
from tests.test_datasets_pages import add_items
from web import tokens
from web.api.frame import needs
from web.limits import limits

DONE: list[str] = []  # what the tests' own views have carried out
AT_WORK, MAY_END = threading.Event(), threading.Event()


@needs("write")
@limits(body="MAX_PREDICT_BODY")
def write():
    DONE.append(request.method)
    return jsonify(number=len(DONE)), 201, {"Location": f"/api/v1/things/{len(DONE)}", "X-Other": "not kept"}


@needs("write")
def write_slowly():
    DONE.append("slowly")
    db.session.rollback()  # as every view does that works long
    AT_WORK.set()
    assert MAY_END.wait(60)
    return jsonify(number=len(DONE)), 201


@needs("write")
def delete_it():
    DONE.append("deleted")
    return Response(status=204)


@needs("write")
def refuse(status):
    DONE.append("refused")
    abort(status)


@needs("write")
def tell_secret():
    DONE.append("secret")
    return jsonify(token="pgh_new"), 201, {"Cache-Control": "no-store"}


@needs("write")
def tell_much():
    DONE.append("much")
    return Response(b"x" * (1024 * 1024 + 1), 200)


@needs("predict")
def predict():
    DONE.append("predicted")
    return jsonify(number=len(DONE))


def add_routes(app):
    """Give an application the tests' own writes."""
    for name, view in (
        ("write", write),
        ("slow", write_slowly),
        ("secret", tell_secret),
        ("much", tell_much),
    ):
        app.add_url_rule(f"/api/v1/{name}", name, view_func=view, methods=["POST", "PUT", "PATCH"])
    app.add_url_rule("/api/v1/predict-it", view_func=predict, methods=["POST"])
    app.add_url_rule("/api/v1/delete", view_func=delete_it, methods=["DELETE"])
    app.add_url_rule("/api/v1/refuse/<int:status>", view_func=refuse, methods=["POST"])
    for name in ("write", "slow", "secret", "much", "predict", "delete_it", "refuse"):
        if name in app.view_functions:
            server.web.security.csrf.exempt(app.view_functions[name])


@pytest.fixture
def app(app):
    """The application with the tests' own writes; nothing is carried out yet."""
    add_routes(app)
    DONE.clear()
    AT_WORK.clear()
    MAY_END.clear()
    return app


def token_of(user, *scopes) -> dict[str, str]:
    _, text = tokens.make_token(user, "script", list(scopes or ("read", "write", "predict")))
    db.session.commit()
    return {"Authorization": f"Bearer {text}"}


@pytest.fixture
def keyed(alice):
    """`keyed(key)`: the headers of a write of alice's that carries the key."""
    bearer = token_of(alice)
    return lambda key="first-try": {**bearer, "Idempotency-Key": key}


def is_replayed(answer) -> bool:
    return answer.headers.get("Idempotency-Replayed") == "true"


def code(answer) -> tuple[int, str]:
    return answer.status_code, answer.json["error"]["code"]


# The same again


def test_the_same_write_again_is_answered_as_before_and_not_carried_out(client, keyed):
    first, again = [client.post("/api/v1/write", json={"name": "a"}, headers=keyed()) for _ in range(2)]
    assert (first.status_code, first.json) == (again.status_code, again.json) == (201, {"number": 1})
    assert again.headers["Location"] == first.headers["Location"]
    assert again.mimetype == "application/json"
    assert (is_replayed(first), is_replayed(again)) == (False, True)
    assert DONE == ["POST"]


def test_without_a_key_every_write_is_carried_out(client, alice):
    bearer = token_of(alice)
    for _ in range(2):
        client.post("/api/v1/write", json={}, headers=bearer)
    assert len(DONE) == 2


def test_an_answer_without_a_body_is_given_again_too(client, keyed):
    answers = [client.delete("/api/v1/delete", headers=keyed()) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [204, 204]
    assert is_replayed(answers[1])
    assert DONE == ["deleted"]


def test_a_refusal_is_given_again_too(client, keyed):
    answers = [client.post("/api/v1/refuse/422", headers=keyed()) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [422, 422]
    assert DONE == ["refused"]


def form(boundary: str, content: bytes = b"bytes", label: str = "rose") -> dict:
    lines = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="label"\r\n\r\n{label}\r\n',
        f'--{boundary}\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n',
    ]
    body = "".join(lines).encode() + content + f"\r\n--{boundary}--\r\n".encode()
    return {"data": body, "content_type": f"multipart/form-data; boundary={boundary}"}


def test_the_same_form_with_a_new_boundary_is_the_same_request(client, keyed):
    content = os.urandom(700_000)  # spooled to disk
    client.post("/api/v1/write", **form("one", content), headers=keyed())
    assert is_replayed(client.post("/api/v1/write", **form("two", content), headers=keyed()))


@pytest.mark.parametrize("other", [form("one", b"other"), form("one", label="tulip")], ids=["file", "field"])
def test_another_file_or_field_is_another_request(client, keyed, other):
    client.post("/api/v1/write", **form("one"), headers=keyed())
    answer = client.post("/api/v1/write", **other, headers=keyed())
    assert code(answer) == (422, "idempotency_key_reused")


def test_the_view_still_reads_the_files_that_were_hashed(app, client, keyed):
    def read():
        return request.files["image"].read()

    app.add_url_rule("/api/v1/read", view_func=needs("write")(read), methods=["POST"])
    image = (io.BytesIO(b"whole"), "a.jpg")
    assert client.post("/api/v1/read", data={"image": image}, headers=keyed()).data == b"whole"


# Something else


@pytest.mark.parametrize(
    ("method", "path", "sent"),
    [
        ("POST", "/api/v1/write", {"name": "b"}),
        ("PUT", "/api/v1/write", {"name": "a"}),
        ("POST", "/api/v1/write?dry=1", {"name": "a"}),
        ("POST", "/api/v1/much", {"name": "a"}),
    ],
    ids=["another body", "another method", "another query", "another address"],
)
def test_a_key_of_another_request_is_refused(client, keyed, method, path, sent):
    client.post("/api/v1/write", json={"name": "a"}, headers=keyed())
    answer = client.open(path, method=method, json=sent, headers=keyed())
    assert code(answer) == (422, "idempotency_key_reused")
    assert DONE == ["POST"]


def test_keys_of_two_users_are_nothing_to_each_other(client, keyed, bob):
    for headers in (keyed(), {**token_of(bob), "Idempotency-Key": "first-try"}):
        assert client.post("/api/v1/write", json={}, headers=headers).status_code == 201
    assert len(DONE) == 2


def test_another_token_of_the_same_user_may_send_it_again(client, keyed, alice):
    client.post("/api/v1/write", json={}, headers=keyed())
    again = {**token_of(alice), "Idempotency-Key": "first-try"}
    assert is_replayed(client.post("/api/v1/write", json={}, headers=again))


def test_a_token_without_the_scope_gets_no_answer_of_another(client, keyed, alice):
    client.post("/api/v1/write", json={}, headers=keyed())
    reader = {**token_of(alice, "read"), "Idempotency-Key": "first-try"}
    assert client.post("/api/v1/write", json={}, headers=reader).status_code == 403


@pytest.mark.parametrize("is_one", [False, True], ids=["dataset", "item"])
def test_who_was_removed_from_a_dataset_hears_no_more_of_what_they_did_there(
    client, keyed, dataset, alice, bob, is_one
):
    (item,) = add_items(dataset, 1)
    path = f"/api/v1/items/{item.id}" if is_one else "/api/v1/datasets/flowers/items/change"
    sent = {"labels": ["rose"]} if is_one else {"how": "set", "labels": ["rose"], "where": {}}
    send = partial(client.patch if is_one else client.post, path, json=sent, headers=keyed())
    assert send().status_code == 200 and is_replayed(send())
    db.session.add(Member(dataset=dataset, user=bob, role="owner"))
    db.session.delete(db.session.get(Member, (dataset.id, alice.id)))
    db.session.commit()
    assert (send().status_code, is_replayed(send())) == (404, False)


def test_who_has_deleted_a_dataset_is_told_so_again(client, keyed, dataset):
    answers = [client.delete("/api/v1/datasets/flowers", headers=keyed()) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [204, 204]


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "schlüssel"])
def test_a_key_that_is_none_is_a_400(client, keyed, key):
    assert client.post("/api/v1/write", json={}, headers=keyed(key)).status_code == 400
    assert DONE == []


def test_strangers_and_reading_need_no_key(client, keyed):
    assert client.post("/api/v1/write", headers={"Idempotency-Key": "k"}).status_code == 401
    assert client.get("/api/v1/write", headers=keyed()).status_code == 405
    assert db.session.query(IdempotencyKey).count() == 0


def test_a_prediction_takes_no_key(client, keyed):
    answers = [client.post("/api/v1/predict-it", headers=keyed()) for _ in range(2)]
    assert [answer.json["number"] for answer in answers] == [1, 2]


# What is not kept


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
def test_what_may_turn_out_otherwise_is_tried_again(client, keyed, status):
    for _ in range(2):
        assert client.post(f"/api/v1/refuse/{status}", headers=keyed()).status_code == status
    assert len(DONE) == 2


@pytest.mark.parametrize("path", ["secret", "much"])
def test_a_secret_and_a_large_answer_are_not_kept_but_not_carried_out_again_either(client, keyed, path):
    client.post(f"/api/v1/{path}", headers=keyed())
    assert code(client.post(f"/api/v1/{path}", headers=keyed())) == (409, "idempotency_answer_not_kept")
    assert db.session.query(IdempotencyKey).one().body is None
    assert len(DONE) == 1


def test_a_new_token_is_made_once_and_its_text_is_kept_nowhere(client, root):
    headers = {**token_of(root, "admin", "read"), "Idempotency-Key": "a-token"}
    wanted = {"name": "camera", "scopes": ["read"]}
    made, again = (client.post("/api/v1/tokens", json=wanted, headers=headers) for _ in range(2))
    assert made.status_code == 201
    assert code(again) == (409, "idempotency_answer_not_kept")
    assert db.session.query(Token).filter_by(name="camera").count() == 1


def test_a_dataset_is_made_once(client, keyed):
    made, again = (client.post("/api/v1/datasets", json={"name": "Birds"}, headers=keyed()) for _ in range(2))
    assert (made.json, made.headers["Location"]) == (again.json, again.headers["Location"])
    assert db.session.query(Dataset).count() == 1


def test_a_key_is_forgotten_after_a_day(client, keyed):
    client.post("/api/v1/write", json={}, headers=keyed())
    db.session.execute(update(IdempotencyKey).values(created_at=now() - timedelta(hours=25)))
    assert not is_replayed(client.post("/api/v1/write", json={"new": 1}, headers=keyed()))
    assert len(DONE) == 2


def test_sweeping_clears_the_keys_of_yesterday(client, keyed):
    for key in ("old", "new"):
        client.post("/api/v1/write", json={}, headers=keyed(key))
    old = update(IdempotencyKey).filter_by(key="old")
    db.session.execute(old.values(created_at=now() - timedelta(hours=25)))
    db.session.commit()
    leftovers.sweep()
    assert [row.key for row in db.session.query(IdempotencyKey)] == ["new"]


# At the same time


def send(app, path, headers, answers):
    answers.append(app.test_client().post(path, json={}, headers=headers))


def test_the_same_write_while_the_first_is_at_work_is_told_to_wait(app, client, keyed):
    headers, answers = keyed(), []
    first = threading.Thread(target=send, args=(app, "/api/v1/slow", headers, answers))
    first.start()
    assert AT_WORK.wait(60)
    meanwhile = client.post("/api/v1/slow", json={}, headers=headers)
    MAY_END.set()
    first.join()
    assert code(meanwhile) == (409, "idempotency_key_in_use")
    assert int(meanwhile.headers["Retry-After"]) > 0
    assert answers[0].status_code == 201
    assert is_replayed(client.post("/api/v1/slow", json={}, headers=headers))
    assert DONE == ["slowly"]


def test_of_many_at_once_one_is_carried_out(app, keyed):
    headers, answers = keyed(), []
    threads = [threading.Thread(target=send, args=(app, "/api/v1/write", headers, answers)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert DONE == ["POST"]
    assert {answer.status_code for answer in answers} <= {201, 409}


def die_at_work(instance, headers):
    """Send a write and be killed while it is carried out (in a process of its own)."""
    app = server.create_app(config.load(instance))

    @needs("write")
    def die():
        os.kill(os.getpid(), signal.SIGKILL)

    app.add_url_rule("/api/v1/write", view_func=die, methods=["POST"])
    server.web.security.csrf.exempt(die)
    app.test_client().post("/api/v1/write", json={}, headers=headers)


def test_a_write_whose_process_was_killed_is_carried_out_after_its_lease(app, client, keyed, settings):
    headers = keyed()
    child = multiprocessing.get_context("spawn").Process(
        target=die_at_work, args=(settings.instance, headers)
    )
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    assert code(client.post("/api/v1/write", json={}, headers=headers)) == (409, "idempotency_key_in_use")
    app.config["PIGEONHOLE"] = dataclasses.replace(
        settings, values={**settings.values, "IDEMPOTENCY_LEASE_SECONDS": 0}
    )
    assert client.post("/api/v1/write", json={}, headers=headers).status_code == 201
    assert is_replayed(client.post("/api/v1/write", json={}, headers=headers))
    assert DONE == ["POST"]
