"""Charts: whole, inert, readable, and nothing in them that needs eval."""

from __future__ import annotations

import json

import bokeh
import numpy as np
import pytest
from flask import render_template_string

from web import charts, confusion_charts

PAGE = '{% from "charts/chart.html" import chart %}{{ chart(json, "bars") }}'


def columns_of(item: dict) -> list[dict]:
    """The data of every source in one theme's chart."""
    found, waiting = [], [item["doc"]["roots"]]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if value.get("name") == "ColumnDataSource":
                found.append(dict(value["attributes"]["data"]["entries"]))
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
    return found


def bars(*pairs) -> str:
    return charts.probability_bars([{"label": label, "probability": share} for label, share in pairs])


def test_bars_come_in_both_themes_with_every_label_highest_first():
    chart = json.loads(bars(("rose", 0.2), ("daisy", 0.7), ("tulip", 0.1)))
    for theme in ("light", "dark"):
        [columns] = columns_of(chart[theme])
        assert columns["label"] == ["daisy", "rose", "tulip"]
        assert columns["percent"] == ["70.0 %", "20.0 %", "10.0 %"]


def test_a_threshold_s_mark_never_strikes_a_percentage_through():
    entries = [
        {"label": "near", "probability": 0.25, "threshold": 0.3},
        {"label": "far", "probability": 0.2, "threshold": 0.6},
    ]
    [columns] = columns_of(json.loads(charts.probability_bars(entries))["light"])
    assert columns["written"] == [0.3, 0.2]


def test_charts_hold_nothing_that_needs_eval():
    chart = bars(("a", 1.0)) + confusion_charts.confusion_matrix(["a", "b"], np.eye(2, dtype=int), {})
    assert "CustomJS" not in chart
    assert '"output_backend":"webgl"' not in chart


def test_a_label_is_never_read_as_markup_or_mathematics(app):
    hostile = "$$x$$</script><script>alert(1)</script>"
    with app.test_request_context():
        page = render_template_string(PAGE, json=bars((hostile, 1.0)))
    assert page.count("</script>") == 1
    assert page.count("<script") == 1
    assert '"PlainText"' in page


def test_the_matrix_has_a_cell_for_every_confusion_and_none_for_what_never_happened():
    counts = np.array([[8, 2], [0, 5]])
    chart = json.loads(confusion_charts.confusion_matrix(["a", "b"], counts, {(0, 1): "/there"}))
    [columns] = columns_of(chart["light"])
    assert list(zip(columns["true"], columns["predicted"], columns["count"], strict=True)) == [
        (0, 0, "8"),
        (0, 1, "2"),
        (1, 1, "5"),
    ]
    assert columns["url"] == ["", "/there", ""]


def test_the_matrix_of_many_labels_shows_those_that_are_confused_most():
    size = confusion_charts.MOST_IN_MATRIX + 3
    counts = 9 * np.eye(size, dtype=int)
    counts[np.arange(3, size), 2] = 1  # all but the first two are taken for the third
    counts[size - 1, 0] = 3
    chart = json.loads(
        confusion_charts.confusion_matrix([f"l{n}" for n in range(size)], counts, {(size - 1, 0): "/it"})
    )
    [columns] = columns_of(chart["light"])
    cells = list(zip(columns["is"], columns["said"], columns["share"], columns["url"], strict=True))
    last = f"l{size - 1}"
    assert (last, "l0", "23.1 %", "/it") in cells  # 3 of its 13, those that are not drawn too
    assert max(columns["true"]) == confusion_charts.MOST_IN_MATRIX - 1
    assert "l1" not in columns["is"]


@pytest.mark.parametrize("colour", ["#ffffff", "#0072b2", "#56b4e9", "#c24e00", "#201f1c"])
def test_numbers_in_cells_can_be_read_on_every_colour(colour):
    def luminance(value):
        linear = charts._rgb(value) / 255
        linear = np.where(linear <= 0.04045, linear / 12.92, ((linear + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722]

    low, high = sorted((luminance(colour), luminance(charts.readable_ink(colour))))
    assert (high + 0.05) / (low + 0.05) >= 4.5


def test_long_labels_are_cut_on_the_axis():
    assert charts.shortened("a" * 100) == "a" * 17 + "…"


def test_almost_everything_is_not_called_everything():
    assert charts.as_percent(0.9999) == "99.9 %"
    assert charts.as_percent(1.0) == "100.0 %"


def test_bokehjs_is_served_from_the_installed_package_to_be_kept_for_good(client):
    answer = client.get(f"/static/bokeh/{bokeh.__version__}/bokeh.min.js")
    assert answer.status_code == 200
    assert answer.mimetype == "text/javascript"
    assert "immutable" in answer.headers["Cache-Control"]


@pytest.mark.parametrize("path", ["0.0.1/bokeh.min.js", f"{bokeh.__version__}/compiler.js"])
def test_no_other_file_of_bokeh_is_served(client, path):
    assert client.get(f"/static/bokeh/{path}").status_code == 404
