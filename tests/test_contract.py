"""A server of several processes keeps the contract that its own OpenAPI states.

PIGEONHOLE_CONTRACT_SECONDS=600 lets Schemathesis think of calls for ten minutes; without it, for as long as
the suite can afford.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

import config
import server
from jobs import database
from models import SCOPES, Dataset, Member, Prediction, User, db
from tests import house
from tests.teaching import start, teach
from web import tokens
from web.api import frame

pytestmark = pytest.mark.trainer
SECONDS = os.environ.get("PIGEONHOLE_CONTRACT_SECONDS", "20")
RATES = ("REQUEST_RATE", "UPLOAD_RATE", "PREDICT_RATE_TOKEN", "PREDICT_RATE_ANONYMOUS", "TOKEN_RATE")
PLENTY = "1000000"  # requests a minute
FAR_AWAY = 987_654_321  # an id that nobody guesses: what the calls need is not deleted by one of them
NOBODY = 123_456_789
CHECKS = (
    *("not_a_server_error", "status_code_conformance", "content_type_conformance"),
    *("response_headers_conformance", "response_schema_conformance", "negative_data_rejection"),
    *("unsupported_method", "allow_header_conformance", "use_after_free", "ignored_auth"),
)


@dataclass(frozen=True)
class Furnished:
    """A server with a dataset that can predict, a token that may do everything, and what the OpenAPI says."""

    address: str
    token: str
    document: dict

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


@pytest.fixture(scope="module")
def furnished(tmp_path_factory, trained):
    folder = tmp_path_factory.mktemp("contract")
    app = server.create_app(config.load(folder / "instance"))
    database.prepare(app)
    with app.app_context():
        token, document = _furnish(app, trained), frame.openapi()
        db.session.remove()
        db.engine.dispose()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PIGEONHOLE_WEB_PROCESSES", "2")
        for rate in RATES:
            environment.setenv(f"PIGEONHOLE_{rate}", PLENTY)
        with house.running(folder / "instance", folder / "log.txt", "--no-worker") as home:
            yield Furnished(home.address, token, document)


def _furnish(app, trained) -> str:
    root = User(id=FAR_AWAY, name="root", password_hash="none", is_admin=True)
    dataset = Dataset(slug="flowers", name="Flowers", members=[Member(user=root, role="owner")])
    db.session.add_all([root, dataset, User(id=1, name="bob", password_hash="none")])
    db.session.commit()
    teach(dataset, count=2)
    version = trained.install(app, dataset)
    start(dataset)
    answer = {"prediction": "pr_known", "label": "red", "labels": ["red"], "probabilities": []}
    db.session.add(Prediction(public_id="pr_known", dataset=dataset, version=version, answer=answer))
    token, text = tokens.make_token(root, "fuzzer", list(SCOPES))
    token.id = FAR_AWAY
    db.session.commit()
    return text


def _tell_what_exists(path: Path, document: dict) -> None:
    """Write Schemathesis's settings: with names that exist its calls get further than 404.

    What they name is not to be deleted by one of them; its stateful tests delete what they made themselves.
    In a form everything is text, so that no wrong type could be told from a right one.
    """
    ids = ("number", "run_id", "item_id", "label_id", "user_id")
    known = {"slug": "flowers", "prediction_id": "pr_known", **dict.fromkeys(ids, 1)}
    lines = [f'"path.{name}" = {json.dumps(value)}' for name, value in known.items()]
    spared = [
        f'[[operations]]\ninclude-name = "DELETE {route}"\nparameters = {{ "path.{last}" = {NOBODY} }}\n'
        for route, methods in document["paths"].items()
        if "delete" in methods and (last := route.rpartition("{")[2].rstrip("}")) in known
    ]
    forms = [
        f'[[operations]]\ninclude-name = "POST {route}"\nchecks.negative_data_rejection.enabled = false\n'
        for route, methods in document["paths"].items()
        if "multipart/form-data" in methods.get("post", {}).get("requestBody", {}).get("content", {})
    ]
    path.write_text("\n".join(["[parameters]", *lines, "", *spared, *forms]))


def test_no_call_breaks_the_server_or_leaves_the_schema(furnished, tmp_path):
    _tell_what_exists(tmp_path / "schemathesis.toml", furnished.document)
    (tmp_path / "openapi.json").write_text(json.dumps(furnished.document))
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", "schemathesis.toml", "run"]
    signed_in = ["-H", f"Authorization: {furnished.bearer['Authorization']}"]
    wishes = ["--url", furnished.address, *signed_in, "--checks", ",".join(CHECKS)]
    limits = ["--max-time", SECONDS, "--continue-on-failure", "--generation-database", "none", "--no-color"]
    found = subprocess.run(
        [*command, "openapi.json", *wishes, *limits], cwd=tmp_path, capture_output=True, text=True
    )
    assert found.returncode == 0, found.stdout[-20_000:]


def test_a_revoked_token_stops_working_at_once_in_every_process(furnished):
    wish = {"name": "short-lived", "scopes": ["read"]}
    made = requests.post(f"{furnished.address}/api/v1/tokens", json=wish, headers=furnished.bearer).json()
    short_lived = {"Authorization": f"Bearer {made['token']}"}
    assert _statuses(furnished.address, short_lived) == {200}
    gone = requests.delete(f"{furnished.address}/api/v1/tokens/{made['id']}", headers=furnished.bearer)
    assert gone.status_code == 204
    assert _statuses(furnished.address, short_lived) == {401}


def _statuses(address: str, headers: dict[str, str]) -> set[int]:
    """Ask forty times over new connections, so that each of the processes answers some."""
    route = f"{address}/api/v1/datasets/flowers/runs"
    return {requests.get(route, headers=headers).status_code for _ in range(40)}
