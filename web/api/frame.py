"""What every noun of the API stands on: flask-smorest, strict arguments, scopes, the house's errors."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import wraps
from typing import Any

import marshmallow
from flask import Flask, Response, abort, current_app, request
from flask_smorest import Api, Blueprint
from marshmallow import ValidationError, fields
from webargs.flaskparser import FlaskParser

from models import Token
from web.access import View
from web.api.shapes import OPENAPI_TYPES
from web.auth import authenticate_token
from web.errors import Refused
from web.inputs import read_json
from web.tokens import SCOPE_WORDS

TITLE, VERSION, OPENAPI_VERSION = "Pigeonhole", "1", "3.1.0"
DESCRIPTION = "Everything that the pages do, by script. Times are ISO 8601 in UTC."
IDEMPOTENCY_KEY = {
    "in": "header",
    "name": "Idempotency-Key",
    "description": "Any text of your own: the same key with the same request is carried out once.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}


class ErrorFields(marshmallow.Schema):
    """What is wrong, for a program and for a person."""

    code = fields.Str(required=True)
    message = fields.Str(required=True, metadata={"description": "A sentence for a person."})
    field = fields.Str(metadata={"description": "The field it is about."})
    file = fields.Str(metadata={"description": "The sent file it is about."})


class ErrorBody(marshmallow.Schema):
    """The one shape of every error."""

    error = fields.Nested(ErrorFields, required=True)


class _Frame(Api):
    """flask-smorest, but web/errors.py alone answers errors, and the OpenAPI is made when it is asked for."""

    ERROR_SCHEMA = ErrorBody

    def __init__(self, app: Flask, **options: Any):
        self._untold: list[Noun] = []
        self._turn = threading.Lock()
        super().__init__(app, **options)

    def register_blueprint(self, noun: Noun, **options: Any) -> None:
        """Register the routes of a noun, to be described later: that takes half as long as all the rest."""
        self._app.extensions["flask-smorest"]["blp_name_to_api"][noun.name] = self
        self._app.register_blueprint(noun, **options)
        self._untold.append(noun)

    def describe(self) -> dict[str, Any]:
        """Return the OpenAPI document, made the first time."""
        with self._turn:
            while self._untold:
                noun = self._untold.pop(0)
                noun.register_views_in_doc(self, self._app, self.spec, name=noun.name, parameters=None)
                self.spec.tag({"name": noun.name, "description": noun.description})
            return self.spec.to_dict()

    def _register_error_handlers(self) -> None:
        """Leave errors to the house."""


class _Arguments(FlaskParser):
    """Reads arguments through web/inputs.py, and refuses unknown ones wherever they stand."""

    DEFAULT_UNKNOWN_BY_LOCATION = {**FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION, "query": marshmallow.RAISE}

    def _raw_load_json(self, req: Any) -> Any:
        return read_json() if req.get_data(cache=True) else {}

    def handle_error(self, error: ValidationError, req: Any, schema: Any, **options: Any) -> None:
        ((where, messages),) = error.messages.items()
        field, sentence = _first(messages)
        if sentence == schema.error_messages["unknown"]:
            names = sorted(_sent_name(key, one) for key, one in schema.fields.items())
            abort(400, f"Unknown field {field[:100]!r}. Known are: {', '.join(names)}.")
        status = 400 if where == "query" else 422
        raise Refused(f"{field}: {sentence}" if field else sentence, field[:100] or None, status=status)


def _sent_name(key: str, field: fields.Field) -> str:
    return field.data_key or key


def _first(messages: Any, path: tuple[str, ...] = ()) -> tuple[str, str]:
    """Return the first field that is wrong, as `a.0.b`, and what is wrong with it."""
    if isinstance(messages, dict):
        key, inner = next(iter(messages.items()))
        return _first(inner, path if key == "_schema" else (*path, str(key)))
    return ".".join(path), str(messages[0] if isinstance(messages, list) else messages)


class Noun(Blueprint):
    """The routes of one noun."""

    ARGUMENTS_PARSER = _Arguments()

    def __init__(self, name: str, description: str):
        super().__init__(f"api_{name}", __name__, url_prefix="/api/v1", description=description)
        self._prepare_doc_cbks.append(self._tell_needs)

    def _tell_needs(self, doc: dict, info: dict, *, method: str, **facts: Any) -> dict:
        """Write into the OpenAPI which scope an operation needs, and that a write may carry a key."""
        needs = info["needs"]
        ways = [{"token": []}, {"oauth2": [needs["scope"]]}]
        doc["security"] = [*ways, {}] if needs["is_optional"] else ways
        doc["operationId"] = needs["name"]
        if method != "get" and needs["scope"] != "predict":
            doc.setdefault("parameters", []).append(IDEMPOTENCY_KEY)
        return doc


def needs(scope: str, unless: Callable[..., bool] | None = None) -> Callable[[View], View]:
    """Let a view of the API be called only with a token that has `scope`; put it under the route's line.

    Query parameters that the view does not name in its `arguments` are refused with 400.

    Args:
        scope: one of SCOPES.
        unless: asked with the values of the address; where it says True no token is needed.
    """

    def decorate(view: View) -> View:
        documented = getattr(view, "_apidoc", {})
        has_query = any(one["in"] == "query" for one in documented.get("arguments", {}).get("parameters", []))

        @wraps(view)
        def guarded(*args: Any, **where: Any) -> Any:
            if not (unless and unless(**where)):
                token = authenticate_token(scope)
                if not isinstance(token, Token):
                    return token
            if request.args and not has_query:
                abort(400, f"Unknown parameter {min(request.args)[:100]!r}. This address takes none.")
            return view(*args, **where)

        guarded.scope, guarded.wants_token = scope, unless is None
        name = f"{view.__module__.rpartition('.')[2]}_{view.__name__}"
        guarded._apidoc = {**documented, "needs": {"scope": scope, "is_optional": bool(unless), "name": name}}
        return guarded

    return decorate


def register(app: Flask, nouns: tuple[Noun, ...]) -> None:
    """Give `app` the nouns of the API, and what makes the OpenAPI from them."""
    app.config.update(API_TITLE=TITLE, API_VERSION=VERSION, OPENAPI_VERSION=OPENAPI_VERSION)
    frame = _Frame(app, spec_kwargs={"info": {"description": DESCRIPTION}})
    for name, scheme in security_schemes().items():
        frame.spec.components.security_scheme(name, scheme)
    for kind, name in OPENAPI_TYPES.items():
        frame.register_field(kind, name, None)
    for noun in nouns:
        frame.register_blueprint(noun)


def security_schemes() -> dict[str, dict]:
    """Return the ways to sign in, as OpenAPI says them."""
    flows = {
        "authorizationCode": {
            "authorizationUrl": "/oauth/authorize",
            "tokenUrl": "/oauth/token",
            "refreshUrl": "/oauth/token",
            "scopes": SCOPE_WORDS,
        },
        "clientCredentials": {"tokenUrl": "/oauth/token", "scopes": SCOPE_WORDS},
    }
    return {
        "token": {"type": "http", "scheme": "bearer", "description": "A personal token: pgh_…"},
        "oauth2": {"type": "oauth2", "flows": flows},
    }


def openapi() -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of the application at work."""
    return current_app.extensions["flask-smorest"]["apis"][""]["ext_obj"].describe()


def answer_nothing() -> Response:
    """Answer 204: done, and there is nothing to say."""
    return Response(status=204)
