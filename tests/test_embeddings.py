"""Embeddings are computed once, on all cores, and survive whatever happens to the process."""

import io
import multiprocessing
import os
import signal
import sqlite3

import numpy as np
import pytest
from PIL import Image

from learning import backbones, embeddings
from learning.embeddings import EmbeddingStore, Refusal


def make_jpeg(seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.fixture
def prepared(prepared_backbones):
    return backbones.find("efficientnet-lite0", prepared_backbones)


@pytest.fixture
def store(tmp_path):
    return EmbeddingStore(tmp_path, "some-backbone")


def test_what_is_put_is_got_to_the_bit(store):
    vector = np.random.default_rng(0).normal(size=2_624).astype(np.float32)
    store.put({"aa": vector})
    assert np.array_equal(store.get(["aa", "bb"])["aa"], vector)
    assert store.missing(["bb", "aa", "bb", "cc"]) == ["bb", "cc"]


def test_thousands_are_got_at_once(store):
    known = {f"{index:064x}": np.full(4, index, np.float32) for index in range(2_500)}
    store.put(known)
    assert {key: vector[0] for key, vector in store.get(known).items()} == dict(
        zip(known, range(2_500), strict=True)
    )


def test_embeddings_of_another_pixel_path_are_not_used(store, monkeypatch):
    store.put({"aa": np.zeros(4, np.float32)})
    monkeypatch.setattr(embeddings, "PIXEL_PATH_VERSION", 2)
    assert store.missing(["aa"]) == ["aa"]


def _put_many(folder, start):
    store = EmbeddingStore(folder, "some-backbone")
    for index in range(start, start + 50):
        store.put({f"{index}": np.full(2_624, index, np.float32)})


def test_eight_processes_lose_nothing(tmp_path):
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_put_many, args=(tmp_path, 50 * n)) for n in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert EmbeddingStore(tmp_path, "some-backbone").missing(map(str, range(400))) == []


def _put_until_killed(folder, ready):
    store = EmbeddingStore(folder, "some-backbone")
    for index in range(1_000_000):
        store.put({f"{index}-{part}": np.full(2_624, part, np.float32) for part in range(20)})
        ready.set()


def test_kill_9_leaves_whole_batches(tmp_path):
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    writer = context.Process(target=_put_until_killed, args=(tmp_path, ready))
    writer.start()
    assert ready.wait(60)
    os.kill(writer.pid, signal.SIGKILL)
    writer.join()
    store = EmbeddingStore(tmp_path, "some-backbone")
    with sqlite3.connect(store.path) as connection:
        assert connection.execute("pragma integrity_check").fetchone() == ("ok",)
        assert connection.execute("select count(*) % 20 from embeddings").fetchone() == (0,)


def test_a_damaged_store_says_that_deleting_it_is_safe(store):
    store.path.write_bytes(b"not a database, and long enough to be taken for one" * 100)
    with pytest.raises(embeddings.StoreDamaged, match="Delete it"):
        store.missing(["aa"])


def test_a_file_that_is_gone_is_refused_with_the_reason():
    error = FileNotFoundError(2, "No such file or directory")
    refusal = embeddings.as_refusal("aa", error)
    assert (refusal.sha256, refusal.code) == ("aa", "image_unreadable")
    assert refusal.message == "The image cannot be read: No such file or directory."


@pytest.mark.trainer
def test_a_damaged_image_is_refused_by_name_and_stops_nobody(prepared, tmp_path):
    store = EmbeddingStore(tmp_path, prepared.identifier)
    images = [(f"{seed}", lambda seed=seed: make_jpeg(seed)) for seed in range(5)]
    images.insert(2, ("cut", lambda: make_jpeg(9)[:400]))
    images.insert(3, ("gone", lambda: tmp_path / "gone.jpg"))
    progress = []
    refusals = embeddings.embed_missing(
        prepared, store, images, on_progress=lambda *now: progress.append(now)
    )
    assert sorted(refusal.sha256 for refusal in refusals) == ["cut", "gone"]
    assert all(isinstance(refusal, Refusal) and refusal.message for refusal in refusals)
    assert store.missing([key for key, _ in images]) == ["cut", "gone"]
    assert progress == [(0, 7), (7, 7)]


@pytest.mark.trainer
def test_only_what_is_missing_is_opened(prepared, tmp_path):
    store = EmbeddingStore(tmp_path, prepared.identifier)
    opened = []
    images = [("a", lambda: opened.append("a") or make_jpeg(0))]
    for _ in range(2):
        embeddings.embed_missing(prepared, store, images)
    assert opened == ["a"]


@pytest.mark.trainer
def test_stopping_keeps_what_is_done(prepared, tmp_path):
    store = EmbeddingStore(tmp_path, prepared.identifier)
    images = [(f"{seed}", lambda seed=seed: make_jpeg(seed)) for seed in range(30)]
    embeddings.embed_missing(prepared, store, images, should_stop=lambda: True)
    assert store.missing(["0"]) == []
    assert len(store.missing(key for key, _ in images)) == 29


@pytest.mark.trainer
def test_the_embedding_is_the_same_from_keras_and_weighs_its_blocks(prepared):
    pixels = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    embedding, feature_map = embeddings.Embedder(prepared.path).embed_with_map(pixels)
    wanted, wanted_map = backbones.build_embedder(prepared.name)([pixels[np.newaxis].astype(np.float32)])
    assert np.abs(embedding - np.asarray(wanted)[0]).max() < 1e-5
    assert np.abs(feature_map - np.asarray(wanted_map)[0]).max() < 1e-3
    assert np.abs(feature_map.mean(axis=(0, 1)) - embedding).max() < 1e-6
    assert abs(np.linalg.norm(embedding[:1_280]) - 1) < 1e-5
    assert abs(np.linalg.norm(embedding[1_280:1_304]) - 0.7) < 1e-5
