"""What tests of the API share: somebody who asks it with a token of their own."""

from __future__ import annotations

import io

from models import db
from web import tokens

SCOPES = ("read", "write")


def make_bearer(user, *scopes: str) -> dict[str, str]:
    """The header of somebody with a token that may do `scopes`."""
    _, text = tokens.make_token(user, "test", list(scopes))
    db.session.commit()
    return {"Authorization": f"Bearer {text}"}


def asker(client, user, *scopes: str):
    """`ask(method, address, **more)` as `user`, with a token that may do `scopes` (read and write)."""
    bearer = make_bearer(user, *(scopes or SCOPES))

    def ask(method: str, address: str, **more):
        headers = {**bearer, **more.pop("headers", {})}
        path = address if address.startswith("/") else f"/api/v1/{address}"
        return client.open(path, method=method, headers=headers, **more)

    return ask


def file(content: bytes, name: str = "image.png") -> tuple[io.BytesIO, str]:
    """A file of a form."""
    return io.BytesIO(content), name


def named(routes) -> list[str]:
    """What routes, given as (method, address, body), are called."""
    return [f"{method} {address}" for method, address, _ in routes]


def statuses(ask, routes) -> dict[str, int]:
    """The status that each of these routes answers with, by its name."""
    answers = [ask(method, address, **more) for method, address, more in routes]
    return dict(zip(named(routes), [answer.status_code for answer in answers], strict=True))
