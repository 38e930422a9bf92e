"""The chart of a single-label evaluation: what was taken for what, and how often."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from bokeh.models import ColumnDataSource, HoverTool, Range1d, TapTool
from bokeh.plotting import figure

from web import charts
from web.charts import Palette

SLANTED_PIXELS = 100  # what the last slanted label needs beside the plot
MOST_IN_MATRIX = 50  # labels; a larger matrix has no room for numbers, and nobody reads it


def confusion_matrix(labels: Sequence[str], counts: np.ndarray, urls: dict[tuple[int, int], str]) -> str:
    """Every true label (row) against every predicted one (column); a tap on a cell opens its items.

    Of many labels only the MOST_IN_MATRIX that are confused most often.

    Args:
        labels: names in the version's order.
        counts: int (labels, labels), items by true and predicted label.
        urls: where the cell (true, predicted) leads; cells without an item have none.

    Returns:
        The chart as JSON text for `charts/chart.html`.
    """
    return charts.as_json(lambda palette: _matrix(list(labels), counts, urls, palette))


def _find_most_confused(counts: np.ndarray) -> dict[int, int]:
    """Where each label that is drawn stands in the matrix, in the labels' order."""
    mistakes = counts.sum(axis=0) + counts.sum(axis=1) - 2 * np.diag(counts)
    shown = np.sort(np.argsort(-mistakes, kind="stable")[:MOST_IN_MATRIX])
    return {int(label): place for place, label in enumerate(shown)}


def _matrix(
    labels: list[str], counts: np.ndarray, urls: dict[tuple[int, int], str], palette: Palette
) -> figure:
    shown = _find_most_confused(counts)
    side = len(shown)
    cell = int(np.clip(560 / max(side, 1), 24, 72))
    chart = charts.plain_figure(
        palette,
        x_range=Range1d(-0.5, side - 0.5),
        y_range=Range1d(side - 0.5, -0.5),
        height=side * cell + 150,
        width=side * cell + 150 + SLANTED_PIXELS,
        min_border_right=SLANTED_PIXELS,
        x_axis_location="above",
    )
    source = ColumnDataSource(_cells(labels, counts, urls, shown, palette), name="cells")
    cells = chart.rect(x="predicted", y="true", width=0.96, height=0.96, source=source, color="colour")
    cells.nonselection_glyph = cells.selection_glyph = None
    size = f"{int(np.clip(cell * 0.42, 10, 16))}px"
    chart.text(x="predicted", y="true", text="count", text_color="ink", source=source)
    chart.renderers[-1].glyph.update(text_align="center", text_baseline="middle", text_font_size=size)
    tooltips = [("Is", "@is"), ("Predicted", "@said"), ("Images", "@count"), ("Of its label", "@share")]
    chart.add_tools(HoverTool(renderers=[cells], tooltips=tooltips), TapTool(renderers=[cells]))
    _name_axes(chart, [labels[label] for label in shown])
    return chart


def _cells(
    labels: list[str],
    counts: np.ndarray,
    urls: dict[tuple[int, int], str],
    shown: dict[int, int],
    palette: Palette,
) -> dict[str, list]:
    """The matrix's filled cells as columns: place, words, colours and where a tap leads."""
    totals = counts.sum(axis=1)
    filled = [(int(true), int(predicted)) for true, predicted in np.argwhere(counts)]
    places = [place for place in filled if shown.keys() >= set(place)]
    shares = [counts[place] / totals[place[0]] for place in places]
    colours = [
        charts.mix(palette.paper, palette.right if true == predicted else palette.wrong, 0.15 + 0.85 * share)
        for (true, predicted), share in zip(places, shares, strict=True)
    ]
    return {
        "true": [shown[true] for true, _ in places],
        "predicted": [shown[predicted] for _, predicted in places],
        "is": [labels[true] for true, _ in places],
        "said": [labels[predicted] for _, predicted in places],
        "count": [str(counts[place]) for place in places],
        "share": [charts.as_percent(share) for share in shares],
        "colour": colours,
        "ink": [charts.readable_ink(colour) for colour in colours],
        "url": [urls.get(place, "") for place in places],
    }


def _name_axes(chart: figure, labels: list[str]) -> None:
    chart.grid.visible = False
    for axis in chart.axis:
        charts.name_ticks(axis, labels)
    chart.xaxis.major_label_orientation = 0.9
    chart.xaxis.axis_label, chart.yaxis.axis_label = "Predicted", "Is"
