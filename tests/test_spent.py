"""What programs can use no more is swept, and nothing else."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from jobs import leftovers
from models import AuthorizationCode, Consent, RefreshToken, Token, db, now
from tests.oauth_flow import make_client
from web import tokens
from web.oauth import issuing

OLD = now() - timedelta(days=2)
TABLES = (AuthorizationCode, RefreshToken, Token, Consent)


@pytest.fixture
def given(alice, bob):
    """A code, a refresh token and an access token of one consent, and a personal token."""
    client = make_client(alice)
    issuing.give_code(client, bob, "code", ["read"], "https://shop.example/done", "x" * 43)
    consent = db.session.scalar(select(Consent))
    issuing.give_refresh_token("refresh", consent, ["read"])
    issuing.give_access_token("access", bob, client, ["read"], consent)
    tokens.make_token(bob, "camera", ["read"], OLD)
    db.session.commit()
    return consent


def counts() -> list[int]:
    return [db.session.scalar(select(func.count()).select_from(table)) for table in TABLES]


def age(*tables) -> None:
    for table in tables:
        for row in db.session.scalars(select(table)):
            row.expires_at = OLD


def test_what_lives_is_kept(given):
    leftovers.sweep()
    assert counts() == [1, 1, 2, 1]


def test_what_is_past_its_time_goes_and_personal_tokens_stay(given):
    age(AuthorizationCode, RefreshToken, Token)
    given.created_at = OLD
    leftovers.sweep()
    assert counts() == [0, 0, 1, 0]
    assert db.session.scalar(select(Token)).name == "camera"


def test_a_consent_stays_while_something_hangs_on_it(given):
    age(AuthorizationCode, Token)
    given.created_at = OLD
    leftovers.sweep()
    assert counts() == [0, 1, 1, 1]


def test_a_used_refresh_token_stays_so_that_a_second_use_is_noticed(given):
    issuing.use_up(db.session.scalar(select(RefreshToken)))
    leftovers.sweep()
    assert counts()[1] == 1
