"""The command line of the web side: results to standard output, 0 done, 1 a sentence, 2 wrong usage."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
import zipfile
from pathlib import Path

import pytest
import requests

import config
import server
from jobs import leftovers, runs
from models import Item, Token, User, db
from tests.house import environment, running, wait_until
from tests.photos import photo, write_zip

ROOT = Path(__file__).parents[1]


@pytest.fixture
def instance(tmp_path, monkeypatch):
    """An instance folder that the commands find by its variable."""
    monkeypatch.setenv("PIGEONHOLE_INSTANCE", str(tmp_path / "instance"))
    monkeypatch.setenv("PIGEONHOLE_PASSWORD", "correct horse battery")
    config.current.cache_clear()
    yield tmp_path / "instance"
    config.current.cache_clear()


@pytest.fixture
def call(instance, monkeypatch, capsys):
    """What calls a command in this process and returns (exit status, standard output, standard error)."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["server.py", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            server.main()
        out, err = capsys.readouterr()
        status = ended.value.code
        return (1, out, status) if isinstance(status, str) else (status or 0, out, err)

    yield call
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def rows(instance):
    """What asks the instance's database something after a command."""

    def rows(read):
        with server.create_app().app_context():
            return read()

    return rows


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("oracle+oracledb://somebody:secret@there/x", "oracledb is not installed. Do that with: pip install"),
        ("postgres://somebody:secret@there/x", "write postgresql://user@host/name"),
        ("somewhere with secret", "write postgresql://user@host/name"),
    ],
)
def test_a_database_that_cannot_be_used_is_told_by_its_setting(call, monkeypatch, address, said):
    monkeypatch.setenv("PIGEONHOLE_DATABASE_URL", address)
    status, _, err = call("create-user", "root")
    assert status == 1
    assert err.startswith("Error: DATABASE_URL") and said in err
    assert "secret" not in err


def test_a_user_is_made_once(call, rows):
    assert call("create-user", "root", "--admin")[:2] == (0, "Made the user root.\n")
    assert rows(lambda: db.session.query(User).one().is_admin)
    status, out, err = call("create-user", "Root")
    assert (status, out) == (1, "")
    assert "already" in err


@pytest.mark.parametrize("name", ["", " ", "ada lovelace", "a" * 61, "ada\u202e", "ada;drop"])
def test_a_name_that_the_pages_would_refuse_is_refused_here_too(call, instance, name):
    status, out, err = call("create-user", "--", name)
    assert (status, out) == (1, "")
    assert "1 to 60 characters" in err
    assert not instance.exists()


def test_a_short_password_is_refused_with_a_sentence(call, rows, monkeypatch):
    monkeypatch.setenv("PIGEONHOLE_PASSWORD", "short")
    status, _, err = call("create-user", "root")
    assert status == 1
    assert "10 to 200" in err
    assert rows(lambda: db.session.query(User).count()) == 0


def test_a_token_is_printed_and_nothing_else(call, rows):
    call("create-user", "bob")
    status, out, err = call("token", "bob", "--scopes", "read predict")
    assert (status, err) == (0, "")
    assert out.startswith("pgh_")
    assert len(out.split()) == 1
    assert rows(lambda: db.session.query(Token).one().scopes) == ["read", "predict"]


@pytest.mark.parametrize("words", [("token", "nobody"), ("token", "bob", "--scopes", "fly")])
def test_a_token_for_nobody_or_for_nothing_is_refused(call, words):
    call("create-user", "bob")
    status, out, err = call(*words)
    assert (status, out) == (1, "")
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "words",
    [
        *(("fly",), ("token",), ("predict", "."), ("run", "--port", "x")),
        ("predict", ".", "--package", "x", "--dataset", "y"),
        ("predict", ".", "--package", "x", "--version", "1"),
        ("predict", ".", "--dataset", "x", "--fresh"),
        ("predict", ".", "--dataset", "x", "--top", "0"),
        ("predict", ".", "--dataset", "x", "--explain", "--csv", "out.csv"),
        ("predict", "nowhere.jpg", "--dataset", "x"),
    ],
)
def test_wrong_usage_is_status_2(call, words):
    assert call(*words)[0] == 2


def test_one_picture_is_painted_of_one_image(call, tmp_path):
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_bytes(b"an image")
    status, _, err = call("predict", tmp_path, "--dataset", "x", "--heatmap", tmp_path / "why.png")
    assert status == 2 and "of one image" in err


def test_a_csv_says_the_labels_of_a_zip_and_the_columns_can_be_chosen(call, rows, tmp_path):
    path, table = write_zip(tmp_path / "photos.zip", 2), tmp_path / "shots.csv"
    table.write_text("shot,mood,x\nred/0.jpg,warm|loud,1\nred/1.jpg,warm,2\ngone.jpg,warm,3\n")
    choices = ("--labels", str(table), "--task", "multi-label", "--label-column", "mood", "--min-items", "2")
    status, out, err = call("import", "Photos", path, *choices)
    assert (status, out) == (0, "2 added, 2 skipped, 1 refused\n")
    assert "loud (1)" in err
    assert "Row 4 of shots.csv names gone.jpg" in err
    assert table.exists()  # it was the person's, not ours
    assert {label.name for item in rows(lambda: db.session.query(Item).all()) for label in item.labels} == {
        "warm"
    }


def test_a_csv_that_is_wrong_ends_the_import_with_its_row(call, rows, tmp_path):
    path, table = write_zip(tmp_path / "photos.zip", 1), tmp_path / "shots.csv"
    table.write_text('file,label\nred/0.jpg,"warm\n')
    status, _, err = call("import", "Photos", path, "--labels", str(table))
    assert status == 1
    assert "Row 2 cannot be read" in err
    assert rows(lambda: db.session.query(Item).count()) == 0


def test_a_csv_alone_labels_what_is_there(call, rows, tmp_path):
    call("import", "Photos", write_zip(tmp_path / "photos.zip"))
    names = rows(lambda: [item.sent_name for item in db.session.query(Item).limit(3)])
    table = tmp_path / "tags.csv"
    table.write_text("".join(["file,label\n", *(f"{name},new\n" for name in names), "none.jpg,new\n"]))
    status, out, err = call("label", "Photos", table)
    assert (status, out) == (0, "3 images labelled by tags.csv\n")
    assert "none.jpg" in err
    assert call("label", "Nothing", table)[0] == 1
    assert call("label", "Photos", table)[0] == 1


def test_a_zip_is_imported_into_a_dataset_made_for_it(call, rows, tmp_path):
    path = write_zip(tmp_path / "photos.zip", 3)
    status, out, _ = call("import", "My photos", path, "--json")
    report, line = out.strip().splitlines()
    assert (status, report) == (0, "6 added, 0 skipped, 0 refused")
    assert json.loads(line) == {
        **{"dataset": "my-photos", "state": "finished"},
        **{"added": 6, "skipped": 0, "refused": 0, "notes": []},
    }
    assert path.exists()  # it was the person's, not ours
    labels = {label.name for item in rows(lambda: db.session.query(Item).all()) for label in item.labels}
    assert labels == {"red", "blue"}


def test_a_folder_is_imported_once_and_its_bad_files_are_named(call, tmp_path):
    folder = tmp_path / "photos" / "red"
    folder.mkdir(parents=True)
    (folder / "good.jpg").write_bytes(photo((200, 0, 0), 1))
    (folder / "bad.jpg").write_bytes(b"no image")
    status, out, err = call("import", "Photos", tmp_path / "photos")
    assert (status, out) == (0, "1 added, 0 skipped, 1 refused\n")
    assert "red/bad.jpg" in err
    assert call("import", "Photos", tmp_path / "photos")[1] == "0 added, 1 skipped, 1 refused\n"


def test_an_import_that_is_refused_says_why(call, tmp_path):
    (tmp_path / "photos.zip").write_bytes(b"no zip")
    status, _, err = call("import", "Photos", tmp_path / "photos.zip")
    assert status == 1
    assert "zip" in err


def test_predicting_without_a_version_says_to_train(call, tmp_path):
    path = write_zip(tmp_path / "photos.zip", 1)
    call("import", "Photos", path)
    status, _, err = call("predict", "--dataset", "photos", path)
    assert status == 1
    assert "Train it first" in err
    assert "has no version 7" in call("predict", "--dataset", "photos", "--version", "7", path)[2]
    assert "There is no dataset gone" in call("predict", "--dataset", "gone", path)[2]


def test_a_folder_without_an_image_is_told_before_anything_is_loaded(call, tmp_path):
    (tmp_path / "folder").mkdir()
    status, out, err = call("predict", "--package", tmp_path / "none", tmp_path / "folder")
    assert (status, out) == (1, "")
    assert "There is no image there" in err


def test_the_doctor_names_a_damaged_image(call, rows, instance, tmp_path):
    call("import", "Photos", write_zip(tmp_path / "photos.zip", 2))
    assert call("doctor")[0] == 0
    filename = rows(lambda: db.session.query(Item.filename).first()[0])
    (instance / "storage" / "images" / filename).write_bytes(b"damaged")
    status, out, _ = call("doctor", "--json")
    findings = json.loads(out.strip().splitlines()[-1])["findings"]
    assert status == 1
    assert [filename in finding["message"] for finding in findings if finding["level"] == "problem"] == [True]


def test_a_backup_brings_everything_back(call, rows, instance, tmp_path, monkeypatch):
    call("create-user", "root", "--admin")
    call("import", "Photos", write_zip(tmp_path / "photos.zip", 2))
    before = rows(lambda: sorted(item.sha256 for item in db.session.query(Item)))
    assert call("backup", tmp_path / "backup.zip")[0] == 0
    assert "already holds" in call("restore", tmp_path / "backup.zip")[2]
    monkeypatch.setenv("PIGEONHOLE_INSTANCE", str(tmp_path / "other"))
    config.current.cache_clear()
    assert call("restore", tmp_path / "backup.zip")[0] == 0
    assert call("doctor")[0] == 0
    assert rows(lambda: sorted(item.sha256 for item in db.session.query(Item))) == before
    key = (tmp_path / "other" / "secret_key").read_text()
    assert key == (instance / "secret_key").read_text()


def test_a_backup_passes_over_what_own_code_left(call, instance, tmp_path):
    call("import", "Photos", write_zip(tmp_path / "photos.zip"))
    inside = instance / "runs" / "a" / "inside"
    inside.mkdir(parents=True)
    (inside / "endless").symlink_to("/dev/zero")
    (inside.parent / "log.txt").write_text("x")
    (inside.parent / "endless").symlink_to("/dev/zero")
    assert call("backup", tmp_path / "saved.zip")[0] == 0
    with zipfile.ZipFile(tmp_path / "saved.zip") as saved:
        assert [name for name in saved.namelist() if name.startswith("runs/")] == ["runs/a/log.txt"]


@pytest.mark.parametrize("member", ["../evil", "/evil", "storage/../../evil", "pigeonhole.db-wal"])
def test_a_foreign_zip_is_not_restored(call, instance, tmp_path, member):
    with zipfile.ZipFile(tmp_path / "foreign.zip", "w") as archive:
        archive.writestr("pigeonhole.db", b"")
        archive.writestr(member, b"x")
    status, _, err = call("restore", tmp_path / "foreign.zip")
    assert status == 1
    assert "not a backup" in err
    assert not list(instance.iterdir())


def test_a_damaged_backup_leaves_nothing_behind(call, instance, tmp_path, monkeypatch):
    call("create-user", "root")
    call("backup", tmp_path / "backup.zip")
    content = bytearray((tmp_path / "backup.zip").read_bytes())
    content[200] ^= 0xFF
    (tmp_path / "damaged.zip").write_bytes(content)
    monkeypatch.setenv("PIGEONHOLE_INSTANCE", str(tmp_path / "other"))
    config.current.cache_clear()
    assert call("restore", tmp_path / "damaged.zip")[0] == 1
    assert not list((tmp_path / "other").iterdir())


def test_sweeping_clears_run_folders_and_uploads_that_no_row_knows(call, instance, monkeypatch):
    call("create-user", "root")
    for name in ("runs/orphan", "runs/somebodys", "uploads"):
        (instance / name).mkdir(parents=True)
    runs.keep(instance / "runs" / "somebodys")
    (instance / "uploads" / "orphan.zip").write_bytes(b"x")
    assert call("sweep")[0] == 0
    assert (instance / "runs" / "orphan").exists()  # it may be on its way into a row
    monkeypatch.setattr(leftovers, "YOUNG_SECONDS", -1)
    assert call("sweep")[0] == 0
    assert [path.name for path in (instance / "runs").iterdir()] == ["somebodys"]
    assert not list((instance / "uploads").iterdir())


def test_a_wrong_data_folder_is_refused_with_one_sentence(call, instance):
    instance.write_text("I am a file")
    status, _, err = call("doctor")
    assert status == 1
    assert "cannot be a folder" in err


def test_a_taken_port_is_said_in_one_sentence(call, instance):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        status, _, err = call("run", "--port", taken.getsockname()[1])
    assert status == 1
    assert "--port" in err
    assert "\n" not in err.strip()


def test_a_server_answers_offers_its_set_up_and_ends_with_all_its_processes(tmp_path):
    log = tmp_path / "log.txt"
    with running(tmp_path / "instance", log) as house:
        assert urllib.request.urlopen(house.setup_link, timeout=10).status == 200
        pids = group_of(tmp_path / "instance")
        assert len(pids) >= 3  # the supervisor, the web side, the worker
    assert group_of(tmp_path / "instance") == []
    assert "Traceback" not in log.read_text()


def test_headers_of_a_client_do_not_say_where_the_application_lies_or_how_they_came(tmp_path):
    lies = {"SCRIPT_NAME": "/x", "X-Forwarded-Proto": "https"}
    with running(tmp_path / "instance", tmp_path / "log.txt", "--no-worker") as house:
        assert requests.get(f"{house.address}/x/livez", headers=lies, timeout=10).status_code == 404
        found = requests.get(
            f"{house.address}/.well-known/oauth-authorization-server", headers=lies, timeout=10
        )
    assert found.json()["issuer"] == house.address


def test_nothing_outlives_a_supervisor_that_was_killed(tmp_path):
    instance = tmp_path / "instance"
    with (tmp_path / "log.txt").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "server.py", "run", "--port", "0"],
            cwd=ROOT,
            env=environment(instance),
            stdout=log,
            stderr=log,
        )
    wait_until(lambda: len(group_of(instance)) >= 4, what="the processes")
    server.kill()
    server.wait()
    wait_until(lambda: group_of(instance) == [], what="the others' end")


def group_of(instance):
    """The ids of the processes that work on an instance."""
    variable = f"PIGEONHOLE_INSTANCE={instance}".encode()
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            is_ours = variable in path.read_bytes().split(b"\0")
        except OSError:
            continue  # it has ended meanwhile, or is not ours to read
        if is_ours and path.parent.name != str(os.getpid()):
            found.append(int(path.parent.name))
    return found
