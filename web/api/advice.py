"""What would help a dataset, over the API: warnings, what more images would bring, images that look alike."""

from __future__ import annotations

from typing import Any

from flask import url_for
from marshmallow import Schema, fields

from learning.gains import MORE
from models import Dataset, Item
from web import what_helps
from web.access import get_dataset
from web.api.frame import Noun, needs
from web.api.shapes import as_time
from web.found import Pair

blueprint = Noun("advice", "What would help a dataset")

PAIR = "[lowest, highest] of the 95 % interval."


class WarningBody(Schema):
    """Something that speaks against the figures of whatever learns from these images."""

    kind = fields.Str(
        metadata={"description": "imbalance, few, two_labels, two_splits (of look-alikes) or telltale."}
    )
    text = fields.Str()
    labels = fields.List(fields.Str(), metadata={"description": "The labels that it is about."})


class PointBody(Schema):
    """A point of the learning curve."""

    items = fields.Int()
    score = fields.Float()
    interval = fields.List(fields.Float(), metadata={"description": PAIR})


class GainBody(Schema):
    """What more images of a label would bring."""

    label = fields.Str()
    items = fields.Int(metadata={"description": "How many it has."})
    gain = fields.Float(metadata={"description": f"Of the score of all answers, by {MORE} more images."})
    interval = fields.List(fields.Float(), metadata={"description": PAIR})
    stands_out = fields.Bool(metadata={"description": "Above the other labels beyond chance."})


class LookalikeBody(Schema):
    """Two images that look alike but differ in labels or splits."""

    first = fields.Str(metadata={"description": "Where the item is."})
    second = fields.Str()
    cosine = fields.Float(metadata={"description": "Of their embeddings, 1 for the same."})
    differing_labels = fields.Bool()
    differing_splits = fields.Bool()


class AdviceBody(Schema):
    """What would help; without `examined_at` nobody has looked yet, and only the counts speak."""

    examined_at = fields.Str(allow_none=True)
    is_stale = fields.Bool(metadata={"description": "Images or labels have changed since."})
    warnings = fields.List(fields.Nested(WarningBody))
    score = fields.Str(allow_none=True, metadata={"description": "accuracy or micro_f1."})
    curve = fields.List(fields.Nested(PointBody), allow_none=True)
    doubled = fields.Nested(
        PointBody, allow_none=True, metadata={"description": "Expected of twice as many images."}
    )
    headline = fields.Str(allow_none=True)
    gains = fields.List(fields.Nested(GainBody))
    look_alikes = fields.List(fields.Nested(LookalikeBody))


@blueprint.get("/datasets/<slug>/advice")
@needs("read")
@blueprint.response(200, AdviceBody)
def show(slug: str) -> dict[str, Any]:
    """Tell what would help a dataset; it is looked through after each run, and when a person asks."""
    return _as_json(get_dataset(slug))


def _as_json(dataset: Dataset) -> dict[str, Any]:
    told = what_helps.of(dataset)
    curve = told.findings.curve if told.findings else None
    return {
        "examined_at": as_time(told.examined_at),
        "is_stale": told.is_stale,
        "warnings": [{"kind": odd.kind, "text": odd.text, "labels": list(odd.labels)} for odd in told.odds],
        "score": told.score_name.replace(" ", "_").lower() if told.findings else None,
        "curve": _points(curve) if curve else None,
        "doubled": _doubled(curve) if curve and curve["doubled"] else None,
        "headline": told.headline,
        "gains": [_gain(line) for line in told.gains],
        "look_alikes": [_pair(pair) for pair in told.pairs],
    }


def _points(curve: dict[str, Any]) -> list[dict[str, Any]]:
    columns = (curve["sizes"], curve["scores"], curve["intervals"])
    names = ("items", "score", "interval")
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _doubled(curve: dict[str, Any]) -> dict[str, Any]:
    score, *interval = curve["doubled"]
    return {"items": 2 * curve["sizes"][-1], "score": score, "interval": interval}


def _gain(line: what_helps.GainLine) -> dict[str, Any]:
    return {
        "label": line.name,
        "items": line.count,
        "gain": line.points / 100,
        "interval": [line.low / 100, line.high / 100],
        "stands_out": line.stands_out,
    }


def _pair(pair: Pair) -> dict[str, Any]:
    return {
        "first": _address(pair.first),
        "second": _address(pair.second),
        "cosine": pair.cosine,
        "differing_labels": pair.is_other_label,
        "differing_splits": pair.is_other_split,
    }


def _address(item: Item) -> str:
    return url_for("api_items.show", item_id=item.id)
