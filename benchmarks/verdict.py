"""From outcomes to a record: results compared first, then medians against targets."""

import math
import statistics
from typing import Any

import numpy as np

from benchmarks.contenders.turn import Result
from benchmarks.job import Job, Measure, Target
from benchmarks.problem import LARGEST_GAP
from benchmarks.race import Outcome

Record = dict[str, Any]
"""A job's measurements, as plain JSON."""


def record(job: Job, outcomes: dict[str, Outcome]) -> Record:
    """Write down what was measured, and how far results lie from the subject's."""
    reference = outcomes[job.subject].result
    contenders = {
        name: {
            "seconds": outcome.seconds,
            "left_out": outcome.left_out,
            "difference": difference(outcome.result, reference),
            "facts": outcome.facts,
        }
        for name, outcome in outcomes.items()
    }
    return {"rows": job.data.rows, "columns": job.data.columns, "contenders": contenders}


def difference(result: Result | None, reference: Result | None) -> float | None:
    """Return the largest difference relative to the largest number; None without results.

    Examples
    --------
    >>> difference({"mean": [1.0, 2.0]}, {"mean": [1.0, 4.0]})
    0.5
    """
    if not result or not reference:
        return None
    return max(_distance(result[name], reference[name]) for name in reference)


def _distance(one: Any, other: Any) -> float:
    a, b = np.asarray(one, float), np.asarray(other, float)
    if a.shape != b.shape:
        return math.inf
    scale = float(np.abs(b).max())
    return float(np.abs(a - b).max()) / (scale or 1.0)


def median(record: Record, name: str) -> float:
    """Return a contender's median seconds, NaN where it was left out."""
    seconds = record["contenders"][name]["seconds"]
    return statistics.median(seconds) if seconds else math.nan


def fact(record: Record, name: str, what: str) -> float:
    """Return what a contender told beside its time, NaN where it didn't."""
    return float(record["contenders"][name].get("facts", {}).get(what, math.nan))


def best_peer(job: Job, record: Record, target: Target) -> str:
    """Return the fastest of a target's peers that did the work; the first if none did."""
    there = [name for name in target.peers if record["contenders"][name]["seconds"]]
    if job.problem is not None:
        there = [name for name in there if agrees(job, record, name)]
    return min(there or target.peers[:1], key=lambda name: median(record, name))


def reached(job: Job, record: Record, target: Target) -> float:
    """Return what was measured, in the target's measure."""
    if target.measure is Measure.COUNT:
        return fact(record, job.subject, target.fact)
    peer = best_peer(job, record, target)
    ours, theirs = median(record, job.subject), median(record, peer)
    if target.fact:
        ours, theirs = (fact(record, name, target.fact) for name in (job.subject, peer))
    if target.measure is Measure.DELAY:
        return ours - theirs
    return theirs / ours if target.measure is Measure.SPEEDUP else ours / theirs


def agrees(job: Job, record: Record, name: str) -> bool:
    """Tell whether a contender's result is the subject's, or where there is one, the minimum."""
    if job.problem is not None:
        return fact(record, name, "gap") <= LARGEST_GAP
    apart = record["contenders"][name]["difference"]
    return apart is None or apart <= job.tolerance


def met(job: Job, record: Record, target: Target) -> bool | None:
    """Tell whether a target is met by the same work; None where it wasn't measured."""
    value = reached(job, record, target)
    if math.isnan(value):
        return None
    peers = [] if target.measure is Measure.COUNT else [best_peer(job, record, target)]
    if not all(agrees(job, record, name) for name in (job.subject, *peers)):
        return False
    return value >= target.limit if target.measure is Measure.SPEEDUP else value <= target.limit
