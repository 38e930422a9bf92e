"""Accounts: set-up, invitations, passwords, sessions and tokens."""

from __future__ import annotations

import re
from contextlib import closing
from datetime import timedelta

import pytest
from sqlalchemy import select

from models import FailedLogin, Invitation, Token, User, db, now
from server import sqlite_module
from tests.conftest import PASSWORD
from web import auth, invitations, tokens

NEW = "a quite different one"


@pytest.fixture
def known(alice):
    """alice, with her password set."""
    auth.set_password(alice, auth.hash_password(PASSWORD))
    db.session.commit()
    return alice


def login(client, name="alice", password=PASSWORD, **options):
    return client.post("/login", data={"name": name, "password": password}, **options)


def is_signed_in(client) -> bool:
    return client.get("/account").status_code == 200


# Set-up and invitations


def test_the_setup_link_makes_an_administrator_and_signs_in(client, app):
    path = invitations.make_setup_link()
    answer = client.post(path, data={"name": "ada", "password": PASSWORD, "again": PASSWORD})
    assert answer.status_code == 302
    assert db.session.scalar(select(User).filter_by(name="ada")).is_admin
    assert is_signed_in(client)


def test_the_setup_link_works_once(client, app):
    path = invitations.make_setup_link()
    client.post(path, data={"name": "ada", "password": PASSWORD, "again": PASSWORD})
    assert client.get(path).status_code == 404


def test_a_second_setup_link_ends_the_first(client, app):
    first, second = invitations.make_setup_link(), invitations.make_setup_link()
    assert client.get(first).status_code == 404
    assert client.get(second).status_code == 200


def test_there_is_no_setup_link_once_somebody_has_an_account(alice):
    assert invitations.make_setup_link() is None


def test_an_old_setup_link_is_useless(client, app):
    path = invitations.make_setup_link()
    db.session.scalar(select(Invitation)).expires_at = now() - timedelta(seconds=1)
    assert client.get(path).status_code == 404


def test_a_short_password_is_refused_with_the_reason(client, app):
    path = invitations.make_setup_link()
    answer = client.post(path, data={"name": "ada", "password": "short", "again": "short"})
    assert "Choose 10 to 200 characters." in answer.text
    assert auth.count_users() == 0


def test_nobody_waits_while_the_password_of_somebody_invited_is_hashed(client, settings, monkeypatch):
    class Watched:
        """Argon2, and whether somebody else could have written while it worked."""

        could_write = []

        def hash(self, password):
            with closing(sqlite_module.connect(settings.instance / "pigeonhole.db", timeout=0)) as other:
                other.execute("BEGIN IMMEDIATE")
                self.could_write.append(True)
            return argon2.hash(password)

    argon2 = auth.hasher
    monkeypatch.setattr(auth, "hasher", Watched())
    path = invitations.make_setup_link()
    answer = client.post(path, data={"name": "ada", "password": PASSWORD, "again": PASSWORD})
    assert answer.status_code == 302
    assert Watched.could_write == [True]


def test_an_administrator_invites_somebody_who_then_signs_in(client, sign_in, app, root):
    page = sign_in(client, root).post("/admin/invitations", data={"name": "dora"}).text
    path = re.search(r"http://localhost(/invitations/[\w-]+)", page).group(1)
    dora = app.test_client()
    token = re.search(r'name="csrf_token" value="([^"]+)"', dora.get(path).text).group(1)
    dora.post(path, data={"password": PASSWORD, "again": PASSWORD, "csrf_token": token})
    assert is_signed_in(dora)
    assert not db.session.scalar(select(User).filter_by(name="dora")).is_admin


def test_an_invitation_can_be_withdrawn(client, sign_in, root):
    path = invitations.invite("dora")
    db.session.commit()
    number = db.session.scalar(select(Invitation.id))
    sign_in(client, root).post(f"/admin/invitations/{number}/withdraw")
    assert client.get(path).status_code == 404


def test_a_reset_link_changes_a_password_and_ends_old_sessions(client, sign_in, app, known):
    sign_in(client, known)
    path = invitations.invite("alice")
    other = app.test_client()
    token = re.search(r'name="csrf_token" value="([^"]+)"', other.get(path).text).group(1)
    other.post(path, data={"password": NEW, "again": NEW, "csrf_token": token})
    assert auth.is_password(db.session.get(User, known.id), NEW)
    assert not is_signed_in(client)


def test_a_second_link_for_a_name_in_other_capitals_ends_the_first(client, app):
    first, second = invitations.invite("émile"), invitations.invite("Émile")
    assert client.get(first).status_code == 404
    assert client.get(second).status_code == 200


@pytest.mark.parametrize("typed", ["Émile", "ÉMILE", "émile ", "E\u0301mile"])
def test_a_name_with_letters_beyond_ascii_signs_in_however_it_is_typed(client, app, typed):
    db.session.add(User(name="Émile", password_hash=auth.hash_password(PASSWORD)))
    assert login(client, typed).status_code == 302
    assert is_signed_in(client)


def test_a_name_that_exists_is_not_invited_again(client, sign_in, root, alice):
    answer = sign_in(client, root).post("/admin/invitations", data={"name": "Alice"})
    assert answer.status_code == 422
    assert "Somebody of that name is here already." in answer.text


@pytest.mark.parametrize("path", ["/admin", "/admin/invitations", "/admin/users/1/disable"])
def test_administration_is_not_there_for_others(client, sign_in, alice, path):
    sign_in(client, alice)
    assert (client.get(path) if path == "/admin" else client.post(path)).status_code == 404


def test_a_disabled_user_is_signed_out_and_kept_out(app, client, sign_in, root, known):
    sign_in(client, known)
    sign_in(app.test_client(), root).post(f"/admin/users/{known.id}/disable")
    assert not is_signed_in(client)
    assert login(sign_out(client)).status_code == 401


def sign_out(client):
    """The browser as a stranger's, with a CSRF token of the login page."""
    client.delete_cookie("pigeonhole")
    page = client.get("/login").text
    client.environ_base["HTTP_X_CSRFTOKEN"] = re.search(r'csrf-token" content="([^"]+)"', page).group(1)
    return client


def test_an_administrator_cannot_disable_themselves(client, sign_in, root):
    assert sign_in(client, root).post(f"/admin/users/{root.id}/disable").status_code == 409


# Passwords and sessions


def test_passwords_are_kept_as_argon2id_of_19_mib(known):
    assert known.password_hash.startswith("$argon2id$v=19$m=19456,t=2,p=1$")


def test_the_right_password_signs_in(client, known):
    assert login(client).location == "/"
    assert is_signed_in(client)


def test_capitals_in_the_name_do_not_matter(client, known):
    assert login(client, name=" Alice ").status_code == 302


def without_csrf(page: str) -> str:
    """Return the page without its tokens, in form and head, which carry the second they were made in."""
    return re.sub(r'name="csrf[_-]token" (value|content)="[^"]+"', "", page)


def test_an_unknown_name_gets_the_same_answer_as_a_wrong_password(client, known):
    unknown, wrong = login(client, name="nobody"), login(client, password="wrong password")
    assert "csrf" not in without_csrf(wrong.text)
    assert unknown.status_code == wrong.status_code == 401
    assert without_csrf(unknown.text).replace("nobody", "alice") == without_csrf(wrong.text)


def test_the_sixth_failed_login_in_a_minute_must_wait(client, known):
    for _ in range(5):
        assert login(client, password="wrong password").status_code == 401
    answer = login(client)
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["Retry-After"]) <= 60


def test_failed_logins_are_counted_by_address_too(client, known):
    for number in range(5):
        login(client, name=f"guess{number}")
    assert login(client).status_code == 429


def test_another_account_from_another_address_is_not_held_up(client, known):
    for _ in range(5):
        login(client, name="bob")
    assert login(client, environ_overrides={"REMOTE_ADDR": "10.0.0.9"}).status_code == 302


def test_failed_logins_are_forgotten_after_a_minute(client, known):
    for _ in range(5):
        login(client, password="wrong password")
    for attempt in db.session.scalars(select(FailedLogin)):
        attempt.created_at = now() - timedelta(seconds=61)
    assert login(client).status_code == 302


def test_right_logins_are_not_counted(client, known):
    login(client)
    assert db.session.scalar(select(FailedLogin.id)) is None


@pytest.mark.parametrize(
    ("wanted", "given"),
    [
        ("/account", "/account"),
        ("//evil.example", "/"),
        ("https://evil.example/", "/"),
        ("/\\evil.example", "/"),
        ("javascript:alert(1)", "/"),
    ],
)
def test_the_login_leads_on_to_our_own_pages_only(client, known, wanted, given):
    data = {"name": "alice", "password": PASSWORD}
    assert client.post("/login", query_string={"next": wanted}, data=data).location == given


def test_the_session_cookie_is_out_of_reach_of_scripts_and_other_sites(client, known):
    cookie = login(client).headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie


def test_changing_the_password_signs_out_elsewhere_and_not_here(client, sign_in, app, known):
    other = sign_in(app.test_client(), known)
    data = {"current": PASSWORD, "password": NEW, "again": NEW}
    assert sign_in(client, known).post("/account/password", data=data).status_code == 302
    assert is_signed_in(client)
    assert not is_signed_in(other)


def test_the_present_password_is_asked_for(client, sign_in, known):
    data = {"current": "not my password", "password": NEW, "again": NEW}
    answer = sign_in(client, known).post("/account/password", data=data)
    assert answer.status_code == 422
    assert "This is not your present password." in answer.text


def test_a_session_ends_after_a_week_in_any_case(client, sign_in, known):
    sign_in(client, known)
    with client.session_transaction() as session:
        session["signed_in_at"] -= 7 * 86_400 + 1
    assert not is_signed_in(client)


def test_signing_out_ends_the_session(client, sign_in, alice):
    sign_in(client, alice).post("/logout")
    assert not is_signed_in(client)


# Tokens


def test_a_token_has_a_checksum_that_tells_typing_errors(alice):
    _, text = tokens.make_token(alice, "camera", ["predict"])
    assert re.fullmatch(r"pgh_[0-9A-Za-z]{36}", text)
    assert tokens.is_well_formed(text)
    assert not tokens.is_well_formed(text[:-1] + ("0" if text[-1] != "0" else "1"))


def test_only_the_hash_of_a_token_is_stored(alice):
    token, text = tokens.make_token(alice, "camera", ["predict"])
    db.session.commit()
    assert text not in str(vars(token))
    assert tokens.find_token(text) is token


def test_a_token_is_shown_once_and_expires_after_90_days(client, sign_in, alice):
    sign_in(client, alice)
    data = {"name": "camera", "scopes": ["predict"], "days": "90"}
    page = client.post("/account/tokens", data=data).text
    text = re.search(r"pgh_[0-9A-Za-z]{36}", page).group()
    assert text not in client.get("/account").text
    left = tokens.find_token(text).expires_at - now()
    assert timedelta(days=89) < left <= timedelta(days=90)


def test_a_user_may_not_give_the_scope_admin(client, sign_in, alice):
    data = {"name": "camera", "scopes": ["admin"], "days": "90"}
    assert sign_in(client, alice).post("/account/tokens", data=data).status_code == 422


def test_a_token_without_a_scope_is_refused(client, sign_in, alice):
    answer = sign_in(client, alice).post("/account/tokens", data={"name": "camera", "days": "90"})
    assert answer.status_code == 422
    assert "Choose at least one scope" in answer.text


@pytest.mark.parametrize("change", [{"revoked_at": now()}, {"expires_at": now()}])
def test_a_revoked_or_expired_token_is_worth_nothing(alice, change):
    token, text = tokens.make_token(alice, "camera", ["predict"])
    for name, value in change.items():
        setattr(token, name, value)
    db.session.commit()
    assert tokens.find_token(text) is None


def test_a_token_of_somebody_else_cannot_be_revoked(client, sign_in, alice, bob):
    token, _ = tokens.make_token(alice, "camera", ["predict"])
    db.session.commit()
    assert sign_in(client, bob).post(f"/account/tokens/{token.id}/revoke").status_code == 404
    assert db.session.get(Token, token.id).revoked_at is None


def test_revoking_makes_a_token_useless_at_once(client, sign_in, alice):
    token, text = tokens.make_token(alice, "camera", ["predict"])
    db.session.commit()
    sign_in(client, alice).post(f"/account/tokens/{token.id}/revoke")
    assert tokens.find_token(text) is None
