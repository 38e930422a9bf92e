"""How much is said against how much of that is right, at every threshold (risk and coverage)."""

from __future__ import annotations

from bokeh.models import ColumnDataSource, HoverTool, NumeralTickFormatter, Range1d
from bokeh.plotting import figure

from learning.thresholds import STEPS, Totals
from web import charts
from web.charts import Palette


def coverage_chart(curve: list[Totals], present: Totals, is_single: bool) -> str:
    """A line of all thresholds, and the point of the present ones, which static/threshold.js moves.

    Args:
        curve: of each step, were it the threshold of all labels.
        present: what the present thresholds make of it.
        is_single: across is the share of images answered; of several labels, the share of labels found.

    Returns:
        The chart as JSON text for `charts/chart.html`.
    """
    return charts.as_json(lambda palette: _draw(curve, present, is_single, palette))


def _draw(curve: list[Totals], present: Totals, is_single: bool, palette: Palette) -> figure:
    line = _columns(curve, is_single)
    lowest = min([*line["y"], *_columns([present], is_single)["y"]], default=0.0)
    chart = charts.plain_figure(
        palette,
        x_range=Range1d(-0.02, 1.03),
        y_range=Range1d(max(0.0, lowest - 0.04), 1.01),
        height=320,
        sizing_mode="stretch_width",
        max_width=760,
        x_axis_label="Images answered" if is_single else "Labels found",
        y_axis_label="Of those right" if is_single else "Of what is said, right",
    )
    drawn = chart.line("x", "y", source=ColumnDataSource(line), line_color=palette.right, line_width=2)
    point = ColumnDataSource(
        {name: _columns([present], is_single)[name] for name in ("x", "y")}, name="present"
    )
    chart.scatter("x", "y", source=point, size=14, fill_color=palette.wrong, line_color=palette.ink)
    tooltips = [("Threshold", "@limit"), (chart.xaxis.axis_label, "@across"), ("Right", "@up")]
    chart.add_tools(HoverTool(renderers=[drawn], tooltips=tooltips, mode="vline", line_policy="nearest"))
    for axis in chart.axis:
        axis.formatter = NumeralTickFormatter(format="0 %")
    return chart


def _columns(curve: list[Totals], is_single: bool) -> dict[str, list]:
    """The points at which anything is said, each once."""
    columns = {"x": [], "y": [], "limit": [], "across": [], "up": []}
    for step, one in enumerate(curve):
        if one.precision is None:
            continue
        x, y = one.share if is_single else one.recall, one.precision
        if columns["x"] and (x, y) == (columns["x"][-1], columns["y"][-1]):
            continue
        row = (x, y, f"{step / STEPS:.3f}", charts.as_percent(x), charts.as_percent(y))
        for name, value in zip(columns, row, strict=True):
            columns[name].append(value)
    return columns
