"""Why an answer is what it is, for pages and for the API: the heatmap, and the taught images most like it."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable

from flask import abort, g

from datasets import storage
from models import Dataset, Item, Prediction, Version
from serving import explain, heatmaps, similar
from serving.classifier import Busy, VersionUnusable
from serving.explain import Explanation, LabelUnknown
from serving.similar import Similar
from transactions import end_reading
from utils import ImageRefused
from web import measures, tokens
from web.access import get_user, has_role


def ask(version: Version, content: bytes, label: str | None = None) -> Explanation:
    """Explain an answer; no transaction is open meanwhile.

    Aborts with 404 for a label that the version doesn't know, with 409 when the version or the image can't be
    used, with 503 when too many predictions wait.
    """
    end_reading()
    try:
        return explain.explain(version, content, label)
    except LabelUnknown as error:
        abort(404, str(error))
    except (VersionUnusable, ImageRefused) as error:
        abort(409, str(error))
    except Busy as error:
        measures.count_queue_full()
        abort(503, str(error))


def draw(explanation: Explanation, width: int, height: int) -> str:
    """Return what `heatmaps.paint` paints for an upright image of that size, as a data: address."""
    buffer = io.BytesIO()
    heatmaps.paint(explanation, width, height).save(buffer, "PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def may_see_items(dataset: Dataset) -> bool:
    """Whether who asks may read the dataset: a viewer, with a token only if that may read."""
    token = g.get("token")
    return has_role(get_user(), dataset, "viewer") and (token is None or tokens.has_scope(token, "read"))


def find_similar(version: Version, explanation: Explanation) -> list[Similar]:
    """Return the taught images most like the explained one; none for those who may not read the dataset."""
    return similar.find(version, explanation.embedding) if may_see_items(version.dataset) else []


def find_nearest(prediction: Prediction) -> list[Similar]:
    """Return the taught images that come nearest to an image like none of them.

    None where they may not be seen, or where the image or its version can't be looked at now: the answer
    stands without them.
    """
    if prediction.version.fault or not may_see_items(prediction.dataset):
        return []
    try:
        content = storage.read_original(prediction.filename)
        return similar.find(prediction.version, similar.embed(prediction.version, content))
    except (FileNotFoundError, ImageRefused, VersionUnusable, Busy):
        return []


def as_json(
    version: Version, explanation: Explanation, address: Callable[[Item], str]
) -> dict[str, dict | list]:
    """Return what an answer's JSON holds beside the answer: `explanation`, and for members `similar`.

    Args:
        address: where an item's image is.
    """
    body: dict[str, dict | list] = {"explanation": explanation.as_json()}
    if may_see_items(version.dataset):
        found = find_similar(version, explanation)
        body["similar"] = [{**one.as_json(), "image": {"url": address(one.item)}} for one in found]
    return body
