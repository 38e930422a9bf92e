"""FastImageClassification's door: a file in a form, every label's probability back, no token."""

from __future__ import annotations

from flask import Blueprint, Response, abort, current_app, json, request
from sqlalchemy import select

from models import Dataset, db
from utils import ImageRefused
from web.access import SCOREFILE, public
from web.answers import answer_all, find_version
from web.errors import Refused
from web.limits import limits

DECIMALS = 3

blueprint = Blueprint("fastimage", __name__)


@blueprint.post(SCOREFILE)
@public
@limits(body="MAX_PREDICT_BODY", rate="predict", is_reading=True)
def score() -> Response:
    """Give every label's probability, rounded, in the order in which the version knows them."""
    version = find_version(_get_dataset())
    sent = request.files.get("file")
    if sent is None:
        raise Refused("Send the image as a form's field 'file' (curl: -F file=@photo.jpg).", "file")
    (outcome,) = answer_all(version, [(sent.filename or "", sent.read())])
    if isinstance(outcome, ImageRefused):
        raise Refused(str(outcome), "file")
    known = dict(outcome.probabilities)
    scores = {label: round(known[label], DECIMALS) for label in version.labels}
    return Response(json.dumps(scores, sort_keys=False), mimetype="application/json")


def _get_dataset() -> Dataset:
    """Return the dataset that the setting names; abort with 404 or 401, saying what to do."""
    slug = current_app.config["PIGEONHOLE"].scorefile_dataset
    if not slug:
        abort(404, "This address is closed: the setting scorefile_dataset names no dataset.")
    dataset = db.session.scalar(select(Dataset).filter_by(slug=slug))
    if dataset is None:
        abort(404, f"There is no dataset {slug}, which the setting scorefile_dataset names.")
    if not dataset.is_public:
        advice = f"An owner of {slug} must open its predict page to everybody first."
        abort(404, f"No token is sent here. {advice}")
    return dataset


@blueprint.after_app_request
def _in_shape(response: Response) -> Response:
    """Give an error the shape {"detail": …}, which scripts for FastAPI's programs know."""
    if response.status_code >= 400 and request.path == SCOREFILE:
        error = (response.get_json(silent=True) or {}).get("error")
        if error:
            response.set_data(json.dumps({"detail": error["message"]}))
    return response
