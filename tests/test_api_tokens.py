"""Personal tokens over the API, and that none can widen itself."""

from __future__ import annotations

import pytest

from models import Client, Token, db
from web import tokens

TOKENS = "/api/v1/tokens"
MINE = {"name": "camera", "scopes": ["predict"]}


@pytest.fixture
def ask(client, root):
    """`ask(method, address, scopes=..., **more)` as root with a token of these scopes."""

    def ask(method, address=TOKENS, scopes=("predict", "admin"), **more):
        text = tokens.make_token(root, "mine", list(scopes))[1]
        db.session.commit()
        return client.open(address, method=method, headers={"Authorization": f"Bearer {text}"}, **more)

    return ask


def test_a_new_token_is_told_once_and_works(ask, client):
    answer = ask("POST", json=MINE)
    assert (answer.status_code, answer.headers["Cache-Control"]) == (201, "no-store")
    assert tokens.find_token(answer.json["token"]).scopes == ["predict"]
    (listed, *_) = [one for one in ask("GET").json["items"] if one["name"] == "camera"]
    assert listed == {name: value for name, value in answer.json.items() if name != "token"}


def test_a_token_lasts_as_long_as_the_server_says_unless_days_do(ask):
    assert ask("POST", json=MINE).json["expires_at"] is not None
    assert ask("POST", json=MINE | {"days": None}).json["expires_at"] is None


def test_a_token_gives_no_scope_that_it_lacks(ask):
    answer = ask("POST", json={"name": "more", "scopes": ["predict", "write"]})
    assert (answer.status_code, "'write'" in answer.json["error"]["message"]) == (403, True)
    assert db.session.query(Token).filter_by(name="more").count() == 0


def test_a_clients_access_token_makes_no_personal_token(client, root):
    token, text = tokens.make_token(root, "access", ["admin", "predict"])
    token.client = Client(public_id="c1", user=root, name="a program")
    db.session.commit()
    answer = client.post(TOKENS, json=MINE, headers={"Authorization": f"Bearer {text}"})
    assert answer.status_code == 403


def test_an_administrator_makes_and_lists_a_users_tokens(ask, alice):
    answer = ask("POST", json=MINE | {"user": alice.id})
    assert (answer.status_code, answer.json["user"]) == (201, "alice")
    assert [one["user"] for one in ask("GET", f"{TOKENS}?user={alice.id}").json["items"]] == ["alice"]
    assert ask("GET", f"{TOKENS}?user=99").status_code == 404
    answer = ask("POST", json=MINE | {"user": alice.id, "scopes": ["admin"]})
    assert (answer.status_code, answer.json["error"]["field"]) == (422, "scopes")


def test_a_revoked_token_stops_at_once(ask, client):
    made = ask("POST", json=MINE | {"scopes": ["admin"]}).json
    headers = {"Authorization": f"Bearer {made['token']}"}
    assert client.get(TOKENS, headers=headers).status_code == 200
    assert ask("DELETE", f"{TOKENS}/{made['id']}").status_code == 204
    assert client.get(TOKENS, headers=headers).status_code == 401
    assert ask("DELETE", f"{TOKENS}/{made['id']}").status_code == 404


def test_all_other_scopes_together_manage_no_tokens(ask):
    scopes = ("read", "write", "train", "predict")
    assert [ask(method, scopes=scopes).status_code for method in ("GET", "POST")] == [403, 403]
    assert ask("DELETE", f"{TOKENS}/1", scopes=scopes).status_code == 403


def test_the_admin_scope_ends_with_being_an_administrator(client, root):
    headers = {"Authorization": f"Bearer {tokens.make_token(root, 'mine', ['admin'])[1]}"}
    db.session.commit()
    assert client.get(TOKENS, headers=headers).status_code == 200
    root.is_admin = False
    assert client.get(TOKENS, headers=headers).status_code == 403


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"scopes": []}, "scopes"),
        ({"scopes": ["all"]}, "scopes.0"),
        ({"name": " "}, "name"),
        ({"days": 0}, "days"),
    ],
)
def test_what_cannot_be_is_refused_by_name(ask, wrong, field):
    answer = ask("POST", json=MINE | wrong)
    assert (answer.status_code, answer.json["error"]["field"]) == (422, field)
