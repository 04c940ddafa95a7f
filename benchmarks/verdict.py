"""From outcomes to a record: results compared first, then medians against targets."""

import math
import statistics
from typing import Any

import numpy as np

from benchmarks.contenders.turn import Result
from benchmarks.jobs import Job, Measure, Target
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


def best_peer(record: Record, target: Target) -> str:
    """Return the fastest of a target's peers that took part; the first if none did."""
    there = [name for name in target.peers if record["contenders"][name]["seconds"]]
    return min(there or target.peers[:1], key=lambda name: median(record, name))


def reached(job: Job, record: Record, target: Target) -> float:
    """Return what was measured, in the target's measure."""
    ours, theirs = median(record, job.subject), median(record, best_peer(record, target))
    if target.measure is Measure.DELAY:
        return ours - theirs
    return theirs / ours if target.measure is Measure.SPEEDUP else ours / theirs


def agrees(job: Job, record: Record, name: str) -> bool:
    """Tell whether a contender's result is the subject's, within the job's tolerance."""
    apart = record["contenders"][name]["difference"]
    return apart is None or apart <= job.tolerance


def met(job: Job, record: Record, target: Target) -> bool | None:
    """Tell whether a target is met by the same work; None where it wasn't measured."""
    value = reached(job, record, target)
    if math.isnan(value):
        return None
    if not agrees(job, record, best_peer(record, target)):
        return False
    return value >= target.limit if target.measure is Measure.SPEEDUP else value <= target.limit
