"""An application with everybody and one of everything in it, put back as it was after every change."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bokeh
from flask import Flask
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

import config
import server
from datasets import datasets, editing, reviews, storage
from jobs import batches, challenges, imports, previews, training
from models import (
    SCOPES,
    Client,
    Dataset,
    Item,
    Label,
    Member,
    Prediction,
    User,
    Webhook,
    WebhookDelivery,
    db,
)
from serving import results
from tests.photos import COLOURS, photo
from tests.teaching import ANSWER, finish, start, teach
from web import invitations, tokens

ROLES = {"viewer": "viewer", "editor": "editor", "owner": "owner"}
PEOPLE = ("stranger", "viewer", "editor", "owner", "administrator")
CHANGES = ("POST", "PUT", "PATCH", "DELETE")
RATES = ("REQUEST_RATE", "UPLOAD_RATE", "PREDICT_RATE_ANONYMOUS", "PREDICT_RATE_TOKEN", "LOGIN_RATE")


@dataclass
class Furnished:
    """The application; what stands in addresses, by name; each person's session cookie and tokens.

    `bearers` are by person and scope, "" for a token with every scope that the person may give.
    """

    app: Flask
    values: dict[str, Any]
    cookies: dict[str, str]
    bearers: dict[tuple[str, str], str]
    kept: Any  # the database as it was, in memory

    def address(self, rule: Rule, **values: Any) -> str:
        """The address of a route, with something that is there for everything it names."""
        known = self.values | values
        named = {name: known[name] for name in rule.arguments}
        return self.app.url_map.bind("localhost").build(rule.endpoint, named)

    def ask(self, person: str, method: str, address: str, **more: Any) -> TestResponse:
        """Ask as a person with a session; `nobody` has none."""
        return self.send(method, address, {"Cookie": self.cookies.get(person, "")}, **more)

    def call(self, person: str, method: str, address: str, scope: str = "", **more: Any) -> TestResponse:
        """Ask as a person's token; `nobody` has none."""
        bearer = self.bearers.get((person, scope))
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        return self.send(method, address, headers, **more)

    def send(self, method: str, address: str, headers: dict[str, str], **more: Any) -> TestResponse:
        """Send a request, and take back what it has changed."""
        client = self.app.test_client(use_cookies=False)
        answer = client.open(address, method=method, headers=headers, **more)
        if method in CHANGES and answer.status_code not in (401, 403, 404):
            self.put_back()
        return answer

    def put_back(self) -> None:
        """Let the database be as it was in the beginning."""
        with self.app.app_context():
            connection = db.engine.raw_connection()
            self.kept.backup(connection.driver_connection)
            connection.close()

    def keep(self) -> None:
        """Take the database as it is now for the beginning."""
        with self.app.app_context():
            connection = db.engine.raw_connection()
            self.kept = db.engine.dialect.dbapi.connect(":memory:")
            connection.driver_connection.backup(self.kept)
            connection.close()


def furnish(instance: Path) -> Furnished:
    """Make the application in a new instance folder."""
    settings = config.load(instance)
    settings.values.update(dict.fromkeys(RATES, 1_000_000), SCOREFILE_DATASET="flowers")
    app = server.create_app(settings)
    app.testing = True
    app.config["WTF_CSRF_ENABLED"] = False  # who may is asked here, not from where
    with app.app_context():
        db.create_all()
        people = _people()
        values = _things(people)
        bearers = {key: text for person in PEOPLE for key, text in _bearers(person, people[person])}
        db.session.commit()
        cookies = {person: _cookie(app, people[person]) for person in PEOPLE}
        db.session.remove()
    furnished = Furnished(app, values, cookies, bearers, None)
    furnished.keep()
    return furnished


def _people() -> dict[str, User]:
    people = {name: User(name=name, password_hash="none") for name in (*PEOPLE, "guest")}
    people["administrator"].is_admin = True
    db.session.add_all(people.values())
    db.session.flush()
    return people


def _bearers(person: str, user: User) -> list[tuple[tuple[str, str], str]]:
    may = [scope for scope in SCOPES if scope != "admin" or user.is_admin]
    kinds = {"": may} | {scope: [scope] for scope in may}
    return [((person, kind), tokens.make_token(user, "t", scopes)[1]) for kind, scopes in kinds.items()]


def _cookie(app: Flask, user: User) -> str:
    """What a browser sends in which the user is signed in."""
    content = {
        "_user_id": user.get_id(),
        "_fresh": True,
        "_permanent": True,
        "signed_in_at": int(time.time()),
    }
    sealed = app.session_interface.get_signing_serializer(app).dumps(content)
    return f"{app.config['SESSION_COOKIE_NAME']}={sealed}"


def _things(people: dict[str, User]) -> dict[str, Any]:
    """One of everything, all of it of the owner's dataset; return what addresses call it."""
    owner = people["owner"]
    dataset = datasets.create("Flowers", owner)
    roles = ROLES | {"guest": "viewer"}
    db.session.add_all(
        Member(dataset=dataset, user=people[name], role=role)
        for name, role in roles.items()
        if name != "owner"
    )
    teach(dataset, 2)
    finish(start(dataset), ("litert", "keras"))
    version = finish(start(dataset))
    item = db.session.scalars(db.select(Item)).first()
    change = editing.relabel([item], "red", owner)
    reviews.leave(item, owner)
    import_ = imports.start_import(dataset, owner, "digits", "Sample digits")
    prediction = add_prediction(dataset, owner)
    challenges.start(dataset, training.find_version(dataset, 1), owner)
    db.session.flush()
    return {
        "slug": dataset.slug,
        "dataset_id": dataset.id,
        "administrator_id": people["administrator"].id,
        "number": version.number,
        "run_id": version.run_id,
        "name": version.run.folder,
        "which": "loss",
        "item_id": item.id,
        "label_id": db.session.scalar(db.select(Label.id).filter_by(name="red")),
        "other_label_id": db.session.scalar(db.select(Label.id).filter_by(name="blue")),
        "change_id": change.id,
        "import_id": import_.id,
        "job_id": import_.job_id,
        "key": _samples(dataset, owner),
        "filename": prediction.filename,
        "prediction_id": prediction.public_id,
        "user_id": people["guest"].id,
        "batch_id": _batch(dataset, owner),
        "form": "csv",
        "queue": "wrong",
        **_things_of_programs(dataset, owner),
    }


def add_prediction(dataset: Dataset, user: User) -> Prediction:
    """What version 1 said of an image that the user sent: “blue”."""
    content = photo(COLOURS["blue"], 99)
    storage.put("sent.jpg", content)
    version = training.find_version(dataset, 1)
    made = Prediction(public_id="pr_1", dataset=dataset, version=version, user_id=user.id, answer=ANSWER)
    made.filename = "sent.jpg"
    db.session.add(made)
    return made


def _batch(dataset: Dataset, owner: User) -> int:
    batch = batches.start_batch(training.find_version(dataset, 1), owner, "photos.zip", Path("photos.zip"))
    with results.go_on(batches.folder_of(batch), 1, "Flowers", 1, ["blue", "red"]):
        pass  # no answer yet
    return batch.id


def _samples(dataset: Dataset, owner: User) -> str:
    key = previews.request(dataset, owner, {"flip": "none"}, previews.choose(dataset))
    (previews.folder_of(dataset.id, key) / previews.PICTURE).write_bytes(b"a picture")
    return key


def _things_of_programs(dataset: Dataset, owner: User) -> dict[str, Any]:
    """Tokens, clients, webhooks and invitations."""
    token, _ = tokens.make_token(owner, "camera", ["predict"])
    client = Client(public_id="client_1", user=owner, name="A program", grants=["client_credentials"])
    client.scopes = ["predict"]
    webhook = Webhook(dataset=dataset, user=owner, address="https://127.0.0.1/", secret="whsec_", events=[])
    delivery = WebhookDelivery(webhook=webhook, public_id="msg_1", event="run.finished", body="{}")
    delivery.state = "failed"
    db.session.add_all([client, webhook, delivery])
    link = invitations.invite("dora")
    db.session.flush()
    return {
        "token_id": token.id,
        "client_id": client.id,
        "public_id": client.public_id,
        "webhook_id": webhook.id,
        "delivery_id": delivery.id,
        "invitation_id": invitations.list_open()[0].id,
        "token": link.rpartition("/")[2],
        "version": bokeh.__version__,
    }
