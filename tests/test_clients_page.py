"""Programs: made, changed, given a new secret and deleted by their makers; put out by whoever let them in."""

from __future__ import annotations

import dataclasses
import re

import pytest
from sqlalchemy import select

from models import Client, RefreshToken, Token, db
from tests.oauth_flow import CALLBACK, SECRET, ask, change, is_alive, let_in, make_client, refresh, tokens_of
from web import tokens

WISHES = {
    "name": "Shop",
    "kind": "secret",
    "grants": ["authorization_code", "refresh_token"],
    "redirect_uris": f"{CALLBACK}\r\nhttps://shop.example/other",
    "scopes": ["read", "predict"],
}


def add(client, **more):
    return client.post("/clients", data=WISHES | more)


def the_client() -> Client | None:
    return db.session.scalar(select(Client))


@pytest.fixture
def alice_in(client, sign_in, alice):
    """Alice's browser, signed in."""
    return sign_in(client, alice)


# Making


def test_a_program_is_made_and_its_secret_shown_once(alice_in, alice):
    page = add(alice_in).text
    secret = re.search(r"pgs_[\w-]{43}", page).group()
    made = the_client()
    assert made.public_id in page
    assert (made.name, made.user_id, made.scopes) == ("Shop", alice.id, ["read", "predict"])
    assert made.redirect_uris == [CALLBACK, "https://shop.example/other"]
    assert made.secret_hash == tokens.digest(secret)
    assert secret not in alice_in.get(f"/clients/{made.public_id}").text


def test_a_program_without_a_secret_has_none(alice_in):
    assert "pgs_" not in add(alice_in, kind="public").text
    assert the_client().secret_hash is None


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"name": ""}, "Give it a name."),
        ({"name": "Shop\u202e"}, "invisible characters"),
        ({"grants": []}, "Choose at least one way in."),
        ({"grants": ["refresh_token"]}, "Choose at least one way in."),
        ({"grants": ["client_credentials", "refresh_token"]}, "needs no refresh tokens"),
        ({"grants": ["client_credentials"], "kind": "public"}, "can only be let in by people"),
        ({"grants": ["password"]}, "not a valid choice"),
        ({"scopes": []}, "Choose at least one of these."),
        ({"scopes": ["admin"]}, "not a valid choice"),
        ({"redirect_uris": ""}, "Say where people are sent back to."),
        ({"redirect_uris": " ".join(f"https://a.example/{n}" for n in range(11))}, "10 addresses"),
    ],
    ids=str,
)
def test_a_program_that_cannot_be_is_refused_with_the_reason(alice_in, wrong, sentence):
    answer = add(alice_in, **wrong)
    assert answer.status_code == 422
    assert sentence in answer.text
    assert the_client() is None


@pytest.mark.parametrize(
    "address",
    [
        "http://shop.example/done",
        "https://shop.example/done#part",
        "https://user@shop.example/done",
        "https://shop.example\\@evil.example/",
        "https://shop.example;script-src:*/",
        "https:///done",
        "//shop.example/done",
        "javascript:alert(1)",
        "data:text/html,x",
        "myapp:/done",
        "https://sh\u00f6p.example/",
        'https://shop.example/"',
        "http://127.0.0.1.evil.example/done",
        "http://localhost@evil.example/",
    ],
)
def test_answers_cannot_be_sent_just_anywhere(alice_in, address):
    assert add(alice_in, redirect_uris=address, kind="public").status_code == 422


@pytest.mark.parametrize(
    "address",
    [
        "https://shop.example",
        "https://shop.example:8443/done?from=pigeonhole",
        "http://127.0.0.1:5005/done",
        "http://[::1]/done",
        "http://localhost/done",
        "com.example.app:/done",
    ],
)
def test_https_this_machine_and_an_apps_own_scheme_are_taken(alice_in, address):
    assert add(alice_in, redirect_uris=address, kind="public").status_code == 200


def test_a_scheme_of_its_own_is_not_for_a_program_with_a_secret(alice_in):
    assert add(alice_in, redirect_uris="com.example.app:/done").status_code == 422


def test_passwords_are_offered_with_a_warning_where_a_setting_allows_them(alice_in, app):
    assert "oauth_password_grant" not in alice_in.get("/clients").text
    settings = app.config["PIGEONHOLE"]
    values = settings.values | {"OAUTH_PASSWORD_GRANT": True}
    app.config["PIGEONHOLE"] = dataclasses.replace(settings, values=values)
    assert "oauth_password_grant" in alice_in.get("/clients").text
    assert add(alice_in, grants=["password", "refresh_token"], redirect_uris="").status_code == 200


def test_an_administrator_may_make_one_that_administrates(client, sign_in, root):
    assert add(sign_in(client, root), scopes=["read", "admin"]).status_code == 200


# Whose they are


def test_others_do_not_see_a_program_and_administrators_do(client, sign_in, alice, bob, root):
    make_client(alice)
    sign_in(client, bob)
    assert "Shop" not in client.get("/clients").text
    assert client.get("/clients/shop1").status_code == 404
    sign_in(client, root)
    assert "made by alice" in client.get("/clients").text
    assert client.get("/clients/shop1").status_code == 200


@pytest.mark.parametrize("action", ["", "/secret", "/delete"])
def test_others_cannot_touch_a_program(client, sign_in, alice, bob, action):
    made = make_client(alice)
    sent = WISHES | {"name": "Mine", "confirm": "Shop"}
    assert sign_in(client, bob).post(f"/clients/shop1{action}", data=sent).status_code == 404
    db.session.refresh(made)
    assert (made.name, made.secret_hash) == ("Shop", tokens.digest(SECRET))


# Changing


def test_a_program_is_changed(alice_in, alice):
    made = make_client(alice)
    sent = WISHES | {"name": "Store", "scopes": ["read"]}
    assert alice_in.post("/clients/shop1", data=sent).status_code == 302
    db.session.refresh(made)
    assert (made.name, made.scopes, made.secret_hash) == ("Store", ["read"], tokens.digest(SECRET))


def test_a_program_that_may_do_less_comes_back_for_less(alice_in, alice, dataset):
    make_client(alice)
    token = tokens_of(alice_in, scope="read predict")
    alice_in.post("/clients/shop1", data=WISHES | {"scopes": ["predict"]})
    assert not is_alive(alice_in, token)
    assert refresh(alice_in, token["refresh_token"]).json["scope"] == "predict"


def test_a_wrong_change_is_refused_and_changes_nothing(alice_in, alice):
    made = make_client(alice)
    answer = alice_in.post("/clients/shop1", data=WISHES | {"redirect_uris": "http://shop.example/"})
    assert answer.status_code == 422
    db.session.refresh(made)
    assert made.redirect_uris == [CALLBACK]


def test_a_new_secret_ends_the_old_one_and_people_stay_let_in(alice_in, alice, dataset):
    make_client(alice)
    token = tokens_of(alice_in)
    page = alice_in.post("/clients/shop1/secret").text
    secret = re.search(r"pgs_[\w-]{43}", page).group()
    assert 'value="Shop"' in page  # the form to change it is as filled as ever
    assert not is_alive(alice_in, token)
    assert refresh(alice_in, token["refresh_token"]).status_code == 401
    assert refresh(alice_in, token["refresh_token"], client_secret=secret).status_code == 200


def test_a_program_without_a_secret_gets_none_later(alice_in, alice):
    made = make_client(alice, secret=None)
    assert alice_in.post("/clients/shop1/secret").status_code == 409
    db.session.refresh(made)
    assert made.secret_hash is None


# Deleting


def test_a_deleted_program_takes_all_it_was_given_along(alice_in, alice, dataset):
    make_client(alice, grants=["authorization_code", "refresh_token", "client_credentials"])
    mine = ask(alice_in, grant_type="client_credentials").json
    theirs, code = tokens_of(alice_in), let_in(alice_in)["code"]
    assert alice_in.post("/clients/shop1/delete", data={"confirm": "Shop"}).status_code == 302
    assert not is_alive(alice_in, mine)
    assert not is_alive(alice_in, theirs)
    assert change(alice_in, code).json["error"] == "invalid_client"
    assert [db.session.scalar(select(table)) for table in (Token, RefreshToken, Client)] == [None] * 3


def test_deleting_must_be_confirmed_by_name(alice_in, alice):
    make_client(alice)
    assert alice_in.post("/clients/shop1/delete", data={"confirm": "shop"}).status_code == 422
    assert the_client()


# Putting a program out


def test_the_account_page_names_the_programs_let_in(client, sign_in, alice, bob):
    make_client(alice)
    sign_in(client, bob)
    assert "Put it out" not in client.get("/account").text
    tokens_of(client)
    page = client.get("/account").text
    assert "Put Shop out" in page
    assert "may read for you" in page
    assert "never used" not in page  # it is not among the tokens for scripts


def test_a_program_that_is_put_out_can_do_nothing_more(client, sign_in, alice, bob, dataset):
    made = make_client(alice)
    first, second = tokens_of(sign_in(client, bob)), tokens_of(client)
    other = tokens_of(sign_in(client, alice))
    sign_in(client, bob).post(f"/account/programs/{made.id}/withdraw")
    assert [is_alive(client, token) for token in (first, second, other)] == [False, False, True]
    assert refresh(client, second["refresh_token"]).json["error"] == "invalid_grant"
    assert "Put Shop out" not in client.get("/account").text


def test_putting_out_what_was_never_let_in_changes_nothing(client, sign_in, bob):
    assert sign_in(client, bob).post("/account/programs/99/withdraw").status_code == 302
