"""Thresholds: from which probability on a version says a label, tried out on what it judged, and kept."""

from __future__ import annotations

import json
import math

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response as AnyResponse

from learning.thresholds import TARGETS, Totals
from models import Version
from web import decisions
from web.access import get_dataset
from web.answers import find_version
from web.decisions import Ground, Limits
from web.threshold_charts import coverage_chart

blueprint = Blueprint("thresholds", __name__, url_prefix="/datasets/<slug>/versions/<int:number>")

SUGGESTIONS = {"f1": "Greatest F1 of each label"} | {
    f"right-{100 * share:.0f}": f"At least {100 * share:.0f} % right" for share in TARGETS
}
NOT_REACHED = "No threshold makes so much of it right on these images."


@blueprint.get("/threshold")
def show(slug: str, number: int) -> str:
    """Show what the thresholds make of the images: those kept, those in the address, or those suggested."""
    dataset = get_dataset(slug)
    version = find_version(dataset, number)
    limits = decisions.read(version)
    ground = decisions.ground_of(version, limits)
    tried, is_each = _tried(limits, ground)
    return render_template(
        "versions/threshold.html",
        dataset=dataset,
        version=version,
        limits=limits,
        ground=ground,
        tried=tried,
        is_each=is_each,
        suggestions=SUGGESTIONS,
        share=share_words,
        write=decisions.show,
        watch=limits.watch,
        **(_weigh(ground, tried, limits.is_single) if ground else {}),
    )


@blueprint.post("/threshold")
def change(slug: str, number: int) -> AnyResponse:
    """Keep the thresholds, go back to those of the training, or only count what they make of the images."""
    version = find_version(get_dataset(slug, "editor"), number)
    limits, wanted = decisions.read(version), request.form.get("do")
    if wanted == "count":
        return redirect(url_for(".show", slug=slug, number=number, **_chosen_fields(limits)), 303)
    if wanted == "reset":
        decisions.change(version, None)
        flash("The thresholds of the training are back.", "success")
    elif wanted == "save":
        return _save(slug, version, limits)
    else:
        abort(400, "Say what to do: count, save or reset.")
    return redirect(url_for(".show", slug=slug, number=number), 303)


def _save(slug: str, version: Version, limits: Limits) -> AnyResponse:
    """Keep what the form says, unless others were saved since its page was opened: then show both."""
    tried, _ = _read_limits(request.form, limits)
    fields = {}
    try:
        decisions.change(version, dict(zip(limits.labels, tried, strict=True)), request.form.get("seen"))
        words = f"Version {version.number} decides by these thresholds from now on, everywhere."
        flash(words, "success")
    except decisions.Overtaken as overtaken:
        flash(str(overtaken), "danger")
        fields = _chosen_fields(limits)
    return redirect(url_for(".show", slug=slug, number=version.number, **fields), 303)


@blueprint.post("/unknown")
def watch(slug: str, number: int) -> AnyResponse:
    """Reject what is like nothing that was taught, or give that a label too."""
    version = find_version(get_dataset(slug, "editor"), number)
    wanted = request.form.get("watch")
    if wanted not in ("on", "off"):
        abort(400, "Say whether to watch for the unknown: on or off.")
    decisions.watch_for_unknown(version, wanted == "on")
    words = "tells what it was not taught" if wanted == "on" else "gives everything a label"
    flash(f"Version {number} {words} from now on, everywhere.", "success")
    return redirect(url_for(".show", slug=slug, number=number), 303)


def _chosen_fields(limits: Limits) -> dict[str, str]:
    """What the form says, as the address has it: one threshold, or those of labels that are to be others.

    An address may be 8,000 characters long, and there may be hundreds of labels.
    """
    sent = request.form
    if sent.get("mode") != "each":
        return {name: sent[name] for name in ("mode", "at") if name in sent}
    present = {f"at-{place}": decisions.show(limit) for place, limit in enumerate(limits.present)}
    return {"mode": "each"} | {
        name: sent[name] for name, limit in present.items() if sent.get(name, limit) != limit
    }


def _tried(limits: Limits, ground: Ground | None) -> tuple[list[float], bool]:
    """Return the thresholds to be shown, one a label, and whether each label has its own."""
    kind = request.args.get("suggest")
    if kind is None or ground is None:
        return _read_limits(request.args, limits)
    if kind not in SUGGESTIONS:
        abort(400, f"suggest is one of: {', '.join(SUGGESTIONS)}.")
    found = decisions.suggest(kind, ground)
    if found is None:
        flash(NOT_REACHED, "warning")
        return limits.present, not limits.has_one
    return found, kind == "f1"


def _read_limits(sent: MultiDict, limits: Limits) -> tuple[list[float], bool]:
    """Return the thresholds that a form or an address names; where it names none, the present ones."""
    if sent.get("mode") == "each" or ("at" not in sent and "at-0" in sent):
        return [_read_limit(sent, f"at-{place}", one) for place, one in enumerate(limits.present)], True
    if "at" in sent:
        return [_read_limit(sent, "at", 0.0)] * len(limits.labels), False
    return limits.present, not limits.has_one


def _read_limit(sent: MultiDict, name: str, otherwise: float) -> float:
    try:
        limit = float(sent.get(name) or otherwise)
    except ValueError:
        limit = math.nan
    if not 0 <= limit <= 1:  # so written, not-a-number fails too
        abort(400, "A threshold is a number from 0 to 1, such as 0.7.")
    return limit


def _weigh(ground: Ground, tried: list[float], is_single: bool) -> dict:
    """What the page shows of the images: totals, each label's, the check on the test, chart and tables."""
    present = decisions.totals(ground.table, tried)
    tables = {"table": ground.table} | ({"check": ground.check} if ground.check else {})
    return {
        "present": present,
        "checked": decisions.totals(ground.check, tried) if ground.check else None,
        "rows": decisions.by_label(ground.table, tried),
        "chart_json": coverage_chart(ground.table.curve(), present, is_single),
        "tables_json": json.dumps({name: decisions.as_table(table) for name, table in tables.items()}),
    }


def share_words(part: float | None, whole: float) -> str:
    """A share in per cent with one decimal, rounded as static/threshold.js does; a dash of nothing."""
    return f"{math.floor(1000 * part / whole + 0.5) / 10:.1f} %" if whole else "–"


@blueprint.app_template_filter()
def interval_words(found: Totals) -> str:
    """The 95 % interval of how much is right."""
    low, high = found.interval
    return f"{share_words(low, 1)} to {share_words(high, 1)}"
