"""The page: docs/benchmarks.md from the records."""

import math
import statistics
from collections.abc import Iterable
from typing import Any

from benchmarks.job import Job, Measure, Target
from benchmarks.markdown import table
from benchmarks.memory_table import memory_section
from benchmarks.problem import LARGEST_GAP
from benchmarks.verdict import Record, agrees, best_peer, median, met, reached

INTRODUCTION = """\
# Benchmarks

`make bench` measures all of this again and writes this page (`python -m benchmarks --only NAME`
measures one job). Every contender runs in a process of its own, on the same data, drawn by seed;
they take turns (A B C A B C …), {warm_ups} turns uncounted and at least {repeats} counted. Seconds
are medians. Results (coefficients, centres, inertia) are compared before times are: a contender
that computes something else is no measure. k-means starts from the same rows everywhere and makes
the same number of iterations. Where an objective is minimised, each contender runs at the loosest
tolerance with which it comes within {gap:g}, relative, of the minimum, which another solver finds
to more digits beforehand; its gap stands beside its time. Data are float64.
"""

MET = {True: "yes", False: "**no**", None: "not measured"}


def page(jobs: Iterable[Job], results: dict[str, Any], causes: dict[str, str]) -> str:
    """Render the page.

    Parameters
    ----------
    jobs : iterable of Job
        Those without a record are left out.
    results : dict
        ``{"jobs": {name: record}, "machine": …, "versions": …, "memory": …}``.
    causes : dict
        By job, why a target is missed.
    """
    records: dict[str, Record] = results["jobs"]
    measured = [(job, records[job.name]) for job in jobs if job.name in records]
    counted = [len(c["seconds"]) for _, r in measured for c in r["contenders"].values()]
    parts = [
        INTRODUCTION.format(
            gap=LARGEST_GAP,
            warm_ups=results["warm_up_turns"],
            repeats=min(filter(None, counted), default=0),
        ),
        "## Targets\n",
        summary_table(measured),
        *shortfalls(measured, causes),
        *memory_section(results.get("memory"), causes.get("memory", "")),
        "## Every job\n",
        *(details(job, record) for job, record in measured),
        "## Machine and versions\n",
        table(("", ""), [*results["machine"].items(), *results["versions"].items()]),
    ]
    return "\n".join(part for part in parts if part)


def summary_table(measured: list[tuple[Job, Record]]) -> str:
    """Write a row for each target."""
    rows = [
        (
            job.title,
            job.subject,
            seconds(median(record, job.subject)),
            *against(job, record, target),
            amount(target, reached(job, record, target)),
            limit(target),
            MET[met(job, record, target)],
        )
        for job, record in measured
        for target in job.targets
    ]
    header = ("job", "measured", "seconds", "against", "seconds", "result", "target", "met")
    return table(header, rows)


def against(job: Job, record: Record, target: Target) -> tuple[str, str]:
    """Name whom a target is measured against, and the seconds that took."""
    if target.measure is Measure.COUNT:
        return "–", "–"
    peer = best_peer(job, record, target)
    return peer, seconds(median(record, peer))


def shortfalls(measured: list[tuple[Job, Record]], causes: dict[str, str]) -> list[str]:
    """Name the cause of each target that isn't met."""
    missed = [
        job
        for job, record in measured
        if any(met(job, record, target) is False for target in job.targets)
    ]
    if not missed:
        return []
    lines = [f"- {job.title}: {causes.get(job.name, 'cause not measured yet')}" for job in missed]
    return ["## Shortfalls\n", "\n".join(lines) + "\n"]


def details(job: Job, record: Record) -> str:
    """Write a table of all contenders of a job."""
    rows = []
    for name, contender in record["contenders"].items():
        taken = contender["seconds"]
        if contender["left_out"]:
            rows.append((name, "–", "–", "–", "–", f"left out: {contender['left_out']}"))
            continue
        rows.append(
            (
                name,
                seconds(statistics.median(taken)),
                f"{seconds(min(taken))} to {seconds(max(taken))}",
                str(len(taken)),
                "–" if contender["difference"] is None else f"{contender['difference']:.1e}",
                remark(job, record, name),
            )
        )
    header = ("contender", "median s", "range s", "turns", f"difference from {job.subject}", "")
    title = (
        f"### {job.title}\n\n`{job.name}`: {record['rows']:,} rows × {record['columns']} columns, "
        f"{record['measured']}, commit {record['commit']}, {record['processor']}."
    )
    note = f"{job.note}\n\n" if job.note else ""
    return f"{title}\n\n{note}" + table(header, rows)


def remark(job: Job, record: Record, name: str) -> str:
    """Write what a contender told beside its time, and whether its result counts."""
    facts = record["contenders"][name].get("facts", {})
    told = [f"{what} {value:.3g}" for what, value in facts.items()]
    if not agrees(job, record, name):
        largest = job.tolerance if job.problem is None else LARGEST_GAP
        told.append(f"differs by more than {largest:g}")
    return ", ".join(told)


def seconds(value: float) -> str:
    """Write seconds with three digits."""
    return "–" if math.isnan(value) else f"{value:.3g}"


def amount(target: Target, value: float) -> str:
    """Write what was reached in the target's unit."""
    if math.isnan(value):
        return "–"
    if target.measure is Measure.COUNT:
        return f"{value:g} {target.fact}"
    return f"{value:+.2f} s" if target.measure is Measure.DELAY else f"{value:.2f}×"


def limit(target: Target) -> str:
    """Write what was to be reached."""
    words = "at least" if target.measure is Measure.SPEEDUP else "at most"
    if target.measure is Measure.COUNT:
        return f"{words} {target.limit:g} {target.fact}"
    if target.measure is Measure.DELAY:
        return f"{words} {target.limit:g} s"
    return f"{words} {target.limit:g}×" + (f" the {target.fact}" if target.fact else "")
