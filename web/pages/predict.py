"""Predict: send an image, see what the live version says of it, and take the same answer as JSON."""

from __future__ import annotations

import json

from flask import Blueprint, Response, abort, flash, jsonify, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from datasets import storage
from datasets.names import make_inert
from models import Dataset, Prediction, Version, db
from serving import feedback, heatmaps
from serving.explain import Explanation
from utils import ImageRefused
from web import charts, why
from web.access import get_dataset, get_user, has_role, public
from web.answers import answer_all, find_version, get_prediction
from web.inputs import local_address
from web.limits import is_explaining, limits
from web.reference.document import server_address
from web.reference.snippets import PHOTO, Call, Snippet, write

blueprint = Blueprint("predict", __name__)

NEARLY = 0.5  # of its threshold: from there on a label that is not said is told as a perhaps
PERHAPS_SHOWN = 3
UNSURE_SHOWN = 2
SURE, LIKELY = 0.8, 0.5  # from which probability on the answer says "This is", and "Probably"


@blueprint.get("/datasets/<slug>/predict")
@public
def ask(slug: str) -> str:
    """Show the place to drop an image."""
    return _render("predict/ask.html", get_dataset(slug, allow_public=True))


@blueprint.post("/datasets/<slug>/predict")
@public
@limits(body="MAX_PREDICT_BODY", rate="predict", is_reading=True)
def answer(slug: str) -> AnyResponse:
    """Answer one image and lead to the answer's own page."""
    dataset = get_dataset(slug, allow_public=True)
    version = find_version(dataset)
    sent = request.files.get("image")
    if sent is None or not sent.filename:
        return _refuse(slug, "Choose an image first.")
    (outcome,) = answer_all(version, [(sent.filename, sent.read())])
    if isinstance(outcome, ImageRefused):
        return _refuse(slug, f"{make_inert(sent.filename)}: {outcome}")
    return redirect(url_for("predict.show", filename=outcome.filename), 303)


def _refuse(slug: str, message: str) -> AnyResponse:
    flash(message, "danger")
    return Response(ask(slug), 422)


@blueprint.get("/predict/<filename>")
@public
@limits(rate_of_explaining="predict")
def show(filename: str) -> str:
    """Show one answer: the image, what it is in words, every label's probability, and how to script it.

    With `?explain=true` also why: what mattered in the image for the answer's label or `?label=`.
    """
    prediction = get_prediction(filename)
    found, reasons = prediction.answer, {}
    if is_explaining():
        reasons = _explain(prediction)
    elif found.get("reason") == "unknown":
        reasons = {"similar": why.find_nearest(prediction)}
    return _render(
        "predict/show.html",
        prediction.dataset,
        prediction=prediction,
        answer=found,
        sentence=describe(found),
        perhaps=name_perhaps(found),
        chart_json=charts.probability_bars(found["probabilities"]),
        json_text=json.dumps(found, indent=2, ensure_ascii=False),
        word=feedback.find(prediction, get_user()),
        choices=_choices(prediction),
        said=feedback.labels_of_today(prediction),
        **reasons,
    )


def _explain(prediction: Prediction) -> dict:
    """Return what the page says of why; abort as `why.ask` does, with 404 where the image is gone."""
    answer, version, explanation = _ask_why(prediction)
    return {
        "explanation": explanation,
        "heat": why.draw(explanation, answer["image"]["width"], answer["image"]["height"]),
        "places": heatmaps.describe(explanation),
        "similar": why.find_similar(version, explanation),
    }


def _ask_why(prediction: Prediction) -> tuple[dict, Version, Explanation]:
    answer = prediction.answer
    version = find_version(prediction.dataset, answer["version"])
    label = request.args.get("label") or answer["probabilities"][0]["label"]
    try:
        content = storage.read_original(prediction.filename)
    except FileNotFoundError:
        abort(404, "The image is not kept any more, so it can't be looked at again.")
    return answer, version, why.ask(version, content, label)


def _choices(prediction: Prediction) -> list[str]:
    """The labels that it could have been: the dataset's, of which strangers are told those of the answer."""
    names = [label.name for label in prediction.dataset.labels]
    told = {entry["label"] for entry in prediction.answer["probabilities"]}
    is_member = has_role(get_user(), prediction.dataset, "viewer")
    return [name for name in names if is_member or name in told]


@blueprint.post("/predict/<filename>/feedback")
@public
@limits(rate="predict")
def give_feedback(filename: str) -> AnyResponse:
    """Keep whether an answer was right, and what it should have been."""
    prediction, said = get_prediction(filename), request.form.get("correct")
    if said not in ("yes", "no"):
        abort(400, "Say whether it is right.")
    labels = [label for label in request.form.getlist("label") if label and said == "no"]
    try:
        feedback.give(prediction, get_user(), said == "yes", labels or None)
    except feedback.FeedbackRefused as refused:
        flash(str(refused), "danger")
        return redirect(url_for("predict.show", filename=filename), 303)
    db.session.commit()
    flash("Thank you, that is noted.", "success")
    back = local_address(request.form.get("back", ""), url_for("predict.show", filename=filename))
    return redirect(back, 303)


@blueprint.get("/predict/<filename>.json")
@public
@limits(rate_of_explaining="predict")
def show_json(filename: str) -> Response:
    """Give the same answer as JSON, as the API gave or would have given it; with `?explain=true` also why."""
    prediction = get_prediction(filename)
    if not is_explaining():
        return jsonify(prediction.answer)
    answer, version, explanation = _ask_why(prediction)
    beside = why.as_json(
        version, explanation, lambda item: url_for("images.thumbnail", filename=item.filename)
    )
    return jsonify(answer | beside)


def _render(template: str, dataset: Dataset, **more) -> str:
    return render_template(
        template,
        dataset=dataset,
        calls=write_calls(dataset),
        is_member=has_role(get_user(), dataset, "viewer"),
        percent=charts.as_percent,
        **more,
    )


def describe(answer: dict) -> tuple[str, list[str], str]:
    """Put an answer into words: what comes before the labels, the labels, and what comes after them."""
    pairs = [(entry["label"], entry["probability"]) for entry in answer["probabilities"]]
    if answer.get("reason") == "unknown":
        return "This is not like anything I was taught", [], "."
    if answer.get("reason") == "uncertain":
        return "I am not sure: perhaps ", [label for label, _ in pairs[:UNSURE_SHOWN]], "."
    if answer["label"] is None:
        return "None of the labels fits well enough", [], "."
    if len(answer["labels"]) > 1 or "threshold" in answer["probabilities"][0]:
        return "This shows ", answer["labels"], "."
    (label, probability), *others = pairs
    if probability < LIKELY and others:
        return "Not sure: ", [label, others[0][0]], "?"
    before = "This is " if probability >= SURE else "Probably "
    return before, [label], f" — {charts.as_percent(probability)}"


def name_perhaps(answer: dict) -> list[dict]:
    """Return the entries of the labels that nearly fit, likeliest first: at least halfway to their threshold.

    Empty for an answer of one label, which has no thresholds.
    """
    entries = [entry for entry in answer["probabilities"] if entry["label"] not in answer["labels"]]
    near = [entry for entry in entries if entry["probability"] >= entry.get("threshold", 2) * NEARLY]
    return near[:PERHAPS_SHOWN]


def write_calls(dataset: Dataset) -> tuple[Snippet, ...]:
    """Return the calls that ask the API about a photo.jpg in the folder where they are pasted.

    The token comes from the environment, so that it stands in no shell history; public datasets need none.
    """
    address = f"{server_address()}/api/v1/datasets/{dataset.slug}/predict"
    return write(Call("POST", address, needs_token=not dataset.is_public, files={"image": PHOTO}))
