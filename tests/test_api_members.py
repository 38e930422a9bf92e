"""Members of a dataset over the API."""

from __future__ import annotations

import pytest

from models import Member, db
from web import tokens

MEMBERS = "/api/v1/datasets/flowers/members"


@pytest.fixture
def ask(client, dataset):
    """`ask(user, method, address, **more)` with a token of the user's."""

    def ask(user, method, address=MEMBERS, **more):
        text = tokens.make_token(user, "t", ["read", "write"])[1]
        db.session.commit()
        return client.open(address, method=method, headers={"Authorization": f"Bearer {text}"}, **more)

    return ask


def test_an_owner_adds_a_member_and_changes_the_role(ask, alice, bob):
    answer = ask(alice, "POST", json={"user": "BOB", "role": "viewer"})
    assert (answer.status_code, answer.json) == (201, {"user": "bob", "user_id": bob.id, "role": "viewer"})
    answer = ask(alice, "POST", json={"user": "bob", "role": "editor"})
    assert (answer.status_code, answer.json["role"]) == (200, "editor")
    found = ask(bob, "GET").json
    assert [(one["user"], one["role"]) for one in found["items"]] == [("bob", "editor"), ("alice", "owner")]
    assert ask(bob, "GET", f"{MEMBERS}?limit=1").json["next"] == str(bob.id)


def test_the_last_owner_stays(ask, alice, bob):
    assert ask(alice, "POST", json={"user": "alice", "role": "viewer"}).status_code == 409
    answer = ask(alice, "DELETE", f"{MEMBERS}/{alice.id}")
    assert (answer.status_code, "last owner" in answer.json["error"]["message"]) == (409, True)
    ask(alice, "POST", json={"user": "bob", "role": "owner"})
    assert ask(alice, "DELETE", f"{MEMBERS}/{alice.id}").status_code == 204
    assert ask(alice, "GET").status_code == 404


def test_a_member_is_removed_and_may_leave(ask, alice, bob, charlie, dataset):
    db.session.add_all(Member(dataset=dataset, user=user, role="viewer") for user in (bob, charlie))
    assert ask(bob, "DELETE", f"{MEMBERS}/{charlie.id}").status_code == 403
    assert ask(bob, "DELETE", f"{MEMBERS}/{bob.id}").status_code == 204
    assert ask(alice, "DELETE", f"{MEMBERS}/{charlie.id}").status_code == 204
    assert ask(alice, "DELETE", f"{MEMBERS}/{charlie.id}").status_code == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [({"user": "nobody", "role": "viewer"}, "user"), ({"user": "bob", "role": "king"}, "role")],
)
def test_who_is_not_here_and_what_is_no_role_is_refused_by_name(ask, alice, bob, body, field):
    answer = ask(alice, "POST", json=body)
    assert (answer.status_code, answer.json["error"]["field"]) == (422, field)


def test_only_owners_choose_members_and_a_stranger_finds_nothing(ask, alice, bob, charlie, dataset):
    db.session.add(Member(dataset=dataset, user=bob, role="editor"))
    for user, status in ((bob, 403), (charlie, 404)):
        assert ask(user, "POST", json={"user": "charlie", "role": "viewer"}).status_code == status
        assert ask(user, "DELETE", f"{MEMBERS}/{alice.id}").status_code == status
    assert ask(charlie, "GET").status_code == 404
