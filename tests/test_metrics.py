"""/metrics: right over several processes, bounded in its labels, and not for everybody."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
from datetime import timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families as parse

import server
from models import Job, db, now
from tests.trained import COLOURS, as_bytes, make_photo
from web import measures, tokens
from web.tallies import Tallies


@pytest.fixture
def scrape(root, client):
    """`scrape()`: every sample as {(name, its labels in order of their names): value}."""
    _, text = tokens.make_token(root, "prometheus", ["admin"])
    db.session.commit()

    def scrape():
        answer = client.get("/metrics", headers={"Authorization": f"Bearer {text}"})
        assert answer.status_code == 200
        return samples(answer.text)

    return scrape


def samples(text: str) -> dict[tuple[str, tuple[str, ...]], float]:
    return {
        (sample.name, tuple(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in parse(text)
        for sample in family.samples
    }


def named(found, name: str) -> dict[tuple[str, ...], float]:
    return {labels: value for (sample, labels), value in found.items() if sample == name}


# Who may read


def test_a_stranger_is_asked_for_a_token(client):
    answer = client.get("/metrics")
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("who", ["alice", "root"])
def test_a_token_without_the_scope_admin_is_not_enough(client, request, who):
    _, text = tokens.make_token(request.getfixturevalue(who), "script", ["read", "predict"])
    db.session.commit()
    assert client.get("/metrics", headers={"Authorization": f"Bearer {text}"}).status_code == 401


def test_an_administrator_who_is_signed_in_may_read_and_others_may_not(client, sign_in, root, alice):
    assert sign_in(client, alice).get("/metrics").status_code == 401
    assert sign_in(client, root).get("/metrics").status_code == 200


def test_a_setting_opens_it_to_whoever_reaches_it_or_closes_it(settings):
    for word, status in (("open", 200), ("off", 404)):
        app = server.create_app(dataclasses.replace(settings, values={**settings.values, "METRICS": word}))
        with app.app_context():
            db.create_all()
            assert app.test_client().get("/metrics").status_code == status
            db.engine.dispose()


# What is told


def test_requests_are_counted_by_method_template_and_status(client, scrape):
    for path in ("/livez", "/livez", "/datasets/secret-name/", "/no/such/page"):
        client.get(path)
    found = named(scrape(), "pigeonhole_http_requests_total")
    assert found["GET", "/livez", "200"] == 2
    assert found["GET", "/datasets/<slug>/", "302"] == 1
    assert found["GET", "(no route)", "404"] == 1
    assert not [labels for labels in found if "secret-name" in str(labels)]


def test_methods_that_nobody_knows_are_one_label(client, scrape):
    for method in ("BREW", "WHEN", "X" * 100):
        client.open("/livez", method=method)
    assert named(scrape(), "pigeonhole_http_requests_total")["other", "(no route)", "405"] == 3


def test_latency_is_a_histogram_with_every_bucket(client, scrape):
    for _ in range(3):
        client.get("/livez")
    found = scrape()
    buckets = {
        float(le): value
        for (le, method, route), value in named(found, "pigeonhole_http_request_seconds_bucket").items()
        if (method, route) == ("GET", "/livez")
    }
    assert sorted(buckets) == [*measures.SECONDS, float("inf")]
    assert list(buckets.values()) == sorted(buckets.values())
    assert (
        buckets[float("inf")] == named(found, "pigeonhole_http_request_seconds_count")["GET", "/livez"] == 3
    )


def test_jobs_are_told_by_kind_and_state_with_the_age_of_the_oldest_waiting(scrape, dataset):
    for minutes, state in ((10, "queued"), (5, "queued"), (30, "running")):
        created = now() - timedelta(minutes=minutes)
        db.session.add(Job(kind="run", dataset_id=dataset.id, state=state, created_at=created))
    db.session.commit()
    found = scrape()
    jobs, waiting = named(found, "pigeonhole_jobs"), named(found, "pigeonhole_job_waiting_seconds")
    assert (jobs["run", "queued"], jobs["run", "running"], jobs["import", "queued"]) == (2, 1, 0)
    assert 600 <= waiting["run",] < 700
    assert waiting["import",] == 0


def test_predictions_are_counted_by_version_and_outcome(app, client, scrape, alice, dataset, trained):
    trained.install(app, dataset)
    _, text = tokens.make_token(alice, "camera", ["predict"])
    db.session.commit()
    good = as_bytes(make_photo(COLOURS["red"], 1))
    for content in (good, good, b"no image"):
        bearer = {"Authorization": f"Bearer {text}"}
        client.post(
            "/api/v1/datasets/flowers/predict", data=content, content_type="image/jpeg", headers=bearer
        )
    found = scrape()
    counted = named(found, "pigeonhole_predictions_total")
    assert counted == {("flowers", "answered", "", "1"): 2, ("flowers", "refused", "", "1"): 1}
    assert named(found, "pigeonhole_prediction_seconds_count")[()] == 2


def test_what_is_installed_memory_and_disk_are_told(scrape):
    scrape()
    found = scrape()
    assert list(named(found, "pigeonhole_build_info").values()) == [1]
    assert named(found, "pigeonhole_free_disk_bytes")[()] > 0
    assert all(value > 10_000_000 for value in named(found, "pigeonhole_web_memory_bytes").values())


# Several processes


KEY = measures.REQUESTS.key("_total", "GET", "/", "200")


def count(folder, times: int) -> None:
    tallies = Tallies(folder)
    for _ in range(times):
        tallies.count(KEY)


def in_processes(*works) -> None:
    fork = multiprocessing.get_context("fork")
    children = [fork.Process(target=work, args=arguments) for work, *arguments in works]
    for child in children:
        child.start()
    for child in children:
        child.join()
        assert child.exitcode == 0


def total(folder) -> float:
    return sum(sample.value for metric in Tallies(folder).read() for sample in metric.samples)


def test_processes_add_up_and_the_dead_stay_counted(tmp_path):
    in_processes(*((count, tmp_path, 100) for _ in range(3)))
    assert total(tmp_path) == 300
    assert Tallies(tmp_path).living() == {}


def test_a_new_process_counts_on_in_the_file_of_a_dead_one(tmp_path):
    for _ in range(5):
        in_processes((count, tmp_path, 10))
    assert total(tmp_path) == 50
    assert len(list(tmp_path.glob("counter_*.db"))) == 1


def test_a_forked_process_counts_in_a_file_of_its_own(tmp_path):
    tallies = Tallies(tmp_path)
    tallies.count(KEY)
    in_processes((tallies.count, KEY))
    tallies.count(KEY)
    assert total(tmp_path) == 3
    assert tallies.living() == {0: os.getpid()}


def test_a_start_begins_at_zero_but_keeps_what_a_living_process_counts(tmp_path):
    living = Tallies(tmp_path)
    living.count(KEY)
    in_processes((count, tmp_path, 10))
    Tallies(tmp_path).clear()
    assert total(tmp_path) == 1
