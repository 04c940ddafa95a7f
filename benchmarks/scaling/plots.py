"""The plots of docs/scaling.md, as SVG that is the same to the byte for the same numbers."""

from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from benchmarks.scaling.evidence import Row
from benchmarks.scaling.future import Point

STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "flowml",
    "font.size": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "legend.frameon": False,
}
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Okabe & Ito's, distinct for every common kind of colour blindness."""
MARKERS = "os^Dv<>"


def draw(path: Path, panels: Sequence[Callable[[Axes], None]]) -> None:
    """Draw panels beside one another, with one scale and the first one's legend for all."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.2 * len(panels), 4.2), layout="constrained")
        places = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
        for axes, panel in zip(places, panels, strict=True):
            panel(axes)
            axes.label_outer()
        drawn = places[0].get_legend_handles_labels()
        figure.legend(*drawn, loc="outside lower center", ncols=4)
        figure.savefig(path, format="svg", metadata={"Date": None})


def measured(axes: Axes, rows: Sequence[Row], title: str) -> None:
    """Draw measured times as points, and simulated ones as lines."""
    runtimes = list(dict.fromkeys(row.runtime for row in rows))
    for runtime, colour, marker in zip(runtimes, COLOURS, MARKERS, strict=False):
        mine = [row for row in rows if row.runtime == runtime]
        n = [row.work.n_workers for row in mine]
        name = runtime.replace("_", " ")
        axes.plot(n, [row.measured * 1e3 for row in mine], marker, color=colour, label=name)
        axes.plot(n, [row.simulated * 1e3 for row in mine], color=colour, lw=1)
    _scale(axes, title, "milliseconds: points measured, lines simulated", 2)


def simulated(
    axes: Axes, points: Sequence[Point], title: str, unit: str, least: float = 0.0
) -> None:
    """Draw a line for each kind of point against the number of workers, and what is the least."""
    lines = list(dict.fromkeys(point.line for point in points))
    for line, colour, marker in zip(lines, COLOURS, MARKERS, strict=False):
        mine = [point for point in points if point.line == line]
        n, seconds = [p.n_workers for p in mine], [p.seconds for p in mine]
        axes.plot(n, seconds, marker=marker, ms=4, lw=1.2, color=colour, label=line)
    if least:
        axes.axhline(least, color="#777777", lw=1, ls="--", label="the rows alone")
    _scale(axes, title, unit, 10)
    axes.tick_params("x", labelsize=8.5)


def _scale(axes: Axes, title: str, unit: str, base: int) -> None:
    axes.set_xscale("log", base=base)
    axes.set_yscale("log")
    axes.set_xlabel("workers")
    axes.set_ylabel(unit)
    axes.set_title(title, loc="left", fontsize=10)
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(StrMethodFormatter("{x:,g}"))
        axis.set_minor_formatter(NullFormatter())
