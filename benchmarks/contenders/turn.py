"""What a contender is given and what it gives back at each turn; the standard library only."""

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

Result: TypeAlias = dict[str, Any]
"""Numbers, and lists of numbers, by name: contenders are compared by them before by times."""


class Work(NamedTuple):
    """What a contender is asked to do.

    Attributes
    ----------
    folder : Path
        Holds the job's data, as `benchmarks.data` wrote them.
    options : dict
        The rest, from the table of jobs.
    """

    folder: Path
    options: dict[str, Any]


class Turn(NamedTuple):
    """One turn: how long it took, what came out, and what else is to be told by name."""

    seconds: float
    result: Result
    facts: dict[str, float] | None = None


Run: TypeAlias = Callable[[], Turn]


def timed(fit: Callable[[], Any], describe: Callable[[Any], Result], times: int = 1) -> Run:
    """Make a turn of a function: its median time over a few calls, its last outcome described."""

    def run() -> Turn:
        seconds = []
        for _ in range(times):
            started = time.perf_counter()
            outcome = fit()
            seconds.append(time.perf_counter() - started)
        return Turn(statistics.median(seconds), describe(outcome))

    return run
