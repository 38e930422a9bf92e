"""What the API tells of itself: its document, the page to read it on, the Postman collection."""

from __future__ import annotations

import ast
import json
import re
import shlex
import shutil
import subprocess

import html5lib
import pytest
from openapi_spec_validator import validate

from web.api import frame
from web.reference import snippets
from web.reference.examples import example
from web.reference.fields import kind_of, shapes_of
from web.reference.operations import METHODS, list_nouns
from web.reference.parts import Parts
from web.reference.snippets import Call

PAGE, OPENAPI, POSTMAN = "/api/docs", "/api/v1/openapi.json", "/api/v1/postman.json"


@pytest.fixture
def document(client):
    return client.get(OPENAPI).json


@pytest.fixture
def operations(app):
    with app.test_request_context():
        return [one for noun in list_nouns() for one in noun.operations]


def addresses(document) -> set[tuple[str, str]]:
    """Every (method, path) that an OpenAPI document describes."""
    return {
        (method.upper(), path)
        for path, methods in document["paths"].items()
        for method in methods
        if method in METHODS
    }


def test_the_document_names_this_server_and_is_valid(document):
    validate(document)
    assert document["servers"] == [{"url": "http://localhost"}]


def test_the_document_holds_all_that_the_code_describes(app, document):
    assert addresses(document) == addresses(frame.openapi())


def test_nouns_go_by_their_plain_names(document):
    names = {tag["name"] for tag in document["tags"]}
    assert not any(name.startswith("api_") for name in names)
    assert {name for methods in document["paths"].values() for name in _tags(methods)} <= names


def _tags(methods) -> list[str]:
    return [name for told in methods.values() if isinstance(told, dict) for name in told["tags"]]


@pytest.mark.parametrize("address", [OPENAPI, POSTMAN])
def test_who_has_it_already_is_told_so(client, address):
    first = client.get(address)
    again = client.get(address, headers={"If-None-Match": first.headers["ETag"]})
    assert (first.status_code, again.status_code, again.data) == (200, 304, b"")


def test_another_address_of_the_same_server_is_not_mixed_up(client):
    assert client.get(OPENAPI).json["servers"][0]["url"] == "http://localhost"
    other = client.get(OPENAPI, base_url="http://pigeons.example").json
    assert other["servers"][0]["url"] == "http://pigeons.example"


def test_the_page_shows_every_operation_to_strangers_too(client, operations):
    page = client.get(PAGE).text
    assert all(f'id="{one.name}"' in page and one.path in page for one in operations)


def test_the_page_is_sound_html_with_one_heading_and_nothing_inline(client):
    page = client.get(PAGE).text
    html5lib.HTMLParser(strict=True).parse(page)
    assert page.count("<h1") == 1
    assert "<script>" not in page and not re.search(r"\son\w+=", page)


def test_the_page_has_each_id_once(client):
    ids = re.findall(r'\sid="([^"]+)"', client.get(PAGE).text)
    assert len(ids) == len(set(ids))


def test_the_page_knows_who_is_signed_in(client, sign_in, alice):
    assert "Sign in to make a token" in client.get(PAGE).text
    assert "Sign in to make a token" not in sign_in(client, alice).get(PAGE).text


def test_every_file_that_the_page_links_is_there_and_no_other(client):
    found = set(re.findall(r'href="(/api/docs/[^"]+)"', client.get(PAGE).text))
    assert "/api/docs/client/pigeonhole.py" in found
    assert {client.get(address).status_code for address in found} == {200}
    assert client.get("/api/docs/architecture.md").status_code == 404
    assert client.get("/api/docs/../config.py").status_code == 404


def words_of(command: str) -> list[str]:
    """The words of a command as the shell reads it."""
    return shlex.split(command.replace("\\\n", ""))


def test_every_call_is_a_command_and_python_that_can_be_read(operations):
    for one in operations:
        texts = {snippet.key: snippet.text for snippet in one.snippets}
        words = words_of(texts["curl"])
        assert words[0] == "curl" and words[-1].startswith("http://localhost/api/v1/"), one.name
        assert "{" not in words[-1], one.name
        ast.parse(texts["python"])


@pytest.mark.skipif(shutil.which("node") is None, reason="NO NODE: JavaScript is not checked")
def test_every_call_is_javascript_that_can_be_read(operations, tmp_path):
    calls = [{snippet.key: snippet.text for snippet in one.snippets}["javascript"] for one in operations]
    script = tmp_path / "calls.mjs"
    script.write_text(
        "\n".join(
            f"async function call{place}(token, file) {{\n{text}\n}}" for place, text in enumerate(calls)
        )
    )
    checked = subprocess.run(["node", "--check", script], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr


def test_a_quote_in_a_value_stays_inside_the_command():
    command = snippets.as_curl(Call("POST", "http://localhost/", json={"name": "it's; rm -rf /"}))
    assert words_of(command)[-2] == '{"name": "it\'s; rm -rf /"}'


def test_a_body_is_what_is_required_and_an_answer_is_whole():
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "is_live": {"type": "boolean"}},
        "required": ["name"],
    }
    assert example(Parts({}), schema, is_whole=False) == {"name": "Flowers"}
    assert example(Parts({}), schema) == {"name": "Flowers", "is_live": True}


def test_references_choices_and_lists_are_put_into_words():
    parts = Parts({"components": {"schemas": {"Label": {"properties": {"name": {"type": "string"}}}}}})
    label = {"$ref": "#/components/schemas/Label"}
    schema = {"properties": {"labels": {"type": "array", "items": label}, "kind": {"enum": ["a", "b"]}}}
    (shape,) = shapes_of(parts, schema)
    names = {field.name: field for field in shape.fields}
    assert list(names) == ["labels", "labels[].name", "kind"]
    assert names["kind"].choices == ("a", "b")
    assert kind_of(parts, {"type": "integer", "minimum": 1, "maximum": 500}) == "whole number, 1 to 500"
    assert kind_of(parts, {"type": ["integer", "null"]}) == "whole number or null"


def test_each_of_several_shapes_says_what_sets_it_apart():
    one = {"properties": {"kind": {"enum": ["a"]}, "size": {"type": "integer"}}}
    other = {"properties": {"images": {"type": "array"}}, "required": ["images"]}
    shapes = shapes_of(Parts({}), {"oneOf": [one, other]})
    assert [shape.title for shape in shapes] == ["`kind`: `a`", "with `images`"]


# ---------- Postman ----------


def requests_of(collection):
    return [item["request"] for folder in collection["item"] for item in folder["item"]]


def test_the_collection_has_every_operation(client, document):
    found = set()
    for request in requests_of(client.get(POSTMAN).json):
        path = "/".join(
            f"{{{part[1:]}}}" if part.startswith(":") else part for part in request["url"]["path"]
        )
        found.add((request["method"], f"/{path}"))
    assert found == addresses(document)


def test_the_collection_has_the_shape_of_version_2_1(client):
    collection = client.get(POSTMAN).json
    assert collection["info"]["schema"].endswith("/v2.1.0/collection.json") and collection["info"]["name"]
    assert [one["key"] for one in collection["variable"]] == ["baseUrl", "token"]
    assert collection["auth"]["bearer"][0]["value"] == "{{token}}"
    for folder in collection["item"]:
        assert folder["name"] and all(item["name"] and item["response"] == [] for item in folder["item"])
    for request in requests_of(collection):
        check_request(request)


def check_request(request) -> None:
    """Fail where a request is not what the schema of Postman's collections says."""
    url = request["url"]
    assert url["raw"].startswith("{{baseUrl}}/api/v1/") and url["host"] == ["{{baseUrl}}"]
    assert {part[1:] for part in url["path"] if part.startswith(":")} == {
        one["key"] for one in url["variable"]
    }
    entries = [*url["query"], *url["variable"], *request["header"]]
    assert all(isinstance(one["key"], str) and isinstance(one["value"], str) for one in entries)
    body = request.get("body", {"mode": "raw", "raw": "{}"})
    assert set(body) - {"options"} == {"mode", body["mode"]}
    if body["mode"] == "raw":
        json.loads(body["raw"])
    if body["mode"] == "formdata":
        assert {part["type"] for part in body["formdata"]} <= {"file", "text"}
        assert all(("src" in part) == (part["type"] == "file") for part in body["formdata"])


def test_the_collection_asks_this_server(client):
    variables = {one["key"]: one["value"] for one in client.get(POSTMAN).json["variable"]}
    assert variables["baseUrl"] == "http://localhost"
