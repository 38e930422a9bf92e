"""The taught images that are most like an image, by what the network says of both."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from flask import current_app
from sqlalchemy import select

from learning.embeddings import EmbeddingStore
from learning.package import HEAD, Package
from models import Item, Version, db
from serving import classifier
from utils import center_crop, open_image

COUNT = 6
MOST_COMPARED = 5_000  # of a version without references of its own


@dataclass(frozen=True)
class Similar:
    """A taught image, and the cosine similarity of its embedding, -1 to 1."""

    item: Item
    similarity: float

    def as_json(self) -> dict:
        """The image's id, its labels and how like it is, as the API and the command line show them."""
        labels = [label.name for label in self.item.labels]
        return {"item": self.item.id, "labels": labels, "similarity": round(self.similarity, 4)}


def find(version: Version, embedding: np.ndarray | None, count: int = COUNT) -> list[Similar]:
    """Return the images of the version's dataset most like an embedding, likest first, at most `count`.

    Those that were deleted since are left out. Whoever shows them sees to it that only members look.

    Args:
        embedding: float32 (features,), of the version's own network; None finds nothing, nor does one that
            is without limit.
    """
    if embedding is None or not np.isfinite(embedding).all():
        return []
    nearest = _find_nearest(version, embedding, 2 * count)
    query = select(Item).where(
        Item.dataset_id == version.dataset_id,
        Item.deleted_at.is_(None),
        Item.sha256.in_([sha256 for sha256, _ in nearest]),
    )
    items = {item.sha256: item for item in db.session.scalars(query)}
    return [Similar(items[sha256], similar) for sha256, similar in nearest if sha256 in items][:count]


def embed(version: Version, content: bytes) -> np.ndarray | None:
    """Return what the version's own network says of an image file's bytes, for `find`.

    Raises:
        ImageRefused, VersionUnusable, Busy: as serving/prediction.py's `predict`.
    """
    engine = classifier.find(version)
    with engine.line.place():
        said, _ = engine.look(center_crop(open_image(content), engine.package.input_size))
    return said.embedding


def _find_nearest(version: Version, embedding: np.ndarray, count: int) -> list[tuple[str, float]]:
    package = classifier.find(version).package
    if package.rejection is not None and package.rejection.mean.shape == embedding.shape:
        return package.rejection.nearest(embedding, count)
    return _compare(version, package, embedding, count) if package.answers_with == HEAD else []


def _compare(
    version: Version, package: Package, embedding: np.ndarray, count: int
) -> list[tuple[str, float]]:
    """Compare with the dataset's embeddings, of images that were there when the version was made."""
    query = select(Item.sha256).where(Item.dataset_id == version.dataset_id, Item.deleted_at.is_(None))
    query = query.where(Item.split != "test", Item.created_at <= version.created_at)
    hashes = list(db.session.scalars(query.order_by(Item.id).limit(MOST_COMPARED)))
    folder = current_app.config["PIGEONHOLE"].folder("embeddings")
    known = EmbeddingStore(folder, package.backbone_identifier).get(hashes)
    if not known:
        return []
    vectors = np.stack(list(known.values()))
    lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(embedding)
    likeness = vectors @ embedding / np.maximum(lengths, 1e-12)
    order = np.argsort(-likeness, kind="stable")[:count]
    names = list(known)
    return [(names[place], float(likeness[place])) for place in order]
