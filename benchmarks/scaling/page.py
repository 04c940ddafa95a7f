"""The page: docs/scaling.md and its plots, from measured passes."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.markdown import table
from benchmarks.scaling import future, glance, plots
from benchmarks.scaling.evidence import WITHIN, Row, compare, is_within, messages
from benchmarks.scaling.future import Point
from benchmarks.scaling.glance import figure
from benchmarks.scaling.measure import COLUMNS, LEAVES, ROW_BYTES, SUMMARY_BYTES, TURNS
from flowml.simulate import CostModel

INTRODUCTION = """\
# Scaling

How long a pass takes on more workers: measured as far as one machine goes, simulated
([`flowml.simulate`](../flowml/simulate/simulation.py)) beyond. `python -m benchmarks.scaling`
measures all of this again and writes this page; with `--render` it writes the page from the last
measurements.

## At a glance

Seconds of a pass over {rows:.0f} MB of rows on each worker, with summaries of {summary}. Without
any overhead it is {alone:.2f} s on any number of workers. The tree isn't in flowml: it is what a
collective along a tree of ranks would do.

{ways}
How long a pass waits for stragglers, in times that a worker takes which isn't slow: without a code,
by the best of those that give the exact sum, and where the slowest hundredth isn't waited for.

{waits}
- Up to some dozens of workers any way does. On a thousand, dataflow, allreduce and a parameter
  server take about three times as long as the rows, coded passes longer. On 100,000, whatever meets
  at one process, or goes around a ring, takes hundreds of times as long: only a tree would do.
- Codes and backup tasks are for a few workers that are very late (Pareto): a quarter of the wait,
  or less. They gain little where all are late a little, and nothing where many are slow at a time.

These are simulations, with costs that were [measured in one machine](#measured-and-simulated): read
them for where each way stops, not for the last digit. {verdict}
"""

BUSY = """\
**The machine was busy** with other things while this was measured: before the first cluster
started, {load:.1f} processes wanted one of its {cores} cores. Measured times are too long by that,
and costs with them; simulated and measured times needn't agree.
"""

MEASURED = """\
## Measured and simulated

The simulation runs each runtime's own schedule, message by message: who works, who waits, for
what. What a message, a task, a byte of rows or a hop of the ring costs is fitted to measured
passes. It knows the number of cores, which a machine with {cores} of them has to: whoever works
shares them evenly with all others that do, and with what workers' processes do for themselves.

Passes over {leaves} leaves of rows with {columns} columns, on clusters of processes with a thread
each in this machine. Asked and answered are as many bytes each, as with a gradient. The parameter
server has no staleness and the coded passes no code, so that all wait for all. Times are medians
of all passes of {turns} turns; "foretold" is by costs fitted to passes on other numbers of workers
only.
"""

OVERHEAD = """\
## What a dataflow pass costs beside its rows

Messages that follow from one another: a task is sent out and reported (2), a merge is sent out,
asks for what others have, gets it, and is reported (4). A level of merges takes 16 tasks together,
so there are 2 + 4 ⌈log₁₆ n⌉. The client's and scheduler's work grows with the number of tasks, and
in one machine all workers share its cores, so that milliseconds may grow faster than messages.
"""

GROWTH = """\
## 1,000 and 100,000 workers

Each worker has a core of its own and {rows:.0f} MB of rows, so that a pass without any overhead
takes {alone:.2f} s on any number of them. A message takes {one_way:g} µs more than in this machine,
links have {link:g} Gbit/s; all else costs what was fitted. These are assumptions, not measurements.
What a task costs the scheduler, and what it costs workers, passes on two cores hardly tell apart:
the first, and with it dataflow's times on many workers, may be off by half.

Seconds of a pass:
"""

REACH = """\
On how many workers, at most and of those simulated, a pass takes less than one and a half times as
long as on one worker:
"""

GROWTH_SAYS = """\
- **dataflow** meets one scheduler, which handles all tasks of a pass one after the other, in
  {per_task:.2g} ms each: that is as long as the rows take at about {even:,.0f} workers.
- **coded**, here without a code: its client takes every answer itself, as a decoder has to, and no
  tree helps it.
- A **parameter server**, here without staleness and the only one, takes every push and gives every
  order, which costs it less than it costs Dask's scheduler or the client; bytes are shared out by
  [several](#several-parameter-servers).
- **allreduce** gathers: every rank gets every rank's summary, so that both hops and bytes grow with
  the number of ranks. Summaries above a megabyte are added up on the way: bytes stay, hops grow.
- A **tree** of ranks grows with the logarithm.
"""

FAN_IN = """\
### Fan-in

Milliseconds of a pass with no rows along a tree of ranks. A rank takes from one after the other:
along a wide tree they queue up, and a narrow one has many levels. The quickest of a row is bold.
"""

GRAPH_FAN_IN = """\
The same for dataflow's merge tasks on {n:,} workers, where each task costs the scheduler
something too; flowml's take 16:
"""

TAILS = """\
## Stragglers

How long a pass waits, in times that a worker takes which isn't slow: the median of draws, without
any overhead. Delays multiply a worker's time, and the workers of a code do more, so both count.
The quickest of a row that is exact is bold. What the workers of a code do, in times:

{loads}
"""

SERVERS = """\
## Several parameter servers

Seconds of a pass with summaries of {summary} where servers, on workers of their own, share the
columns out, as for wide sparse models: flowml takes one for each megabyte of the state. Each
carries its part of the bytes, and every worker calls all of them.
"""

STALE = """\
## Staleness

Seconds of a clock of a parameter server while workers are 3× slower at times (Markov: a tenth
becomes slow in each clock, three tenths recover). It says how many clocks are done in a time, and
not what they are worth: staler steps may need more of them. With any staleness, the one server
merges what it has from all workers for every order, which is what many workers wait for.
"""

LOCAL = """\
## Local steps

Seconds of a pass of 64 batches, after every few of which the models are averaged by dataflow.
"""

Results = dict[str, Any]
Late = Mapping[str, Sequence[Point]]
"""How long passes wait, by the title of the delays."""


def write(results: Results, folder: Path, largest: int) -> None:
    """Write scaling.md and the plots that it shows.

    Parameters
    ----------
    results : dict
        ``{"records": [...], "machine": ..., "versions": ..., "load": ..., "measured": ...,
        "commit": ...}``.
    folder : Path
    largest : int
        Number of workers.
    """
    drawings = folder / "scaling"
    drawings.mkdir(parents=True, exist_ok=True)
    cores = int(results["machine"]["cores"])
    costs, rows = compare(results["records"], cores)
    networked = future.networked(costs)
    points = future.growth(networked, largest)
    late = {title: future.tails(delays, largest) for title, delays in future.DELAYS.items()}
    parts = [
        *introduction(costs, points, late, rows),
        *([BUSY.format(load=results["load"], cores=cores)] if results["load"] > cores else []),
        *growth(networked, points, largest, drawings),
        *tails(late, drawings),
        *ahead(networked, largest),
        *measured(rows, cores, drawings),
        *overhead(rows),
        *unit_costs(costs),
        "## Machine and versions\n",
        f"Measured {results['measured']}, commit {results['commit']}.\n",
        table(("", ""), [*results["machine"].items(), *results["versions"].items()]),
    ]
    (folder / "scaling.md").write_text("\n".join(parts))


def introduction(
    costs: CostModel, points: Sequence[Point], late: Late, rows: Sequence[Row]
) -> list[str]:
    """Say what it comes to."""
    told = {
        "rows": future.ROW_BYTES / 1e6,
        "summary": amount(glance.SUMMARY_BYTES),
        "alone": future.ROW_BYTES * costs.row,
        "ways": glance.ways(points),
        "waits": glance.waits(late),
        "verdict": verdict(rows),
    }
    return [INTRODUCTION.format(**told)]


def measured(rows: Sequence[Row], cores: int, drawings: Path) -> list[str]:
    """Show every measured pass beside what is simulated."""
    lines = [
        (
            row.runtime,
            str(row.work.n_workers),
            amount(row.work.row_bytes),
            amount(row.work.summary_bytes),
            milliseconds(row.measured),
            f"{milliseconds(row.simulated)} ({row.simulated / row.measured - 1.0:+.0%})",
            f"{milliseconds(row.foretold)} ({row.foretold / row.measured - 1.0:+.0%})",
        )
        for row in rows
    ]
    header = ("runtime", "workers", "rows", "summary", "measured ms", "simulated ms", "foretold ms")
    least, size = min(SUMMARY_BYTES), max(ROW_BYTES)
    small = [row for row in rows if row.work.summary_bytes == least]
    panels = [
        ([row for row in small if row.is_empty], "a pass with next to no rows"),
        ([row for row in small if not row.is_empty], f"a pass over {amount(size)}"),
    ]
    plots.draw(
        drawings / "measured.svg",
        [partial(plots.measured, rows=some, title=title) for some, title in panels],
    )
    return [
        MEASURED.format(cores=cores, leaves=LEAVES, columns=COLUMNS, turns=TURNS),
        "![Measured and simulated times](scaling/measured.svg)\n",
        verdict(rows) + "\n",
        f"<details><summary>All {len(lines)} kinds of passes</summary>\n",
        table(header, lines),
        "</details>\n",
    ]


def verdict(rows: Sequence[Row]) -> str:
    """Say how many simulated times are near enough on two workers and more."""
    several = [row for row in rows if row.work.n_workers >= 2]
    near = sum(is_within(row.simulated, row.measured) for row in several)
    told = sum(is_within(row.foretold, row.measured) for row in several)
    return (
        f"Within {WITHIN:.0%} on two workers and more: {near} of {len(several)} simulated, "
        f"{told} of {len(several)} foretold."
    )


def overhead(rows: Sequence[Row]) -> list[str]:
    """Show messages against their bound, and milliseconds."""
    least = min(SUMMARY_BYTES)
    empty = [
        row
        for row in rows
        if row.runtime == "dataflow" and row.is_empty and row.work.summary_bytes == least
    ]
    first = empty[0].measured if empty else 0.0
    lines = []
    for row in empty:
        n = row.work.n_workers
        doublings = n.bit_length() - 1
        bound = messages(1) + 2 * doublings
        lines.append(
            (
                str(n),
                str(messages(n)),
                f"{bound}",
                "yes" if messages(n) <= bound else "**no**",
                milliseconds(row.measured),
                f"{row.measured / first:.2f}×",
            )
        )
    limit = f"{messages(1)} + 2 log₂ n"
    header = ("workers", "messages", limit, "within", "milliseconds", "of one worker's")
    return [OVERHEAD, table(header, lines)]


def unit_costs(costs: CostModel) -> list[str]:
    """Show the fitted costs."""
    meanings = dict(documented(CostModel.__doc__ or ""))
    names = [field.name for field in fields(costs) if field.name != "cores"]
    lines = [(f"`{name}`", meanings[name], figure(getattr(costs, name) * 1e6)) for name in names]
    return ["## The costs\n", table(("", "what", "µs"), lines)]


def documented(text: str) -> Iterable[tuple[str, str]]:
    """Yield the names of a docstring's parameters with what is said of them."""
    lines = text.split("\n")
    for number, line in enumerate(lines):
        name, colon, _ = line.strip().partition(" : ")
        if colon and line.startswith("    ") and not line.startswith("     "):
            said = []
            for more in lines[number + 1 :]:
                if not more.startswith("        "):
                    break
                said.append(more.strip())
            yield name, " ".join(said).rstrip(".")


def growth(costs: CostModel, points: Sequence[Point], largest: int, drawings: Path) -> list[str]:
    """Show passes on more workers than are at hand."""
    alone = future.ROW_BYTES * costs.row
    widths = future.fan_ins(costs, largest)
    few = min(256, largest)
    plots.draw(
        drawings / "growth.svg",
        [
            partial(
                plots.simulated, points=some, title=title, unit="seconds of a pass", least=alone
            )
            for title, some in by_size(points)
        ],
    )
    return [
        GROWTH.format(
            rows=future.ROW_BYTES / 1e6,
            alone=alone,
            one_way=future.ONE_WAY * 1e6,
            link=future.LINK * 8e-9,
        ),
        "![Seconds of a pass against the number of workers](scaling/growth.svg)\n",
        grid(points, figure),
        REACH,
        reach(points),
        GROWTH_SAYS.format(per_task=costs.task * 1e3, even=alone / max(costs.task, 1e-12)),
        FAN_IN,
        grid(in_milliseconds(widths), figure, "fan-in ", best=True),
        GRAPH_FAN_IN.format(n=few),
        grid(in_milliseconds(future.graph_fan_ins(costs, few)), figure, "fan-in ", best=True),
    ]


def tails(late: Late, drawings: Path) -> list[str]:
    """Show what stragglers cost, coded or not."""
    loads = [(name, f"{load:g}×") for name, (_, load) in future.codes(16).items()]
    parts = [
        TAILS.format(loads=table(("code", "work"), loads)),
        "![Waiting for stragglers](scaling/stragglers.svg)\n",
    ]
    panels, unit = [], "times of an undisturbed pass"
    for title, points in late.items():
        panels.append(partial(plots.simulated, points=points, title=title, unit=unit))
        parts += [f"### {title[0].upper()}{title[1:]}\n", grid(points, "{:.2f}".format, best=True)]
    plots.draw(drawings / "stragglers.svg", panels)
    return parts


def ahead(costs: CostModel, largest: int) -> list[str]:
    """Show what it brings to have several servers, and not to wait for each other."""
    several = grid(future.servers(costs, largest), figure, "servers ")
    stale = grid(future.staleness(costs, largest), figure, "staleness ")
    local = grid(future.local_steps(costs, largest), figure, "steps ")
    return [
        SERVERS.format(summary=amount(max(future.SUMMARY_BYTES))),
        several,
        STALE,
        stale,
        LOCAL,
        local,
    ]


def reach(points: Sequence[Point]) -> str:
    """Write how many workers each runtime serves before its overhead counts."""
    lines = list(dict.fromkeys(point.line for point in points))
    rows = []
    for title, some in by_size(points):
        alone = min(point.seconds for point in some if point.n_workers == 1)
        quick = [point for point in some if point.seconds <= 1.5 * alone]
        most = [max((p.n_workers for p in quick if p.line == line), default=0) for line in lines]
        rows.append([title, *(f"{n:,}" if n else "none" for n in most)])
    return table(["", *lines], rows)


def in_milliseconds(points: Sequence[Point]) -> list[Point]:
    """Return points in another unit."""
    return [point._replace(seconds=point.seconds * 1e3) for point in points]


def grid(
    points: Sequence[Point], write: Callable[[float], str], prefix: str = "", best: bool = False
) -> str:
    """Write a table with a column for each line, and a row for each workload."""
    lines = list(dict.fromkeys(point.line for point in points))
    sizes = {point.summary_bytes for point in points}
    found = {(p.n_workers, p.summary_bytes, p.line): p.seconds for p in points}
    rows = []
    for n, size in dict.fromkeys((p.n_workers, p.summary_bytes) for p in points):
        cells = {line: write(found[n, size, line]) for line in lines}
        if best:
            exact = [line for line in lines if future.NOT_EXACT not in line]
            quickest = cells[min(exact, key=lambda line: found[n, size, line])]
            cells |= {line: f"**{cells[line]}**" for line in exact if cells[line] == quickest}
        rows.append([f"{n:,}", *([amount(size)] if len(sizes) > 1 else []), *cells.values()])
    header = ["workers", *(["summary"] if len(sizes) > 1 else []), *(prefix + li for li in lines)]
    return table(header, rows)


def by_size(points: Sequence[Point]) -> list[tuple[str, list[Point]]]:
    """Group points by the size of the summary."""
    sizes = dict.fromkeys(point.summary_bytes for point in points)
    return [
        (f"summaries of {amount(size)}", [p for p in points if p.summary_bytes == size])
        for size in sizes
    ]


def amount(nbytes: float) -> str:
    """Write a number of bytes.

    Examples
    --------
    >>> amount(128), amount(33554432), amount(1e5)
    ('128 B', '33.6 MB', '100 kB')
    """
    for unit, size in (("MB", 1e6), ("kB", 1e3)):
        if nbytes >= size:
            return f"{nbytes / size:.3g} {unit}"
    return f"{nbytes:g} B"


def milliseconds(seconds: float) -> str:
    """Write seconds as milliseconds with three digits."""
    return figure(seconds * 1e3)
