"""Calibration: whether a version's probabilities mean what they say."""

from __future__ import annotations

from flask import Blueprint, render_template

from learning.calibration import SINGLE
from web import calibrated
from web.access import get_dataset
from web.answers import find_version
from web.reliability_charts import reliability_diagram

blueprint = Blueprint("calibrations", __name__, url_prefix="/datasets/<slug>/versions/<int:number>")


@blueprint.get("/calibration")
def show(slug: str, number: int) -> str:
    """Show the reliability diagram and the calibration error of each kind of judging, before and after."""
    dataset = get_dataset(slug)
    version = find_version(dataset, number)
    blocks, found = calibrated.of(version), calibrated.calibration_of(version)
    return render_template(
        "versions/calibration.html",
        dataset=dataset,
        version=version,
        calibrated=found,
        is_single=found is None or found.task == SINGLE,
        blocks=[(block, reliability_diagram(block.before, block.after)) for block in blocks],
    )
