"""Bokeh charts as data: `json_item` of the same figure for light and dark, drawn by static/charts.js.

No inline script, no CustomJS and no template formatter, so that the pages need no `unsafe-eval`. Colours are
Okabe and Ito's (2008), told apart by colour-blind eyes too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from bokeh.core.json_encoder import serialize_json
from bokeh.embed import json_item
from bokeh.models import Axis, ColumnDataSource, FixedTicker, HoverTool, PlainText, Range1d
from bokeh.plotting import figure

TICK_LETTERS = 18  # longer labels are cut on the axis and whole on hover
BAR_PIXELS = 30
PERCENT_WIDTH = 0.15  # of the axis: a mark that would strike a percentage through moves it behind itself


@dataclass(frozen=True)
class Palette:
    """The colours of one theme, as `#rrggbb`."""

    paper: str
    ink: str
    quiet: str
    right: str
    wrong: str


PALETTES = {
    "light": Palette(paper="#ffffff", ink="#24221e", quiet="#e2dfd8", right="#0072b2", wrong="#c24e00"),
    "dark": Palette(paper="#201f1c", ink="#ebe8e2", quiet="#4a4741", right="#56b4e9", wrong="#e69f00"),
}


def probability_bars(probabilities: Sequence[dict]) -> str:
    """Horizontal bars of every label's probability, highest first, with values on hover.

    Args:
        probabilities: `{"label": str, "probability": 0 to 1}` each, as an answer holds them; where several
            labels may fit, with the `threshold` that is marked and from which on a label is said.

    Returns:
        The chart as JSON text for `charts/chart.html`.
    """
    ordered = sorted(probabilities, key=lambda entry: -entry["probability"])
    return as_json(lambda palette: _bars(ordered, palette))


def as_json(draw: Callable[[Palette], figure]) -> str:
    """The figure that `draw` makes of each theme's palette, as `{"light": item, "dark": item}`."""
    return serialize_json({theme: json_item(draw(palette)) for theme, palette in PALETTES.items()})


def _bars(entries: Sequence[dict], palette: Palette) -> figure:
    labels = [entry["label"] for entry in entries]
    rows = list(range(len(labels)))
    chart = plain_figure(
        palette,
        x_range=Range1d(0, 1.16),  # room for the value behind a full bar
        y_range=Range1d(len(labels) - 0.5, -0.5),
        height=BAR_PIXELS * len(labels) + 40,
        sizing_mode="stretch_width",
    )
    columns = {"row": rows, "label": labels, **_bar_columns(entries, palette)}
    source = ColumnDataSource(columns)
    bars = chart.hbar(y="row", right="share", height=0.7, source=source, color="colour")
    chart.text(x="written", y="row", text="percent", x_offset=6, text_baseline="middle", source=source)
    chart.renderers[-1].glyph.update(text_color=palette.ink, text_font_size="13px")
    tooltips = [("Label", "@label"), ("Probability", "@percent")]
    if "threshold" in columns:
        _mark_thresholds(chart, source, palette)
        tooltips.append(("Said from", "@limit"))
    chart.add_tools(HoverTool(renderers=[bars], tooltips=tooltips))
    name_ticks(chart.yaxis[0], labels)
    chart.xaxis.ticker = FixedTicker(ticks=[0, 0.25, 0.5, 0.75, 1])
    chart.xaxis[0].major_label_overrides = {
        tick: PlainText(text=f"{tick:.0%}") for tick in (0, 0.25, 0.5, 0.75, 1)
    }
    chart.ygrid.visible = False
    return chart


def _bar_columns(entries: Sequence[dict], palette: Palette) -> dict[str, list]:
    """The bars as columns: share, words, colour and, where there are thresholds, these and their words."""
    shares = [float(entry["probability"]) for entry in entries]
    columns = {"share": shares, "percent": [as_percent(share) for share in shares]}
    if not entries or "threshold" not in entries[0]:
        return {**columns, "written": shares, "colour": [palette.right] * len(entries)}
    limits = [float(entry["threshold"]) for entry in entries]
    is_said = [share >= limit for share, limit in zip(shares, limits, strict=True)]
    colours = [palette.right if said else mix(palette.paper, palette.right, 0.4) for said in is_said]
    written = [
        limit if share < limit < share + PERCENT_WIDTH else share
        for share, limit in zip(shares, limits, strict=True)
    ]
    columns |= {"written": written, "colour": colours, "threshold": limits}
    return columns | {"limit": [as_percent(one) for one in limits]}


def _mark_thresholds(chart: figure, source: ColumnDataSource, palette: Palette) -> None:
    """Draw an upright stroke at each label's threshold."""
    places = source.data["row"]
    source.add([place - 0.45 for place in places], "above")
    source.add([place + 0.45 for place in places], "below")
    chart.segment(x0="threshold", x1="threshold", y0="above", y1="below", source=source)
    chart.renderers[-1].glyph.update(line_color=palette.ink, line_width=2)


def plain_figure(palette: Palette, **more) -> figure:
    """A figure without toolbar, in the theme's colours, transparent onto the page."""
    chart = figure(toolbar_location=None, tools="", background_fill_color=None, **more)
    chart.border_fill_color = chart.outline_line_color = None
    for axis in chart.axis:
        axis.update(
            axis_label_text_color=palette.ink,
            major_label_text_color=palette.ink,
            major_label_text_font_size="13px",
            axis_label_text_font_size="13px",
            axis_label_text_font_style="normal",
            axis_line_color=palette.quiet,
            major_tick_line_color=palette.quiet,
            minor_tick_line_color=None,
        )
    chart.grid.grid_line_color = palette.quiet
    return chart


def name_ticks(axis: Axis, labels: list[str]) -> None:
    """Write the labels at 0, 1, 2 … as plain text (a bare string with $$ would be set as mathematics)."""
    axis.ticker = FixedTicker(ticks=list(range(len(labels))))
    axis.major_label_overrides = {row: PlainText(text=shortened(label)) for row, label in enumerate(labels)}


def shortened(label: str) -> str:
    """The label, cut to what an axis has room for."""
    return label if len(label) <= TICK_LETTERS else f"{label[: TICK_LETTERS - 1]}…"


def as_percent(share: float) -> str:
    """A share of 0 to 1 as a person reads it: one decimal, and never "100 %" of something less than all."""
    rounded = round(100 * share, 1)
    if rounded == 100 and share < 1:
        rounded = 99.9
    return f"{rounded:.1f} %"


def mix(paper: str, colour: str, share: float) -> str:
    """`share` (0 to 1) of `colour` laid over `paper`."""
    blended = (1 - share) * _rgb(paper) + share * _rgb(colour)
    return "#" + "".join(f"{round(value):02x}" for value in blended)


def readable_ink(colour: str) -> str:
    """Black or white, whichever contrasts more on `colour` (WCAG 2.2's relative luminance)."""
    linear = _rgb(colour) / 255
    linear = np.where(linear <= 0.04045, linear / 12.92, ((linear + 0.055) / 1.055) ** 2.4)
    return "#000000" if linear @ [0.2126, 0.7152, 0.0722] > 0.179 else "#ffffff"


def _rgb(colour: str) -> np.ndarray:
    return np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)], dtype=np.float64)
