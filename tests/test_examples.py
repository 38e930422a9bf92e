"""The client and the examples of docs/, run as they stand against a real server, worker and trainer."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import requests

from tests.house import ROOT, environment, listening, running
from tests.oauth_flow import make_client
from tests.trained import COLOURS, as_bytes, make_images, make_photo

DOCS = ROOT / "docs"
EXAMPLES = DOCS / "examples"
CLIENT = DOCS / "client" / "pigeonhole.py"
RED, BLUE = (as_bytes(make_photo(COLOURS[name], seed=900 + len(name))) for name in ("red", "blue"))
needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="NO CURL: its examples were not run")
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="NO NODE: its example was not run")


def load_client():
    spec = importlib.util.spec_from_file_location("pigeonhole", CLIENT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["pigeonhole"] = module  # its annotations are looked up there
    spec.loader.exec_module(module)
    return module


pigeonhole = load_client()


# ---------- with a worker ----------


@pytest.fixture(scope="module")
def house(tmp_path_factory, prepared_backbones):
    """A running server, and alice's token in `house.token`."""
    folder = tmp_path_factory.mktemp("house")
    instance = folder / "instance"
    instance.mkdir()
    (instance / "backbones").symlink_to(prepared_backbones)
    manage(instance, "create-user", "alice")
    token = manage(instance, "token", "alice", "--scopes", "read write train predict").strip()
    with running(instance, folder / "server.log") as house:
        yield house.address, token


def manage(instance: Path, *words: str) -> str:
    """Run the command line on the instance and return what it prints."""
    variables = {**environment(instance), "PIGEONHOLE_PASSWORD": "correct horse battery"}
    command = [sys.executable, "server.py", *words]
    return subprocess.run(command, cwd=ROOT, env=variables, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder with photos of three colours, a zip of it, and two photos nobody has seen."""
    folder = tmp_path_factory.mktemp("photos")
    make_images(folder / "colours")
    (folder / "colours" / "red" / "broken.jpg").write_bytes(b"no photo")
    with zipfile.ZipFile(folder / "photos.zip", "w") as archive:
        for path in (folder / "colours").rglob("*.jpg"):
            archive.write(path, path.relative_to(folder / "colours"))
    (folder / "red.jpg").write_bytes(RED)
    (folder / "blue.jpg").write_bytes(BLUE)
    return folder


def run(command: list[str], house, **more) -> str:
    """Run an example and return what it prints; fail with its complaints."""
    address, token = house
    variables = {**os.environ, "PIGEONHOLE_URL": address, "PIGEONHOLE_TOKEN": token, **more}
    done = subprocess.run(command, env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def taught(house, photos):
    """What the example says that makes a dataset called Colours, fills and trains it; the client is in it."""
    script = [sys.executable, EXAMPLES / "upload_and_train.py", "Colours"]
    return run([*script, photos / "colours", photos / "blue.jpg"], house, PYTHONPATH=str(CLIENT.parent))


@pytest.fixture
def client_of(house):
    """The client, as alice."""
    return pigeonhole.Pigeonhole(*house)


@pytest.mark.trainer
def test_python_goes_from_a_folder_to_a_prediction(taught):
    assert "broken.jpg was not taken" in taught
    assert "Version 1 says blue" in taught


@pytest.mark.trainer
def test_the_client_gives_lists_page_by_page(taught, client_of):
    assert {item["labels"][0] for item in client_of.items("colours")} == set(COLOURS)
    assert len(list(client_of.items("colours", label="red", limit=3))) == 8
    assert [version["is_live"] for version in client_of.versions("colours")] == [True]


@pytest.mark.trainer
def test_the_client_adds_what_the_server_has_already_only_once(taught, client_of, photos):
    report = client_of.add_images("colours", photos / "colours")
    assert (len(report["added"]), len(report["skipped"]), len(report["refused"])) == (0, 24, 1)


@pytest.mark.trainer
def test_the_client_predicts_and_takes_feedback(taught, client_of, photos):
    assert client_of.predict("colours", photos / "red.jpg")["label"] == "red"
    answer = client_of.predict("colours", BLUE, version=1, top=1)
    assert [one["label"] for one in answer["probabilities"]] == ["blue"]
    assert client_of.feedback(answer, correct=True)["correct"] is True


@pytest.mark.trainer
def test_the_client_predicts_many_in_order_and_keeps_the_place_of_a_bad_one(taught, client_of, monkeypatch):
    monkeypatch.setattr(pigeonhole, "BATCH_FILES", 2)
    answers = list(client_of.predict_many("colours", [RED, b"no photo", BLUE, RED, b"no photo"]))
    assert [answer.get("label") for answer in answers] == ["red", None, "blue", "red", None]
    assert answers[1]["error"]["code"] == answers[4]["error"]["code"] == "not_an_image"


@pytest.mark.trainer
def test_the_client_saves_a_package(taught, client_of, tmp_path):
    saved = client_of.download("colours", 1, tmp_path / "package.zip")
    assert any(name.endswith("package.json") for name in zipfile.ZipFile(saved).namelist())


@pytest.mark.trainer
def test_the_client_imports_a_zip_from_disk(client_of, photos):
    slug = client_of.make_dataset("Zipped")["slug"]
    done = client_of.import_zip(slug, photos / "photos.zip", on_progress=lambda job: None)
    assert (done["state"], done["added"], done["refused"]) == ("finished", 24, 1)


def answers_in(text: str) -> list[dict]:
    """The JSON values that stand one after the other in a text."""
    decoder, found, rest = json.JSONDecoder(), [], text.strip()
    while rest:
        value, end = decoder.raw_decode(rest)
        found.append(value)
        rest = rest[end:].strip()
    return found


@needs_curl
@pytest.mark.trainer
def test_curl_predicts_in_every_way(taught, house, photos):
    printed = run(["sh", EXAMPLES / "predict.sh", "colours", photos / "red.jpg", photos / "blue.jpg"], house)
    one, many, bare, encoded, older = answers_in(printed)
    assert [answer["label"] for answer in many["predictions"]] == ["red", "blue"]
    assert one["label"] == bare["label"] == encoded["label"] == older["label"] == "red"
    assert len(older["probabilities"]) == 1


@needs_curl
@pytest.mark.trainer
def test_curl_uploads_and_trains(house, photos):
    sent = ["Sent by curl", photos / "red.jpg", "red", photos / "photos.zip"]
    assert "the import has finished" in run(["sh", EXAMPLES / "upload.sh", *sent], house)
    assert "has finished" in run(["sh", EXAMPLES / "train.sh", "sent-by-curl"], house)


@pytest.mark.trainer
def test_python_predicts_with_requests_alone(taught, house, photos):
    script = EXAMPLES / "predict.py"
    printed = run([sys.executable, script, "colours", photos / "red.jpg", photos / "blue.jpg"], house)
    assert printed.startswith("red ") and "blue.jpg blue" in printed


@needs_node
@pytest.mark.trainer
def test_node_predicts(taught, house, photos):
    script = EXAMPLES / "predict.mjs"
    printed = run(["node", script, "colours", photos / "red.jpg", photos / "blue.jpg"], house)
    assert printed.splitlines()[:2] == ["red", "blue"]


# ---------- without one ----------


@pytest.fixture
def address(app):
    """Where the application of this process listens."""
    with listening(app) as address:
        yield address


@needs_curl
def test_curl_signs_a_service_in(address, alice, dataset):
    make_client(alice, secret="pgs_secret", grants=["client_credentials"])
    variables = {"CLIENT_ID": "shop1", "CLIENT_SECRET": "pgs_secret"}
    listed, *_ = answers_in(run(["sh", EXAMPLES / "oauth_client.sh"], (address, ""), **variables))
    assert [one["slug"] for one in listed["items"]] == ["flowers"]


def test_a_program_signs_people_in(address, client, sign_in, alice, dataset):
    make_client(alice, secret=None, redirect_uris=["http://127.0.0.1/done"])
    variables = {**os.environ, "PIGEONHOLE_URL": address, "CLIENT_ID": "shop1", "BROWSER": "true %s"}
    script = [sys.executable, EXAMPLES / "oauth_for_people.py"]
    program = subprocess.Popen(script, env=variables, stdout=subprocess.PIPE, text=True)
    asked = re.search(r"/oauth/authorize\S+", program.stdout.readline() + program.stdout.readline()).group()
    answer = sign_in(client, alice).post(asked, data={"decision": "allow"})
    requests.get(answer.location, timeout=60)
    printed, _ = program.communicate(timeout=120)
    assert (program.returncode, printed.strip()) == (0, "flowers Flowers")


class Busy(BaseHTTPRequestHandler):
    """A server that is busy at first, and remembers what it was sent in `server.heard`."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.heard.append((self.headers["Idempotency-Key"], body))
        is_busy = len(self.server.heard) <= self.server.busy_times
        answer = {"error": {"code": "busy", "message": "Busy."}} if is_busy else {"state": "finished"}
        content = json.dumps(answer).encode()
        self.send_response(503 if is_busy else 202)
        self.send_header("Retry-After", "0")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *words):
        pass


@pytest.fixture
def busy():
    """`busy.heard` is what arrived; it answers from the second request on."""
    server = HTTPServer(("127.0.0.1", 0), Busy)
    server.heard, server.busy_times = [], 1
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


def test_the_client_sends_the_same_again_to_a_busy_server(busy, photos):
    client = pigeonhole.Pigeonhole(f"http://127.0.0.1:{busy.server_port}")
    done = client.import_zip("flowers", photos / "photos.zip", on_progress=lambda job: None)
    first, second = busy.heard
    assert done["state"] == "finished"
    assert first == second and first[0]


def test_the_client_gives_up_when_its_patience_ends(busy):
    busy.busy_times = 100
    client = pigeonhole.Pigeonhole(f"http://127.0.0.1:{busy.server_port}", patience_seconds=0)
    with pytest.raises(pigeonhole.PigeonholeError) as refused:
        client.make_dataset("Flowers")
    assert (refused.value.status, refused.value.code, len(busy.heard)) == (503, "busy", 1)


def test_what_is_refused_says_so_in_the_client(address, alice, dataset):
    nobody = pigeonhole.Pigeonhole(address, "pgh_wrong")
    with pytest.raises(pigeonhole.PigeonholeError) as refused:
        nobody.dataset("flowers")
    assert (refused.value.status, refused.value.code) == (401, "unauthorized")
    assert str(refused.value).startswith(refused.value.message)
