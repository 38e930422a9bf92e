"""The reliability diagram: how often it is right, against how sure it says it is."""

from __future__ import annotations

from bokeh.models import ColumnDataSource, FixedTicker, HoverTool, PlainText, Range1d
from bokeh.plotting import figure

from learning.reliability import Bin, Reliability
from web import charts
from web.charts import Palette

TICKS = (0, 0.2, 0.4, 0.6, 0.8, 1)
SMALLEST, LARGEST = 6, 26  # pixels across a point


def reliability_diagram(before: Reliability | None, after: Reliability) -> str:
    """A point a bin, as large as it has decisions, with its 95 % interval; on the diagonal all is well.

    Args:
        before: without the calibration, drawn as hollow points.

    Returns:
        The chart as JSON text for `charts/chart.html`.
    """
    return charts.as_json(lambda palette: _draw(before, after, palette))


def _draw(before: Reliability | None, after: Reliability, palette: Palette) -> figure:
    chart = charts.plain_figure(
        palette,
        x_range=Range1d(-0.03, 1.03),
        y_range=Range1d(-0.03, 1.03),
        height=420,
        sizing_mode="stretch_width",
        max_width=560,
        x_axis_label="How sure it says it is",
        y_axis_label="How often it is right",
    )
    _name_shares(chart)
    chart.line([0, 1], [0, 1], line_color=palette.ink, line_dash="dashed", line_alpha=0.5)
    points = [_add(chart, after, palette.right, "after", palette)]
    if before:
        points.append(_add(chart, before, palette.wrong, "before", palette))
    tooltips = [("Says", "@said_words"), ("Is right", "@right_words"), ("Of", "@count")]
    chart.add_tools(HoverTool(renderers=points, tooltips=[("Calibration", "@when"), *tooltips]))
    return chart


def _name_shares(chart: figure) -> None:
    for axis in chart.axis:
        axis.ticker = FixedTicker(ticks=list(TICKS))
        axis.major_label_overrides = {tick: PlainText(text=f"{tick:.0%}") for tick in TICKS}


def _add(chart: figure, found: Reliability, colour: str, when: str, palette: Palette):
    source = ColumnDataSource(_columns(found.bins, found.decisions, when))
    chart.line("said", "right", source=source, line_color=colour, line_alpha=0.5)
    is_after = when == "after"
    if is_after:
        chart.segment("said", "low", "said", "high", source=source, line_color=colour, line_width=2)
    fill = colour if is_after else palette.paper
    return chart.scatter(
        "said", "right", size="size", source=source, fill_color=fill, line_color=colour, line_width=2
    )


def _columns(bins: list[Bin], decisions: int, when: str) -> dict[str, list]:
    sizes = [SMALLEST + (LARGEST - SMALLEST) * (part.count / decisions) ** 0.5 for part in bins]
    return {
        "said": [part.said for part in bins],
        "right": [part.right for part in bins],
        "low": [part.interval[0] for part in bins],
        "high": [part.interval[1] for part in bins],
        "size": sizes,
        "count": [f"{part.count:,}" for part in bins],
        "said_words": [charts.as_percent(part.said) for part in bins],
        "right_words": [charts.as_percent(part.right) for part in bins],
        "when": [when] * len(bins),
    }
