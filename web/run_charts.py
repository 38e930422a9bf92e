"""The charts of a run: loss and metric epoch by epoch, and what the learning-rate finder tried.

Their data lies in sources named `epochs`, `rates` and `suggested`, which static/curves.js fills anew while
the run goes on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from bokeh.models import BasicTicker, ColumnDataSource, HoverTool, Legend, LegendItem
from bokeh.plotting import figure

from web.charts import Palette, as_json, plain_figure

HEIGHT = 260  # pixels


def epoch_curve(epochs: dict[str, list], which: str, words: str) -> str:
    """A figure of training and its twin of validation over the epochs, as JSON text for static/charts.js.

    Args:
        epochs: the columns of `curves.Curves.epochs`.
        which: loss or metric.
        words: what it is called.
    """
    return as_json(lambda palette: _curve(epochs, (which, f"val_{which}"), words, palette))


def rate_curve(rates: dict[str, list], suggested: float | None) -> str:
    """The loss at each learning rate tried, on a logarithmic axis, the suggested one marked, as JSON text."""
    return as_json(lambda palette: _rates(rates, suggested, palette))


def _curve(epochs: dict[str, list], names: tuple[str, str], words: str, palette: Palette) -> figure:
    chart = plain_figure(palette, height=HEIGHT, sizing_mode="stretch_width")
    source = ColumnDataSource({name: _filled(values) for name, values in epochs.items()}, name="epochs")
    items = []
    looks = (("Training", palette.right, "solid"), ("Validation", palette.wrong, "dashed"))
    for name, (title, colour, dash) in zip(names, looks, strict=True):
        line = chart.line("epoch", name, source=source, color=colour, line_width=2, line_dash=dash)
        dots = chart.scatter("epoch", name, source=source, color=colour, size=6)
        items.append(LegendItem(label=title, renderers=[line, dots]))
        chart.add_tools(
            HoverTool(renderers=[dots], tooltips=[("Epoch", "@epoch"), (title, f"@{name}{{0.0000}}")])
        )
    add_legend(chart, items, palette)
    chart.xaxis.axis_label, chart.yaxis.axis_label = "Epoch", words
    chart.xaxis.ticker = BasicTicker(min_interval=1)
    return chart


def _rates(rates: dict[str, list], suggested: float | None, palette: Palette) -> figure:
    chart = plain_figure(palette, height=HEIGHT, sizing_mode="stretch_width", x_axis_type="log")
    source = ColumnDataSource({name: _filled(values) for name, values in rates.items()}, name="rates")
    mark = ColumnDataSource({"rate": [] if suggested is None else [suggested]}, name="suggested")
    line = chart.line("rate", "loss", source=source, color=palette.right, line_width=2)
    chart.vspan(x="rate", source=mark, line_color=palette.wrong, line_width=2, line_dash="dashed")
    chart.add_tools(
        HoverTool(renderers=[line], tooltips=[("Rate", "@rate{0.000000}"), ("Loss", "@loss{0.000}")])
    )
    chart.xaxis.axis_label, chart.yaxis.axis_label = "Learning rate", "Loss"
    return chart


def _filled(values: Sequence[Any]) -> list[float]:
    """The values with a gap where one is unknown."""
    return [math.nan if value is None else value for value in values]


def add_legend(chart: figure, items: list[LegendItem], palette: Palette) -> None:
    """Lay a legend above the chart, in the theme's colours."""
    legend = Legend(items=items, orientation="horizontal", background_fill_color=None, border_line_color=None)
    legend.update(label_text_color=palette.ink, label_text_font_size="13px", padding=0, margin=4, spacing=12)
    chart.add_layout(legend, "above")
