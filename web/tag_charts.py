"""The chart of a multi-label evaluation: of every label, how often it was found, missed and wrongly said."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from bokeh.models import ColumnDataSource, FixedTicker, HoverTool, PlainText, Range1d, TapTool
from bokeh.plotting import figure

from web import charts
from web.charts import Palette

COLUMNS = ("Found", "Missed", "Wrongly said")
ROW_PIXELS = 28


def decision_matrix(labels: Sequence[str], counts: np.ndarray, urls: dict[tuple[int, int], str]) -> str:
    """Every label (row) with how often it was found, missed and wrongly said; a tap opens the images.

    Args:
        labels: names in the version's order.
        counts: int (labels, 3): found, missed, wrongly said.
        urls: where the cell (label, column) leads; cells without an item have none.

    Returns:
        The chart as JSON text for `charts/chart.html`.
    """
    return charts.as_json(lambda palette: _draw(list(labels), counts, urls, palette))


def _draw(
    labels: list[str], counts: np.ndarray, urls: dict[tuple[int, int], str], palette: Palette
) -> figure:
    chart = charts.plain_figure(
        palette,
        x_range=Range1d(-0.5, len(COLUMNS) - 0.5),
        y_range=Range1d(len(labels) - 0.5, -0.5),
        height=ROW_PIXELS * len(labels) + 40,
        sizing_mode="stretch_width",
        max_width=620,
        x_axis_location="above",
    )
    source = ColumnDataSource(_cells(labels, counts, urls, palette), name="cells")
    cells = chart.rect(x="column", y="row", width=0.97, height=0.92, source=source, color="colour")
    cells.nonselection_glyph = cells.selection_glyph = None
    chart.text(x="column", y="row", text="count", text_color="ink", source=source)
    chart.renderers[-1].glyph.update(text_align="center", text_baseline="middle", text_font_size="13px")
    tooltips = [("Label", "@label"), ("Was", "@what"), ("Images", "@count"), ("Of those", "@share")]
    chart.add_tools(HoverTool(renderers=[cells], tooltips=tooltips), TapTool(renderers=[cells]))
    chart.grid.visible = False
    charts.name_ticks(chart.yaxis[0], labels)
    chart.xaxis.ticker = FixedTicker(ticks=list(range(len(COLUMNS))))
    chart.xaxis[0].major_label_overrides = {place: PlainText(text=name) for place, name in enumerate(COLUMNS)}
    return chart


def _cells(
    labels: list[str], counts: np.ndarray, urls: dict[tuple[int, int], str], palette: Palette
) -> dict[str, list]:
    """The filled cells as columns; the shares are of the label's images, the last of what was said."""
    found, missed, wrongly = counts.T
    wholes = np.stack([found + missed, found + missed, found + wrongly], axis=1)
    places = [(int(row), int(column)) for row, column in np.argwhere(counts)]
    shares = [counts[place] / wholes[place] for place in places]
    colours = [
        charts.mix(palette.paper, palette.wrong if column else palette.right, 0.15 + 0.85 * share)
        for (_, column), share in zip(places, shares, strict=True)
    ]
    return {
        "row": [row for row, _ in places],
        "column": [column for _, column in places],
        "label": [labels[row] for row, _ in places],
        "what": [COLUMNS[column].lower() for _, column in places],
        "count": [str(counts[place]) for place in places],
        "share": [charts.as_percent(share) for share in shares],
        "colour": colours,
        "ink": [charts.readable_ink(colour) for colour in colours],
        "url": [urls.get(place, "") for place in places],
    }
