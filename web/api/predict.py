"""POST an image, get an answer: as a form, as JSON with base64, or as the bare bytes."""

from __future__ import annotations

from flask import Response, abort, jsonify, request, url_for
from marshmallow import Schema, fields, validate
from sqlalchemy import select

from models import Dataset, Version, db
from serving.prediction import Answer
from utils import ImageRefused
from web import why
from web.access import get_dataset
from web.answers import Outcome, answer_all, find_version
from web.api.frame import Noun, needs
from web.api.shapes import Digits
from web.errors import Refused, api_error
from web.inputs import read_json
from web.limits import limits
from web.sent_images import decode_image

blueprint = Noun("predict", "Answers to images")

MAX_IMAGES, MAX_EXPLAINED = 256, 16

Sent = tuple[str, bytes | ImageRefused]  # the sent name ("" where there is none), and what was sent


class PredictArguments(Schema):
    """What may be asked of an answer."""

    version = Digits(load_default=None, metadata={"description": "Ask this version, not the live one."})
    top = Digits(
        load_default=None,
        validate=validate.Range(1, error="Choose at least 1."),
        metadata={"description": "How many labels at most."},
    )
    explain = fields.Bool(
        load_default=False,
        metadata={"description": "Tell what mattered in each image, 16 at most, and what is most like it."},
    )


class ProbabilityBody(Schema):
    """One label of an answer."""

    label = fields.Str(required=True)
    probability = fields.Float(required=True)
    threshold = fields.Float(metadata={"description": "Several labels an image: from here on it is one."})


class ExplanationBody(Schema):
    """What each part of an image did for a label."""

    label = fields.Str(required=True)
    method = fields.Str(required=True, validate=validate.OneOf(("exact", "occlusion")))
    box = fields.List(
        fields.Int(),
        metadata={"description": "Left, top, right, bottom of the square that was looked at, in pixels."},
    )
    heatmap = fields.List(
        fields.List(fields.Float()),
        metadata={"description": "Rows, -1 to 1: above 0 spoke for the label, below 0 against it."},
    )
    scale = fields.Float(metadata={"description": "What 1 in the heatmap stands for."})
    score = fields.Float(metadata={"description": "How far the label stands out; an exact heatmap's mean."})


class SimilarBody(Schema):
    """A taught image that is like the one that was sent."""

    item = fields.Int(required=True)
    labels = fields.List(fields.Str())
    similarity = fields.Float(metadata={"description": "Cosine of the two embeddings, 1 at most."})
    image = fields.Dict(metadata={"description": "Its url."})


class AnswerBody(Schema):
    """What one version says of one image."""

    prediction = fields.Str(required=True)
    dataset = fields.Str()
    version = fields.Int()
    label = fields.Str(allow_none=True)
    labels = fields.List(fields.Str())
    rejected = fields.Bool(metadata={"description": "No label is said: `label` is null, `labels` empty."})
    reason = fields.Str(
        allow_none=True,
        validate=validate.OneOf(("unknown", "uncertain", None)),
        metadata={"description": "Why it is rejected: `unknown` or `uncertain` (below the threshold)."},
    )
    probabilities = fields.List(fields.Nested(ProbabilityBody), metadata={"description": "Highest first."})
    image = fields.Dict(metadata={"description": "Its url, width and height."})
    milliseconds = fields.Dict(metadata={"description": "What decoding, the network and all of it took."})
    explanation = fields.Nested(ExplanationBody, metadata={"description": "Where `explain` was asked for."})
    similar = fields.List(
        fields.Nested(SimilarBody),
        metadata={"description": "Beside an explanation, for those who may read the dataset."},
    )


class AnswersBody(Schema):
    """Answers in the order sent; a refused image has `error` in its place."""

    predictions = fields.List(fields.Raw())


BINARY = {"schema": {"type": "string", "format": "binary"}}
IMAGE_FILES = {"type": "array", "items": {"type": "string", "format": "binary"}, "maxItems": MAX_IMAGES}
IMAGE_TEXT = {"type": "string", "description": "Base64 or a data: address."}
FORM = {"type": "object", "properties": {"image": IMAGE_FILES}, "required": ["image"]}
ONE = {"type": "object", "properties": {"image": IMAGE_TEXT}, "required": ["image"]}
MANY = {"type": "array", "items": IMAGE_TEXT, "minItems": 1, "maxItems": MAX_IMAGES}
MANY = {"type": "object", "properties": {"images": MANY}, "required": ["images"]}
WAYS = {
    "multipart/form-data": {"schema": FORM},
    "application/json": {"schema": {"oneOf": [ONE, MANY]}},
    **dict.fromkeys(("image/jpeg", "image/png", "image/webp", "image/gif", "image/bmp"), BINARY),
    "application/octet-stream": BINARY,
}


def _is_open_to_all(slug: str) -> bool:
    """Whether no token is asked for: the dataset is public and none was sent (a wrong one is wrong)."""
    if "Authorization" in request.headers:
        return False
    return bool(db.session.scalar(select(Dataset.is_public).filter_by(slug=slug)))


@blueprint.post("/datasets/<slug>/predict")
@limits(body="MAX_PREDICT_BODY", rate="predict", is_reading=True)
@needs("predict", unless=_is_open_to_all)
@blueprint.arguments(PredictArguments, location="query")
@blueprint.doc(requestBody={"required": True, "content": WAYS})
@blueprint.response(200, {"anyOf": [AnswerBody, AnswersBody]})
def predict(wanted: dict, slug: str) -> Response:
    """Answer one image, or up to 256 in the order sent."""
    dataset = get_dataset(slug, allow_public=True)
    version, top = find_version(dataset, wanted["version"]), wanted["top"]
    sent, is_list = _read_images()
    if wanted["explain"] and len(sent) > MAX_EXPLAINED:
        raise Refused(f"Send at most {MAX_EXPLAINED} images to have them explained.", "explain")
    outcomes = _answer(version, sent)
    bodies = [_as_json(outcome, name, top) for (name, _), outcome in zip(sent, outcomes, strict=True)]
    if wanted["explain"]:
        for body, (_, content), outcome in zip(bodies, sent, outcomes, strict=True):
            body |= _explain(version, content, outcome)
    if is_list:
        return jsonify(predictions=bodies)
    return _refusal(bodies[0]) if "error" in bodies[0] else jsonify(bodies[0])


def _read_images() -> tuple[list[Sent], bool]:
    """Return what was sent, and whether the answer is a list; abort with 400, 415 or 422 otherwise."""
    kind = request.mimetype
    if kind == "multipart/form-data":
        sent = _read_form()
        is_list = len(sent) > 1
    elif request.is_json:
        sent, is_list = _read_json_images()
    elif kind.startswith("image/") or kind == "application/octet-stream":
        sent, is_list = [("", request.get_data())], False
    else:
        abort(415, "Send multipart/form-data, application/json, or an image with its own Content-Type.")
    _check_count(sent)
    return sent, is_list


def _check_count(sent: list) -> None:
    """Abort with 422 where nothing or too much was sent; asked before anything is decoded."""
    if not 1 <= len(sent) <= MAX_IMAGES:
        abort(422, f"Send 1 to {MAX_IMAGES} images in the field 'image'.")


def _read_form() -> list[Sent]:
    if unknown := sorted({*request.files, *request.form} - {"image"}):
        abort(400, f"Unknown field {unknown[0][:100]!r}. Send images in the field 'image'.")
    if "image" in request.form:
        abort(422, "The field 'image' must be a file (curl: -F image=@photo.jpg).")
    files = request.files.getlist("image")
    _check_count(files)
    return [(file.filename or "", file.read()) for file in files]


def _read_json_images() -> tuple[list[Sent], bool]:
    body = read_json({"image", "images"})
    if len(body) != 1:
        abort(422, "Send either 'image' or 'images'.")
    ((field, value),) = body.items()
    texts = value if field == "images" else [value]
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        abort(422, f"{field!r} must hold base64 text or a data: address.")
    _check_count(texts)
    return [("", _decode(text)) for text in texts], field == "images"


def _decode(text: str) -> bytes | ImageRefused:
    """Return the image's bytes, or why there are none."""
    try:
        return decode_image(text)
    except ImageRefused as refused:
        return refused


def _answer(version: Version, sent: list[Sent]) -> list[Outcome]:
    """Answer what could be decoded; what could not keeps its place as the refusal it is."""
    readable = [(name, content) for name, content in sent if isinstance(content, bytes)]
    answers = iter(answer_all(version, readable))
    return [next(answers) if isinstance(content, bytes) else content for _, content in sent]


def _as_json(outcome: Outcome, name: str, top: int | None) -> dict:
    if isinstance(outcome, Answer):
        body = outcome.as_json()
        body["probabilities"] = body["probabilities"][:top]
        return body
    error = {"code": outcome.code, "message": str(outcome), "field": "image"}
    return {"error": {**error, "file": name} if name else error}


def _explain(version: Version, content: bytes | ImageRefused, outcome: Outcome) -> dict:
    """Return what is beside an answer where it is to be explained; nothing beside a refusal."""
    if not isinstance(outcome, Answer):
        return {}
    found = why.ask(version, content, outcome.probabilities[0][0])
    return why.as_json(version, found, lambda item: url_for("api_items.image", item_id=item.id))


def _refusal(body: dict) -> Response:
    return api_error(422, **body["error"])
