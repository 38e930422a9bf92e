"""OAuth2 among programs: client credentials, passwords where allowed, revocation, introspection, metadata."""

from __future__ import annotations

import dataclasses

import pytest
from sqlalchemy import select

from models import Consent, FailedLogin, Token, db, now
from tests.conftest import PASSWORD
from tests.oauth_flow import SECRET, ask, call, is_alive, make_client, refresh, tokens_of
from web import auth, tokens
from web.oauth import metadata

ALL_GRANTS = ["authorization_code", "client_credentials", "refresh_token", "password"]


@pytest.fixture
def shop(alice):
    """A confidential client of alice's that may use every grant."""
    return make_client(alice, grants=ALL_GRANTS)


@pytest.fixture
def bob_in(client, sign_in, bob, shop):
    """Bob's browser, signed in."""
    return sign_in(client, bob)


@pytest.fixture
def known(alice):
    """alice, with her password set."""
    auth.set_password(alice, auth.hash_password(PASSWORD))
    db.session.commit()
    return alice


@pytest.fixture
def with_passwords(app):
    """An instance that lets programs take passwords."""
    settings = app.config["PIGEONHOLE"]
    values = settings.values | {"OAUTH_PASSWORD_GRANT": True}
    app.config["PIGEONHOLE"] = dataclasses.replace(settings, values=values)


def ask_by_password(client, password: str = PASSWORD, **more):
    """The answer to a program that has alice's password."""
    return ask(client, **({"grant_type": "password", "username": "alice", "password": password} | more))


# Client credentials


def test_a_program_acts_for_the_user_who_made_it(client, shop, dataset):
    answer = ask(client, grant_type="client_credentials")
    assert answer.status_code == 200
    assert answer.json["scope"] == "read predict"
    assert "refresh_token" not in answer.json
    assert call(client, answer.json["access_token"]).status_code == 200  # alice's dataset


def test_a_program_may_ask_for_less_but_not_for_more(client, shop):
    assert ask(client, grant_type="client_credentials", scope="predict").json["scope"] == "predict"
    answer = ask(client, grant_type="client_credentials", scope="predict train")
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_scope")


def test_a_token_may_do_no_more_than_its_scopes(client, shop, dataset):
    token = ask(client, grant_type="client_credentials", scope="predict").json["access_token"]
    assert call(client, token).status_code == 403


def test_a_public_program_cannot_act_by_itself(client, alice):
    make_client(alice, secret=None, grants=ALL_GRANTS)
    answer = ask(client, secret=None, grant_type="client_credentials")
    assert (answer.status_code, answer.json["error"]) == (400, "unauthorized_client")


def test_a_wrong_secret_gets_401(client, shop):
    answer = ask(client, secret="pgs_wrong", grant_type="client_credentials")
    assert (answer.status_code, answer.json["error"]) == (401, "invalid_client")


def test_a_program_of_somebody_disabled_gets_nothing(client, shop, alice):
    alice.is_enabled = False
    assert ask(client, grant_type="client_credentials").json["error"] == "invalid_client"


# Passwords


def test_passwords_are_not_taken_unless_a_setting_says_so(client, shop, known):
    assert ask_by_password(client).json["error"] == "unsupported_grant_type"


def test_a_program_changes_a_password_for_tokens(client, shop, known, dataset, with_passwords):
    token = ask_by_password(client).json
    assert set(token) == {"access_token", "token_type", "expires_in", "scope", "refresh_token"}
    assert call(client, token["access_token"]).status_code == 200
    assert refresh(client, token["refresh_token"]).status_code == 200
    assert db.session.scalar(select(FailedLogin)) is None


@pytest.mark.parametrize("wrong", [{"password": "wrong password"}, {"username": "nobody"}, {"username": ""}])
def test_a_wrong_password_gives_nothing(client, shop, known, with_passwords, wrong):
    answer = ask_by_password(client, **wrong)
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_grant")
    assert db.session.scalar(select(Token)) is None


def test_a_disabled_user_gets_nothing_by_password(client, bob, known, with_passwords):
    make_client(bob, grants=ALL_GRANTS)
    known.is_enabled = False
    assert ask_by_password(client).json["error"] == "invalid_grant"


def test_a_program_that_may_not_take_passwords_is_refused_before_they_are_tried(
    client, known, with_passwords
):
    make_client(known)
    assert ask_by_password(client).json["error"] == "unauthorized_client"
    assert db.session.scalar(select(FailedLogin)) is None


def test_failed_passwords_count_with_those_of_the_login_page(client, shop, known, with_passwords):
    for _ in range(3):
        ask_by_password(client, "wrong password")
    for _ in range(2):
        client.post("/login", data={"name": "alice", "password": "wrong password"})
    answer = ask_by_password(client)
    assert (answer.status_code, answer.json["error"]) == (429, "temporarily_unavailable")
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    assert client.post("/login", data={"name": "alice", "password": PASSWORD}).status_code == 429


def test_too_much_asked_for_with_a_password_leaves_nothing(client, shop, known, with_passwords):
    assert ask_by_password(client, scope="train").json["error"] == "invalid_scope"
    assert db.session.scalar(select(Consent)) is None


# Revocation


def revoke(client, token: str, **more):
    return client.post(
        "/oauth/revoke", data={"client_id": "shop1", "client_secret": SECRET, "token": token} | more
    )


def test_a_revoked_access_token_stops_alone(bob_in, dataset):
    first = tokens_of(bob_in)
    assert revoke(bob_in, first["access_token"]).status_code == 200
    assert not is_alive(bob_in, first)
    assert refresh(bob_in, first["refresh_token"]).status_code == 200


@pytest.mark.parametrize("hint", ["refresh_token", "access_token", "made_up"])
def test_a_revoked_refresh_token_takes_its_family_along(bob_in, dataset, hint):
    first = tokens_of(bob_in)
    assert revoke(bob_in, first["refresh_token"], token_type_hint=hint).status_code == 200
    assert not is_alive(bob_in, first)
    assert refresh(bob_in, first["refresh_token"]).json["error"] == "invalid_grant"


def test_revoking_what_is_not_there_is_no_error(bob_in):
    assert revoke(bob_in, "made up").status_code == 200


def test_a_revoking_program_must_say_who_it_is(bob_in, dataset):
    first = tokens_of(bob_in)
    answer = revoke(bob_in, first["access_token"], client_secret="wrong")
    assert (answer.status_code, answer.json["error"]) == (401, "invalid_client")
    assert is_alive(bob_in, first)


def test_a_program_revokes_no_token_of_another(bob_in, bob, dataset):
    make_client(bob, public_id="other1", name="Other")
    first = tokens_of(bob_in)
    assert revoke(bob_in, first["access_token"], client_id="other1").json["error"] == "invalid_grant"
    assert is_alive(bob_in, first)


def test_a_program_revokes_no_personal_token(client, shop, alice):
    _, text = tokens.make_token(alice, "camera", ["read"])
    assert revoke(client, text).status_code == 200
    assert tokens.find_token(text)


def test_revoking_without_a_token_is_refused(client, shop):
    sent = {"client_id": "shop1", "client_secret": SECRET}
    assert client.post("/oauth/revoke", data=sent).json["error"] == "invalid_request"


# Introspection


def introspect(client, token: str, **more):
    sent = {"client_id": "shop1", "client_secret": SECRET, "token": token} | more
    return client.post("/oauth/introspect", data=sent)


def test_a_program_learns_what_its_token_is_worth(bob_in, bob):
    told = introspect(bob_in, tokens_of(bob_in)["access_token"]).json
    assert told.pop("exp") - told.pop("iat") in (3599, 3600, 3601)
    assert told == {
        "active": True,
        "client_id": "shop1",
        "username": "bob",
        "sub": str(bob.id),
        "scope": "read",
        "token_type": "Bearer",
    }


def test_a_refresh_token_is_told_too_until_it_is_used(bob_in):
    token = tokens_of(bob_in)["refresh_token"]
    assert introspect(bob_in, token).json["active"]
    refresh(bob_in, token)
    assert introspect(bob_in, token).json == {"active": False}


@pytest.mark.parametrize("change", [{"revoked_at": now()}, {"expires_at": now()}], ids=["revoked", "expired"])
def test_a_dead_token_is_told_as_not_active_and_no_more(bob_in, change):
    token = tokens_of(bob_in)["access_token"]
    for name, value in change.items():
        setattr(db.session.scalar(select(Token)), name, value)
    assert introspect(bob_in, token).json == {"active": False}


def test_a_token_of_somebody_disabled_is_not_active(bob_in, bob):
    token = tokens_of(bob_in)["access_token"]
    bob.is_enabled = False
    assert introspect(bob_in, token).json == {"active": False}


def test_another_program_of_the_same_maker_may_ask(bob_in, alice, bob):
    make_client(alice, public_id="gate1", name="Gate")
    make_client(bob, public_id="other1", name="Other")
    token = tokens_of(bob_in)["access_token"]
    assert introspect(bob_in, token, client_id="gate1").json["active"]
    assert introspect(bob_in, token, client_id="other1").json == {"active": False}


def test_a_personal_token_is_not_told(client, shop, alice):
    _, text = tokens.make_token(alice, "camera", ["read"])
    assert introspect(client, text).json == {"active": False}


def test_a_public_program_learns_nothing(client, alice):
    make_client(alice, secret=None)
    answer = client.post("/oauth/introspect", data={"client_id": "shop1", "token": "x"})
    assert answer.json["error"] == "unauthorized_client"


# What a client must know


def test_the_metadata_names_every_address(client, app):
    told = client.get("/.well-known/oauth-authorization-server").json
    assert told["issuer"] == "http://localhost"
    assert told["authorization_endpoint"] == "http://localhost/oauth/authorize"
    assert told["token_endpoint"] == "http://localhost/oauth/token"
    assert told["revocation_endpoint"] == "http://localhost/oauth/revoke"
    assert told["introspection_endpoint"] == "http://localhost/oauth/introspect"
    assert told["code_challenge_methods_supported"] == ["S256"]
    assert told["grant_types_supported"] == ["authorization_code", "client_credentials", "refresh_token"]


def test_the_metadata_tells_of_passwords_where_they_are_taken(client, app, with_passwords):
    assert "password" in client.get("/.well-known/oauth-authorization-server").json["grant_types_supported"]


def test_the_log_warns_at_the_start_where_passwords_are_taken(app, with_passwords, caplog):
    metadata.warn_of_passwords(app.config["PIGEONHOLE"])
    assert "oauth_password_grant is on" in caplog.text


def test_the_log_warns_of_nothing_else(app, caplog):
    metadata.warn_of_passwords(app.config["PIGEONHOLE"])
    assert not caplog.records
