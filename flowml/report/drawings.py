"""Plots as SVG that takes the page's colours, light or dark; needs matplotlib."""

import io
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from flowml.estimator import moving_stages

try:
    import matplotlib as mpl
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
except ImportError:  # the plot extra isn't installed: reports say so
    mpl = None  # type: ignore[assignment]

INK, SOFT, LINE, ACCENT, SECOND = "#010101", "#020202", "#030303", "#040404", "#050505"
CSS = {
    INK: "var(--ink)",
    SOFT: "var(--soft)",
    LINE: "var(--line)",
    ACCENT: "var(--accent)",
    SECOND: "var(--second)",
}
"""Colours that stand for the page's own: replaced in the drawing's text."""

STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.size": 9.5,
    "text.color": INK,
    "axes.edgecolor": LINE,
    "axes.labelcolor": SOFT,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "axes.titlepad": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.7,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": SOFT,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
}
MOST_BARS = 40
MOST_CELLS = 60
DIVERGING = "PuOr"
"""Distinct for every common kind of colour blindness."""

MISSING = "There are no plots, because matplotlib isn't installed: pip install 'flowml[plot]'."


def available() -> bool:
    """Tell whether drawings can be made."""
    return mpl is not None


def convergence(history: pd.DataFrame) -> str:
    """Draw objective and change against the number of the pass, a line for each moving stage."""
    shown = moving_stages(history)
    with mpl.rc_context(STYLE):
        drawing = Figure(figsize=(7.6, 2.9), layout="constrained")
        left, right = drawing.subplots(1, 2)
        for column, axes, colour in (("objective", left, ACCENT), ("change", right, SECOND)):
            for _, stage in shown.groupby("stage", sort=False):
                values = stage[column].where(np.isfinite(stage[column])).dropna()
                mark = "o" if len(values) < 40 else None
                axes.plot(values.index, values, color=colour, marker=mark, markersize=3, lw=1.5)
            axes.set_xlabel("pass")
            axes.set_title(column)
            axes.xaxis.get_major_locator().set_params(integer=True)
        if (shown["change"].dropna() > 0).any():
            right.set_yscale("log")
        return to_svg(drawing)


def bars(values: pd.Series, label: str) -> str:
    """Draw values as bars, the largest first."""
    chosen = values.reindex(values.abs().sort_values(ascending=False).index)[:MOST_BARS][::-1]
    with mpl.rc_context(STYLE):
        drawing = Figure(figsize=(7.6, 0.8 + 0.27 * len(chosen)), layout="constrained")
        axes = drawing.subplots()
        axes.barh([str(name) for name in chosen.index], chosen.to_numpy(), color=ACCENT, height=0.6)
        axes.axvline(0, color=SOFT, linewidth=0.8)
        axes.grid(visible=False, axis="y")
        axes.spines["left"].set_visible(False)
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel(label)
        return to_svg(drawing)


def heat(centres: pd.DataFrame) -> str:
    """Draw cluster centres: each column's deviations from its mean, in standard deviations."""
    shown = centres.iloc[:MOST_CELLS, :MOST_CELLS]
    spread = shown.std(axis=0, ddof=0).replace(0, 1.0)
    scaled = ((shown - shown.mean(axis=0)) / spread).to_numpy()
    limit = max(1.0, float(np.abs(scaled).max()))
    with mpl.rc_context(STYLE | {"axes.grid": False}):
        height = 1.3 + 0.2 * len(shown)
        drawing = Figure(figsize=(7.6, height), layout="constrained")
        axes = drawing.subplots()
        cells = axes.pcolormesh(scaled, cmap=DIVERGING, vmin=-limit, vmax=limit)
        axes.invert_yaxis()
        axes.set_xticks(
            np.arange(shown.shape[1]) + 0.5, _labels(shown.columns), rotation=40, ha="right"
        )
        axes.set_yticks(np.arange(len(shown)) + 0.5, _labels(shown.index))
        axes.tick_params(length=0)
        bar = drawing.colorbar(cells, ax=axes, shrink=min(1.0, 2.2 / height), aspect=12)
        bar.outline.set_visible(False)
        bar.set_label("std. deviations")
        return to_svg(drawing)


def pairs(table: pd.DataFrame, label: str) -> str:
    """Draw two columns of values as dots on a line for each row: dots on each other are equal."""
    with mpl.rc_context(STYLE):
        drawing = Figure(figsize=(7.6, 1.0 + 0.3 * len(table)), layout="constrained")
        axes: Axes = drawing.subplots()
        places = np.arange(len(table))[::-1]
        first, second = table.columns
        axes.plot(table[first], places, "o", color=ACCENT, markersize=6, label=str(first))
        axes.plot(
            table[second],
            places,
            "o",
            color=SECOND,
            markersize=11,
            markerfacecolor="none",
            label=str(second),
        )
        axes.set_yticks(places, _labels(table.index))
        axes.axvline(0, color=SOFT, linewidth=0.8)
        axes.spines["left"].set_visible(False)
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel(label)
        axes.legend(loc="best", labelcolor=INK)
        return to_svg(drawing)


def to_svg(drawing: "Figure") -> str:
    """Return a drawing as text, in the page's colours."""
    buffer = io.StringIO()
    drawing.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    svg = buffer.getvalue()
    for stand_in, colour in CSS.items():
        svg = svg.replace(stand_in, colour)
    return svg[svg.index("<svg") :]


def _labels(names: Iterable[object]) -> list[str]:
    return [str(name) for name in names]
