"""The calls that docs/oauth.md shows work as they stand there."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import pytest

from models import db
from tests.conftest import ROOT
from tests.house import listening
from tests.oauth_flow import SECRET, heard, make_client

PAGE = (ROOT / "docs" / "oauth.md").read_text(encoding="utf-8")
BACK = "http://127.0.0.1:8765/done"

pytestmark = pytest.mark.skipif(
    not (shutil.which("curl") and shutil.which("openssl") and shutil.which("bash")),
    reason="curl, openssl or bash is missing",
)


def block(words: str) -> str:
    """The shell block of the page that holds these words, without the lines a reader fills in."""
    (found,) = [text for text in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) if words in text]
    return re.sub(r"^(SERVER|CLIENT|CODE)=.*\n", "", found, flags=re.MULTILINE)


def run(script: str, **known: str) -> str:
    """What a shell says that knows these variables."""
    done = subprocess.run(["bash", "-ec", script], env=known, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def known(app, alice):
    """The variables of the page, with a server that answers."""
    make_client(alice, grants=["authorization_code", "refresh_token", "client_credentials"])
    make_client(alice, secret=None, public_id="laptop1", redirect_uris=[BACK])
    with listening(app) as server:
        yield {"SERVER": server, "CLIENT": "laptop1", "PATH": "/usr/bin:/bin"}


def test_the_calls_of_the_code_grant(client, sign_in, alice, known, dataset):
    shown, verifier = run(block("/oauth/authorize") + "echo $VERIFIER", **known).split()
    asked = client_path(shown, known["SERVER"])
    code = heard(sign_in(client, alice).post(asked, data={"decision": "allow"}))["code"]
    db.session.commit()
    answer = run(block("grant_type=authorization_code"), **known, VERIFIER=verifier, CODE=code, BACK=BACK)
    token = json.loads(answer)
    datasets = run(block("/api/v1/datasets"), **known, ACCESS_TOKEN=token["access_token"])
    assert [one["slug"] for one in json.loads(datasets)["items"]] == ["flowers"]
    again = run(block("grant_type=refresh_token"), **known, REFRESH_TOKEN=token["refresh_token"])
    assert json.loads(again)["scope"] == "read predict"


def client_path(shown: str, server: str) -> str:
    assert shown.startswith(server)
    return shown.removeprefix(server)


def test_the_calls_of_a_program_with_a_secret(known):
    known |= {"CLIENT": "shop1", "SECRET": SECRET}
    token = json.loads(run(block("grant_type=client_credentials"), **known))["access_token"]
    revoke, introspect = block("/oauth/revoke").splitlines()
    assert json.loads(run(introspect, **known, ACCESS_TOKEN=token))["active"]
    run(revoke, **known, ACCESS_TOKEN=token)
    assert json.loads(run(introspect, **known, ACCESS_TOKEN=token)) == {"active": False}
