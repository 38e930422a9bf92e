"""The OpenAPI that the code makes of itself."""

from __future__ import annotations

import pytest
from flask_smorest.spec.plugins import FlaskPlugin
from openapi_spec_validator import validate

from models import SCOPES
from tests.asking import asker
from web.api import frame


@pytest.fixture
def document(app):
    return frame.openapi()


def operations(document):
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if method != "parameters":
                yield method, path, operation


def test_the_document_is_valid_openapi_3_1(document):
    validate(document)
    assert document["openapi"].startswith("3.1")


def test_every_route_of_the_api_stands_in_it(app, document):
    described = {(method.upper(), path) for method, path, _ in operations(document)}
    for rule in app.url_map.iter_rules():
        if rule.endpoint.startswith("api_"):
            path = FlaskPlugin.flaskpath2openapi(rule.rule)
            assert {(method, path) for method in rule.methods - {"HEAD", "OPTIONS"}} <= described


def test_every_operation_has_its_own_name_its_scope_and_a_sentence(document):
    found = list(operations(document))
    assert len({operation["operationId"] for _, _, operation in found}) == len(found)
    for _, path, operation in found:
        scopes = [scope for way in operation["security"] for scope in way.get("oauth2", [])]
        assert len(scopes) == 1 and set(scopes) <= set(SCOPES), path
        assert operation["summary"], path


def test_every_scope_is_explained(document):
    flows = document["components"]["securitySchemes"]["oauth2"]["flows"]
    assert all(set(flow["scopes"]) == set(SCOPES) for flow in flows.values())


def test_writes_tell_of_the_idempotency_key_and_reads_do_not(document):
    for method, path, operation in operations(document):
        names = [parameter.get("name") for parameter in operation.get("parameters", [])]
        is_asking = {"oauth2": ["predict"]} in operation["security"]
        is_write = method != "get" and not is_asking
        assert ("Idempotency-Key" in names) == is_write, path


def test_a_number_in_json_is_no_text(client, alice, dataset):
    ask = asker(client, alice)
    answer = ask("PATCH", "datasets/flowers", json={"prediction_days": "12"})
    assert (answer.status_code, answer.json["error"]["field"]) == (422, "prediction_days")
