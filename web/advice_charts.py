"""The chart of the learning curve: what was measured with fewer images, and what twice as many may bring."""

from __future__ import annotations

from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, FixedTicker, HoverTool, LegendItem, NumeralTickFormatter
from bokeh.plotting import figure

from web.charts import Palette, as_json, as_percent, plain_figure
from web.run_charts import add_legend

HEIGHT = 300  # pixels
DRAWN = 60  # points of the law's line


def learning_curve(curve: dict[str, Any], name: str) -> str:
    """Score by number of images with 95 % intervals, and the power law through it, as JSON text.

    Args:
        curve: as `serving.findings.Findings` has it.
        name: of the score.
    """
    return as_json(lambda palette: _draw(curve, name, palette))


def _draw(curve: dict[str, Any], name: str, palette: Palette) -> figure:
    chart = plain_figure(palette, height=HEIGHT, sizing_mode="stretch_width", x_axis_type="log")
    asymptote, factor, exponent = curve["law"]
    last = curve["sizes"][-1] * (2 if curve["doubled"] else 1)
    sizes = np.geomspace(curve["sizes"][0], last, DRAWN)
    scores = 1 - asymptote - factor * sizes**-exponent
    law = chart.line(sizes, scores, color=palette.right, line_width=2, line_dash="dashed")
    items = [
        LegendItem(label="Measured", renderers=[_points(chart, _measured(curve), palette.right, "circle")])
    ]
    if curve["doubled"]:
        expected = _points(chart, _expected(curve), palette.wrong, "diamond")
        items.append(LegendItem(label="Expected", renderers=[expected]))
    items.append(LegendItem(label="Power law", renderers=[law]))
    add_legend(chart, items, palette)
    chart.xaxis.axis_label, chart.yaxis.axis_label = "Images learnt from", name
    chart.yaxis.formatter = NumeralTickFormatter(format="0 %")
    ticks = [*curve["sizes"], *([last] if curve["doubled"] else [])]
    chart.xaxis.ticker = FixedTicker(ticks=ticks, minor_ticks=[])
    chart.xaxis.formatter = NumeralTickFormatter(format="0,0")
    return chart


def _points(chart: figure, columns: dict[str, list], colour: str, marker: str) -> Any:
    source = ColumnDataSource(columns)
    chart.segment(x0="size", x1="size", y0="low", y1="high", source=source, color=colour, line_width=2)
    dots = chart.scatter("size", "score", source=source, color=colour, size=9, marker=marker)
    tooltips = [("Images", "@size{0,0}"), ("Score", "@percent"), ("95 %", "@interval")]
    chart.add_tools(HoverTool(renderers=[dots], tooltips=tooltips))
    return dots


def _measured(curve: dict[str, Any]) -> dict[str, list]:
    low, high = zip(*curve["intervals"], strict=True)
    return _columns(curve["sizes"], curve["scores"], low, high)


def _expected(curve: dict[str, Any]) -> dict[str, list]:
    score, low, high = curve["doubled"]
    return _columns([2 * curve["sizes"][-1]], [score], [low], [high])


def _columns(sizes: Any, scores: Any, low: Any, high: Any) -> dict[str, list]:
    ends = zip(low, high, strict=True)
    return {
        "size": list(sizes),
        "score": list(scores),
        "low": list(low),
        "high": list(high),
        "percent": [as_percent(score) for score in scores],
        "interval": [f"{as_percent(one)} to {as_percent(other)}" for one, other in ends],
    }
