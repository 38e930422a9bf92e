"""Adding images through the pages: what is taken, skipped and refused, and who may."""

from __future__ import annotations

import io
import zipfile

import pytest
from PIL import Image
from sqlalchemy import select

from datasets import intake
from models import Dataset, Import, ImportFile, Item, Job, Member, db

JSON = {"Accept": "application/json"}


def picture(shade: int = 0, side: int = 32) -> bytes:
    """A small PNG; every shade is another image."""
    buffer = io.BytesIO()
    Image.linear_gradient("L").resize((side, side)).point(lambda v: (v * 3 + shade) % 256).save(buffer, "PNG")
    return buffer.getvalue()


def zipped(**files: bytes) -> bytes:
    """A zip of files by their path, written with __ for /."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "/"), content)
    return buffer.getvalue()


def add(browser, *files, headers=JSON, **fields):
    """Post images given as (name, bytes)."""
    images = [(io.BytesIO(content), name) for name, content in files]
    return browser.post("/datasets/flowers/imports/images", data={"image": images, **fields}, headers=headers)


def add_zip(browser, content: bytes, headers=JSON, name="flowers.zip", **fields):
    data = {"archive": (io.BytesIO(content), name), **fields}
    return browser.post("/datasets/flowers/imports/zip", data=data, headers=headers)


def labels_of(item: Item) -> list[str]:
    return [label.name for label in item.labels]


def test_images_are_added_under_the_label_chosen_for_all(owner):
    answer = add(owner, ("a.png", picture(1)), ("b.png", picture(2)), label="daisy")
    assert answer.status_code == 200
    assert [one["file"] for one in answer.json["added"]] == ["a.png", "b.png"]
    assert [labels_of(item) for item in db.session.scalars(select(Item))] == [["daisy"], ["daisy"]]


def test_without_a_label_the_folder_is_the_label(owner):
    add(owner, ("photos/rose/a.png", picture(1)))
    assert labels_of(db.session.scalars(select(Item)).one()) == ["rose"]


@pytest.mark.parametrize("name", ["/a.png", "./a.png", "../a.png"])
def test_a_folder_without_a_name_of_its_own_is_no_label(owner, name):
    assert add(owner, (name, picture(1))).status_code == 200
    assert labels_of(db.session.scalar(select(Item))) == []


def test_a_bad_image_among_good_ones_is_reported_by_name_and_the_good_are_kept(owner):
    answer = add(owner, ("good.png", picture()), ("bad.png", b"<html>"))
    assert answer.status_code == 200
    assert [one["file"] for one in answer.json["refused"]] == ["bad.png"]
    assert {"file", "code", "message"} == set(answer.json["refused"][0])
    assert db.session.scalars(select(Item)).one().sent_name == "good.png"


@pytest.mark.parametrize("loss", ["deleted", "left"])
def test_images_are_not_taken_once_the_dataset_is_deleted_or_left(
    app, owner, dataset, alice, monkeypatch, loss
):
    check, row = intake.check_all, Dataset if loss == "deleted" else Member
    key = {Dataset: dataset.id, Member: (dataset.id, alice.id)}[row]

    def check_and_lose(files):
        checked = check(files)
        with app.app_context():
            db.session.delete(db.session.get(row, key))
            db.session.commit()
        return checked

    monkeypatch.setattr(intake, "check_all", check_and_lose)
    assert add(owner, ("a.png", picture(1))).status_code == 404
    assert db.session.scalar(select(Item)) is None


def test_when_nothing_could_be_taken_the_answer_is_422_with_the_reason(owner):
    answer = add(owner, ("bad.png", b"<html>"))
    assert answer.status_code == 422
    assert answer.json["refused"][0]["file"] == "bad.png"
    page = add(owner, ("bad.png", b"<html>"), headers={})
    assert page.status_code == 422
    assert "bad.png" in page.text


def test_the_same_image_again_is_skipped(owner):
    add(owner, ("a.png", picture()))
    answer = add(owner, ("again.png", picture()))
    assert answer.status_code == 200
    assert [one["file"] for one in answer.json["skipped"]] == ["again.png"]
    assert answer.json["skipped"][0]["reason"]


def test_batches_of_one_upload_fill_one_import(owner):
    number = add(owner, ("a.png", picture(1))).json["import"]
    answer = add(owner, ("b.png", picture(2)), **{"import": str(number)})
    assert answer.json["import"] == number
    assert db.session.scalars(select(Import)).one().added == 2


def test_without_scripts_the_report_follows(owner):
    answer = add(owner, ("a.png", picture()), headers={})
    assert answer.status_code == 303
    page = owner.get(answer.location)
    assert page.status_code == 200
    assert "a.png" in page.text


def test_what_was_added_is_to_be_embedded_at_once(owner):
    add(owner, ("a.png", picture(1)))
    add(owner, ("b.png", picture(2)))
    assert [job.kind for job in db.session.scalars(select(Job))] == ["embed"]


def test_no_file_at_all_says_what_to_do(owner):
    answer = owner.post("/datasets/flowers/imports/images", data={}, headers=JSON)
    assert answer.status_code == 422
    assert "Choose" in answer.json["error"]["message"]


@pytest.mark.parametrize("label", ["a" * 101, "daisy\u202e"])
def test_a_label_that_cannot_be_one_is_refused_before_anything_is_kept(owner, label):
    assert add(owner, ("a.png", picture()), label=label).status_code == 422
    assert db.session.scalar(select(Item)) is None


def test_a_zip_waits_for_the_worker_and_its_page_says_so(owner, settings):
    answer = add_zip(owner, zipped(rose__1=picture()))
    assert answer.status_code == 202
    import_ = db.session.scalars(select(Import)).one()
    assert import_.job.state == "queued"
    assert len(list(settings.folder("uploads").iterdir())) == 1
    page = owner.get(answer.json["url"])
    assert "Waiting for its turn" in page.text
    assert "data-progress=" in page.text


def test_a_waiting_zip_can_be_cancelled(owner):
    address = add_zip(owner, zipped(rose__1=picture())).json["url"]
    assert owner.post(f"{address}/cancel").status_code == 303
    assert db.session.scalars(select(Import)).one().job.state == "cancelled"
    assert "Cancelled" in owner.get(address).text


def test_a_failed_import_offers_to_try_again_while_what_was_sent_is_kept(owner):
    answer = add_zip(owner, zipped(rose__1=picture()))
    import_ = db.session.get(Import, answer.json["import_id"])
    assert owner.post(f"{answer.json['url']}/retry").status_code == 409
    import_.job.state = "failed"
    assert "Try again" in owner.get(answer.json["url"]).text
    assert "Try again" in owner.get("/queue").text
    assert owner.post(f"/queue/{import_.job_id}/retry").status_code == 303
    db.session.expire_all()
    assert import_.job.state == "queued"


def test_a_zip_without_scripts_leads_to_its_page(owner):
    answer = add_zip(owner, zipped(rose__1=picture()), headers={})
    assert answer.status_code == 303
    assert "/imports/" in answer.location


@pytest.mark.parametrize(
    "content",
    [b"", b"no zip", zipped(**{"..__..__x.png": b"x"}), zipped(a=bytes(3_000_000))],
    ids=["empty", "no zip", "path", "damaged"],
)
def test_a_bad_zip_is_refused_at_once_and_nothing_is_kept(owner, settings, content):
    content = content[:-40] if len(content) > 1_000_000 else content
    answer = add_zip(owner, content)
    assert answer.status_code == 422
    assert "flowers.zip" in answer.json["error"]["message"]
    assert list(settings.folder("uploads").iterdir()) == []
    assert db.session.scalar(select(Import)) is None


def test_an_upload_beyond_its_limit_is_413(owner, app):
    app.config["PIGEONHOLE"].values["MAX_ZIP"] = 1000
    assert add_zip(owner, bytes(5000)).status_code == 413


def test_the_report_is_paged_by_outcome(owner, dataset):
    import_ = Import(dataset_id=dataset.id, kind="zip", source="many.zip", refused=150)
    db.session.add(import_)
    db.session.flush()
    db.session.add_all(
        ImportFile(import_id=import_.id, sent_name=f"{n}.png", outcome="refused", message="It is damaged.")
        for n in range(150)
    )
    number = import_.id
    address = f"/datasets/flowers/imports/{number}?outcome=refused"
    assert "0.png" in owner.get(address).text
    assert "149.png" not in owner.get(address).text
    assert "149.png" in owner.get(f"{address}&page=2").text


def test_sent_names_are_inert_on_the_page(owner):
    answer = add(owner, ("<script>alert(1)</script>.png", b"no"), headers={})
    assert "<script>alert" not in answer.text


@pytest.mark.parametrize("query", ["outcome=none", "page=x"])
def test_a_nonsense_address_is_no_error_of_ours(owner, query):
    number = add(owner, ("a.png", picture())).json["import"]
    assert owner.get(f"/datasets/flowers/imports/{number}?{query}").status_code in (400, 404)


def test_progress_is_told_as_json(owner):
    number = add(owner, ("a.png", picture())).json["import"]
    facts = owner.get(f"/datasets/flowers/imports/{number}/progress.json").json
    assert facts["added"] == 1
    assert facts["embedding"]["state"] == "queued"
    assert facts["is_over"] is False


def test_a_viewer_may_look_at_a_report_but_add_nothing(client, sign_in, alice, bob, dataset):
    number = add(sign_in(client, alice), ("a.png", picture())).json["import"]
    db.session.add(Member(dataset_id=dataset.id, user_id=bob.id, role="viewer"))
    sign_in(client, bob)
    assert client.get(f"/datasets/flowers/imports/{number}").status_code == 200
    assert add(client, ("b.png", picture(2))).status_code == 403
    assert add_zip(client, zipped(a=picture())).status_code == 403


def test_a_stranger_to_the_dataset_finds_nothing(client, sign_in, alice, charlie, dataset):
    number = add(sign_in(client, alice), ("a.png", picture())).json["import"]
    sign_in(client, charlie)
    assert client.get(f"/datasets/flowers/imports/{number}").status_code == 404
    assert add(client, ("b.png", picture(2))).status_code == 404
