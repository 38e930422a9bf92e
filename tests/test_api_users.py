"""Users and invitations over the API, for administrators."""

from __future__ import annotations

import pytest

from models import Invitation, User, db
from web import tokens

USERS = "/api/v1/users"


@pytest.fixture
def ask(client, root):
    """`ask(method, address, **more)` as root."""
    text = tokens.make_token(root, "mine", ["admin"])[1]
    db.session.commit()

    def ask(method, address=USERS, **more):
        return client.open(address, method=method, headers={"Authorization": f"Bearer {text}"}, **more)

    return ask


def test_users_are_listed_newest_first_and_shown(ask, root, alice):
    assert [one["name"] for one in ask("GET").json["items"]] == ["alice", "root"]
    shown = ask("GET", f"{USERS}/{alice.id}").json
    assert (shown["name"], shown["is_admin"], shown["is_enabled"]) == ("alice", False, True)
    assert ask("GET", f"{USERS}/99").status_code == 404


def test_an_invitation_gives_a_link_by_which_somebody_chooses_a_password(ask, client):
    answer = ask("POST", json={"name": "dora"})
    assert (answer.status_code, answer.headers["Cache-Control"]) == (201, "no-store")
    assert answer.json["link"].startswith("http://localhost/invitations/")
    chosen = {"password": "correct horse battery", "again": "correct horse battery"}
    assert client.post(answer.json["link"], data=chosen).status_code == 302
    assert db.session.query(User).filter_by(name="dora").count() == 1


def test_a_name_that_is_here_is_a_conflict_and_one_that_cannot_be_is_refused(ask, alice):
    assert ask("POST", json={"name": "ALICE"}).status_code == 409
    answer = ask("POST", json={"name": "two words"})
    assert (answer.status_code, answer.json["error"]["field"]) == (422, "name")


def test_invitations_are_listed_and_withdrawn(ask):
    made = ask("POST", json={"name": "dora", "is_admin": True}).json
    (listed,) = ask("GET", "/api/v1/invitations").json["items"]
    assert listed == {name: value for name, value in made.items() if name != "link"}
    assert ask("DELETE", f"/api/v1/invitations/{made['id']}").status_code == 204
    assert ask("DELETE", f"/api/v1/invitations/{made['id']}").status_code == 404
    assert db.session.query(Invitation).count() == 0


def test_a_user_is_given_a_link_for_a_new_password(ask, alice):
    answer = ask("POST", f"{USERS}/{alice.id}/invitation")
    assert (answer.status_code, answer.json["name"]) == (201, "alice")


def test_a_disabled_users_tokens_stop_and_work_again_when_enabled(ask, client, alice):
    text = tokens.make_token(alice, "t", ["read"])[1]
    db.session.commit()

    def status():
        return client.get("/api/v1/runs/1", headers={"Authorization": f"Bearer {text}"}).status_code

    assert ask("DELETE", f"{USERS}/{alice.id}").status_code == 204
    assert status() == 401
    answer = ask("PATCH", f"{USERS}/{alice.id}", json={"is_enabled": True})
    assert (answer.status_code, answer.json["is_enabled"], status()) == (200, True, 404)


def test_nobody_disables_themselves(ask, root):
    assert ask("DELETE", f"{USERS}/{root.id}").status_code == 409
    assert ask("PATCH", f"{USERS}/{root.id}", json={"is_enabled": False}).status_code == 409


@pytest.mark.parametrize(
    ("body", "status"),
    [({"is_enabled": "no"}, 422), ({}, 422), ({"is_enabled": True, "is_admin": True}, 400)],
)
def test_a_change_of_another_shape_is_refused(ask, alice, body, status):
    assert ask("PATCH", f"{USERS}/{alice.id}", json=body).status_code == status
