"""OAuth2 by the code: a program sends a browser, somebody lets it in, it calls the API."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape

import pytest
from sqlalchemy import select

from models import AuthorizationCode, RefreshToken, Token, db, now
from tests.conftest import PASSWORD
from tests.oauth_flow import (
    CALLBACK,
    SECRET,
    VERIFIER,
    address,
    ask,
    call,
    change,
    heard,
    is_alive,
    let_in,
    make_client,
    refresh,
    tokens_of,
)
from web import auth, tokens
from web.oauth import issuing

OTHER = "https://evil.example/done"


@pytest.fixture
def shop(alice):
    """A confidential client of alice's."""
    return make_client(alice)


@pytest.fixture
def bob_in(client, sign_in, bob, shop):
    """Bob's browser, signed in; it sends the program's own requests too."""
    return sign_in(client, bob)


# Letting a program in


def test_a_program_that_somebody_lets_in_calls_the_api_for_them(bob_in, dataset):
    token = tokens_of(bob_in)
    assert (token["token_type"], token["expires_in"], token["scope"]) == ("Bearer", 3600, "read")
    assert call(bob_in, token["access_token"]).status_code == 404  # bob is no member
    found = tokens.find_token(token["access_token"])
    assert (found.user.name, found.client.name) == ("bob", "Shop")


def test_a_public_program_needs_no_secret(client, sign_in, bob, alice):
    make_client(alice, secret=None)
    code = let_in(sign_in(client, bob))["code"]
    assert change(client, code, secret=None).status_code == 200


def test_a_public_program_that_sends_a_secret_is_refused(client, sign_in, bob, alice):
    make_client(alice, secret=None)
    code = let_in(sign_in(client, bob))["code"]
    assert change(client, code, secret="made up").json["error"] == "invalid_client"


def test_the_browser_brings_back_the_state_to_the_letter_and_who_we_are(bob_in):
    answer = let_in(bob_in, state="a b/ü=%&?\\'\"")
    assert answer["state"] == "a b/ü=%&?\\'\""
    assert answer["iss"] == "http://localhost"


def test_a_program_that_is_kept_out_hears_so(bob_in):
    answer = bob_in.post(address(), data={"decision": "deny"})
    assert answer.location.startswith(CALLBACK)
    assert heard(answer)["error"] == "access_denied"
    assert heard(answer)["iss"] == "http://localhost"
    assert db.session.scalar(select(AuthorizationCode)) is None


def test_asking_gives_nothing_before_the_user_has_said_yes(bob_in):
    page = bob_in.get(address())
    assert (page.status_code, page.headers["Cache-Control"]) == (200, "no-store")
    assert "See datasets" in page.text
    assert db.session.scalar(select(AuthorizationCode)) is None


def test_the_consent_page_lets_its_form_lead_to_the_program_alone(bob_in):
    policy = bob_in.get(address()).headers["Content-Security-Policy"]
    assert "form-action 'self' https://shop.example;" in policy
    assert "frame-ancestors 'none'" in policy


def test_what_a_program_may_ask_for_since_the_user_read_it_is_not_agreed_to(bob_in, shop):
    page = bob_in.get(address(scope=None))
    shop.scopes = ["read", "write", "predict"]
    db.session.commit()
    where = unescape(re.search(r'action="(\?[^"]+)"', page.text)[1])
    answer = bob_in.post(f"/oauth/authorize{where}", data={"decision": "allow"})
    assert heard(answer)["state"] == "a b/ü=%"
    assert change(bob_in, heard(answer)["code"]).json["scope"] == "read predict"


def test_a_stranger_signs_in_first_and_comes_back(client, shop):
    answer = client.get(address())
    assert answer.location.startswith("/login?next=/oauth/authorize?")


def test_somebody_who_signs_in_on_the_way_is_asked_then(client, shop, bob):
    auth.set_password(bob, auth.hash_password(PASSWORD))
    asked = address(state="what?") + "&more=?"
    login = client.get(asked).location
    assert client.post(login, data={"name": "bob", "password": PASSWORD}).location == asked
    assert "Let Shop in?" in client.get(asked).text


def test_asking_by_head_answers_nothing_to_the_program(bob_in):
    assert bob_in.head(address()).location is None


def test_a_forged_consent_without_proof_is_refused(bob_in):
    del bob_in.environ_base["HTTP_X_CSRFTOKEN"]
    assert bob_in.post(address(), data={"decision": "allow"}).status_code == 400


@pytest.mark.parametrize(
    "wrong",
    [
        {"client_id": "nobody"},
        {"client_id": None},
        {"client_id": "ü"},
        {"redirect_uri": OTHER},
        {"redirect_uri": CALLBACK + "/more"},
        {"redirect_uri": CALLBACK + "?a=1"},
        {"redirect_uri": "javascript:alert(1)"},
        {"redirect_uri": 'https://ü".example/'},
        {"redirect_uri": None},
        {"code_challenge": None, "code_challenge_method": None},
        {"code_challenge_method": "plain"},
        {"code_challenge_method": None},
        {"code_challenge": "short"},
    ],
    ids=str,
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_program_that_asks_wrongly_gets_an_error_page_and_no_redirect(bob_in, wrong, method):
    answer = bob_in.open(address(**wrong), method=method, data={"decision": "allow"})
    assert (answer.status_code, answer.mimetype, answer.location) == (400, "text/html", None)
    assert db.session.scalar(select(AuthorizationCode)) is None


def test_a_parameter_given_twice_is_refused_without_a_redirect(bob_in):
    assert bob_in.get(f"{address()}&redirect_uri={OTHER}").status_code == 400


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": 'ü"'}, "unsupported_response_type"),
        ({"response_type": None}, "unsupported_response_type"),
        ({"scope": "read everything"}, "invalid_scope"),
        ({"scope": "write"}, "invalid_scope"),
        ({"scope": 'ü"'}, "invalid_scope"),
    ],
    ids=str,
)
def test_what_a_known_program_may_not_have_is_told_to_it(bob_in, wrong, error):
    answer = bob_in.get(address(**wrong))
    assert (answer.status_code, heard(answer)["error"]) == (303, error)
    assert (heard(answer)["state"], heard(answer)["iss"]) == ("a b/ü=%", "http://localhost")


def test_a_program_that_may_not_use_codes_is_told_so(client, sign_in, bob, alice):
    make_client(alice, grants=["client_credentials"])
    answer = sign_in(client, bob).get(address())
    assert heard(answer)["error"] == "unauthorized_client"


def test_a_program_on_ones_own_machine_takes_any_free_port(client, sign_in, bob, alice):
    make_client(alice, secret=None, redirect_uris=["http://127.0.0.1/done"])
    sign_in(client, bob)
    assert client.get(address(redirect_uri="http://127.0.0.1:50123/done")).status_code == 200
    assert client.get(address(redirect_uri="http://127.0.0.1:50123/other")).status_code == 400


@pytest.mark.parametrize(
    ("registered", "begins"),
    [
        ("https://shop.example/done?from=us", "https://shop.example/done?from=us&code="),
        ("com.example.app:/done", "com.example.app:/done?code="),
        ("http://[::1]:8765/done", "http://[::1]:8765/done?code="),
    ],
)
def test_the_browser_is_sent_back_to_addresses_of_every_kind(client, sign_in, bob, alice, registered, begins):
    make_client(alice, secret=None, redirect_uris=[registered])
    asked = address(redirect_uri=registered)
    assert sign_in(client, bob).get(asked).status_code == 200
    assert client.post(asked, data={"decision": "allow"}).location.startswith(begins)


def test_a_script_that_asks_wrongly_hears_it_in_the_shape_of_the_rfc(bob_in):
    answer = bob_in.get(address(client_id="nobody"), headers={"Accept": "application/json"})
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_request")


# Changing the code


def test_a_code_works_once_and_a_second_use_ends_what_it_gave(bob_in, dataset):
    code = let_in(bob_in)["code"]
    token = change(bob_in, code).json
    assert is_alive(bob_in, token)
    again = change(bob_in, code)
    assert (again.status_code, again.json["error"]) == (400, "invalid_grant")
    assert not is_alive(bob_in, token)
    assert refresh(bob_in, token["refresh_token"]).json["error"] == "invalid_grant"


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"code_verifier": "another-verifier-of-forty-three-characters-12"}, "invalid_grant"),
        ({"code_verifier": None}, "invalid_request"),
        ({"code_verifier": "short"}, "invalid_request"),
        ({"redirect_uri": OTHER}, "invalid_grant"),
        ({"redirect_uri": None}, "invalid_grant"),
        ({"code": "made-up"}, "invalid_grant"),
        ({"code": "ü"}, "invalid_grant"),
        ({"code": None}, "invalid_request"),
        ({"grant_type": "implicit"}, "unsupported_grant_type"),
        ({"grant_type": 'ü"'}, "unsupported_grant_type"),
        ({"grant_type": None}, "invalid_request"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "client_credentials"}, "unauthorized_client"),
    ],
    ids=str,
)
def test_a_wrong_token_request_gets_the_error_of_the_rfc(bob_in, wrong, error):
    sent = {"code": let_in(bob_in)["code"]} | wrong
    answer = change(bob_in, sent.pop("code"), **sent)
    assert (answer.status_code, answer.json["error"]) == (400, error)
    assert answer.headers["Cache-Control"] == "no-store"
    assert db.session.scalar(select(Token)) is None


def test_a_wrong_verifier_does_not_spoil_the_code(bob_in):
    code = let_in(bob_in)["code"]
    change(bob_in, code, code_verifier="another-verifier-of-forty-three-characters-12")
    assert change(bob_in, code).status_code == 200


def test_a_code_is_past_its_time_after_two_minutes(bob_in):
    code = let_in(bob_in)["code"]
    db.session.scalar(select(AuthorizationCode)).expires_at = now()
    assert change(bob_in, code).json["error"] == "invalid_grant"


def test_a_code_of_another_program_is_worth_nothing(bob_in, bob):
    make_client(bob, public_id="other1", name="Other")
    code = let_in(bob_in)["code"]
    assert change(bob_in, code, client_id="other1").json["error"] == "invalid_grant"
    assert change(bob_in, code).status_code == 200


def test_of_two_who_use_a_code_at_once_one_gets_it(bob_in):
    let_in(bob_in)
    code = db.session.scalar(select(AuthorizationCode))
    assert issuing.use_up(code)
    assert not issuing.use_up(code)


@pytest.mark.parametrize(
    "header",
    ["Basic", "Basic ü", "Basic !!!", "Basic //8=", "Basic c2hvcDE6d3Jvbmc=", "Basic c2hvcDE=", "Basic AAAA"],
)
def test_a_client_that_cannot_say_who_it_is_gets_401(bob_in, header):
    headers = {"Authorization": header.encode().decode("latin-1")}
    sent = {"grant_type": "client_credentials"}
    answer = bob_in.post("/oauth/token", data=sent, headers=headers)
    assert (answer.status_code, answer.json["error"]) == (401, "invalid_client")
    assert answer.headers["WWW-Authenticate"] == 'Basic realm="pigeonhole"'


def test_a_client_signs_in_by_http_basic(bob_in):
    code = let_in(bob_in)["code"]
    sent = {"grant_type": "authorization_code", "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
    answer = bob_in.post("/oauth/token", data=sent | {"code": code}, auth=("shop1", SECRET))
    assert answer.status_code == 200


def test_a_client_that_signs_in_both_ways_is_refused(bob_in):
    sent = {"grant_type": "refresh_token", "client_secret": SECRET}
    answer = bob_in.post("/oauth/token", data=sent, auth=("shop1", SECRET))
    assert answer.json["error"] == "invalid_request"


def test_what_stands_in_the_address_counts_for_nothing(bob_in):
    answer = bob_in.post(f"/oauth/token?grant_type=client_credentials&client_id=shop1&client_secret={SECRET}")
    assert answer.json["error"] == "invalid_request"


def test_a_parameter_sent_twice_is_refused(bob_in):
    sent = {"grant_type": ["refresh_token", "client_credentials"]}
    assert bob_in.post("/oauth/token", data=sent).json["error"] == "invalid_request"


# Coming back


def test_a_refresh_token_gives_new_ones(bob_in, dataset):
    first = tokens_of(bob_in)
    second = refresh(bob_in, first["refresh_token"]).json
    assert is_alive(bob_in, first)
    assert is_alive(bob_in, second)
    assert second["refresh_token"] != first["refresh_token"]
    assert second["scope"] == "read"


def test_a_refresh_token_used_again_ends_the_whole_family(bob_in, dataset):
    first = tokens_of(bob_in)
    second = refresh(bob_in, first["refresh_token"]).json
    stolen = refresh(bob_in, first["refresh_token"])
    assert (stolen.status_code, stolen.json["error"]) == (400, "invalid_grant")
    assert not is_alive(bob_in, first)
    assert not is_alive(bob_in, second)
    assert refresh(bob_in, second["refresh_token"]).json["error"] == "invalid_grant"


def test_another_letting_in_of_the_same_program_is_another_family(bob_in, dataset):
    first, other = tokens_of(bob_in), tokens_of(bob_in)
    refresh(bob_in, first["refresh_token"])
    refresh(bob_in, first["refresh_token"])
    assert is_alive(bob_in, other)


def test_a_refresh_token_of_another_program_is_worth_nothing_and_stays_good(bob_in, bob):
    make_client(bob, public_id="other1", name="Other")
    token = tokens_of(bob_in)["refresh_token"]
    assert refresh(bob_in, token, client_id="other1").json["error"] == "invalid_grant"
    assert refresh(bob_in, token).status_code == 200


def test_a_program_that_stayed_away_too_long_must_be_let_in_anew(bob_in):
    token = tokens_of(bob_in)["refresh_token"]
    kept = db.session.scalar(select(RefreshToken))
    assert timedelta(days=29) < kept.expires_at - now() <= timedelta(days=30)
    kept.expires_at = now()
    assert refresh(bob_in, token).json["error"] == "invalid_grant"


def test_less_may_be_asked_for_and_the_next_time_all_again(bob_in):
    first = tokens_of(bob_in, scope="read predict")
    less = refresh(bob_in, first["refresh_token"], scope="predict").json
    assert less["scope"] == "predict"
    assert refresh(bob_in, less["refresh_token"]).json["scope"] == "read predict"


def test_more_than_was_agreed_to_is_refused_and_the_token_stays_good(bob_in):
    token = tokens_of(bob_in)["refresh_token"]
    assert refresh(bob_in, token, scope="read predict").json["error"] == "invalid_scope"
    assert refresh(bob_in, token).status_code == 200


def test_a_program_without_that_grant_gets_no_refresh_token(client, sign_in, bob, alice):
    make_client(alice, grants=["authorization_code"])
    assert "refresh_token" not in tokens_of(sign_in(client, bob))


# What a token is worth


def test_only_hashes_are_stored(bob_in):
    answer = let_in(bob_in)
    token = change(bob_in, answer["code"]).json
    tables = (AuthorizationCode, RefreshToken, Token)
    kept = str([vars(row) for table in tables for row in db.session.scalars(select(table))])
    assert not [
        text for text in (answer["code"], *token.values()) if str(text) in kept and len(str(text)) > 20
    ]


@pytest.mark.parametrize("change_to", [{"revoked_at": now()}, {"expires_at": now()}])
def test_a_revoked_or_expired_token_gets_401(bob_in, dataset, change_to):
    token = tokens_of(bob_in)
    for name, value in change_to.items():
        setattr(db.session.scalar(select(Token)), name, value)
    assert call(bob_in, token["access_token"]).status_code == 401


def test_the_api_tells_a_program_what_is_wrong_with_its_token(bob_in, dataset):
    assert call(bob_in, "pgh_made_up").headers["WWW-Authenticate"].endswith('error="invalid_token"')
    token = tokens_of(bob_in, scope="predict")["access_token"]
    told = call(bob_in, token).headers["WWW-Authenticate"]
    assert told.endswith('error="insufficient_scope", scope="read"')


def test_a_garbled_token_gets_401(bob_in, dataset):
    token = tokens_of(bob_in)["access_token"]
    assert call(bob_in, token[:-1] + ("0" if token[-1] != "0" else "1")).status_code == 401


@pytest.mark.parametrize("name", ["access_token", "token"])
def test_a_token_in_the_address_gets_401(bob_in, dataset, name):
    token = tokens_of(bob_in)["access_token"]
    assert bob_in.get(f"/api/v1/datasets/flowers/runs?{name}={token}").status_code == 401


@pytest.mark.parametrize("who", ["alice", "bob"])
def test_tokens_stop_when_the_user_or_the_maker_of_the_program_is_disabled(bob_in, dataset, alice, bob, who):
    token = tokens_of(bob_in)
    {"alice": alice, "bob": bob}[who].is_enabled = False
    assert not is_alive(bob_in, token)
    assert refresh(bob_in, token["refresh_token"]).status_code in (400, 401)


def test_access_tokens_are_not_among_the_personal_ones(bob_in, bob):
    tokens_of(bob_in)
    assert tokens.list_tokens(bob) == []


# Administrating


def test_an_administrator_reads_how_far_the_consent_goes(client, sign_in, bob, root):
    make_client(bob)
    assert "every dataset on it" not in sign_in(client, bob).get(address()).text
    assert "every dataset on it" in sign_in(client, root).get(address()).text


def test_administrating_is_offered_to_administrators_alone(client, sign_in, bob, root):
    make_client(root, scopes=["read", "admin"])
    assert tokens_of(sign_in(client, bob), scope="read admin")["scope"] == "read"
    assert heard(client.get(address(scope="admin")))["error"] == "invalid_scope"
    assert tokens_of(sign_in(client, root), scope="read admin")["scope"] == "read admin"


def test_administrating_must_be_asked_for_by_name(client, sign_in, root):
    make_client(root, scopes=["read", "admin"])
    assert tokens_of(sign_in(client, root), scope=None)["scope"] == "read"


def test_the_scope_admin_ends_with_being_an_administrator(client, sign_in, root):
    make_client(root, scopes=["read", "admin"])
    given = tokens_of(sign_in(client, root), scope="read admin")
    assert tokens.has_scope(tokens.find_token(given["access_token"]), "admin")
    root.is_admin = False
    db.session.commit()
    assert not tokens.has_scope(tokens.find_token(given["access_token"]), "admin")
    assert refresh(client, given["refresh_token"]).json["scope"] == "read"


# Errors of the house


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"data": b"{}", "content_type": "application/json"}, 400),
        ({"data": b"--x", "content_type": "multipart/form-data"}, 400),
        ({"data": {"grant_type": "a\0b"}}, 400),
        ({"data": b"a" * 600_000, "content_type": "application/x-www-form-urlencoded"}, 413),
        ({"method": "GET"}, 405),
    ],
    ids=["json", "no boundary", "NUL", "too large", "GET"],
)
def test_errors_before_the_view_have_the_shape_of_the_rfc_too(client, sent, status):
    answer = client.open("/oauth/token", **({"method": "POST"} | sent))
    assert (answer.status_code, set(answer.json)) == (status, {"error", "error_description"})
    assert answer.json["error"] == "invalid_request"


def test_the_eleventh_token_request_in_a_minute_must_wait(client, app):
    for _ in range(10):
        assert ask(client, grant_type="client_credentials").status_code == 401
    answer = ask(client, grant_type="client_credentials")
    assert (answer.status_code, answer.json["error"]) == (429, "temporarily_unavailable")
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
