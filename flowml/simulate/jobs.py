"""Jobs: what a pass consists of, who does it, and what has to be done before."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from flowml.kernels.rows import Array
from flowml.simulate.cost_model import UNITS

HUB = -1
"""The place of the client and the scheduler."""
NOWHERE = -2
"""Jobs that wait for no process and need no core."""
SECOND = "second"
"""A unit beside those of the cost model, that costs what it says: for a program that sleeps."""


class Job(NamedTuple):
    """Something that a process does without a break.

    Attributes
    ----------
    what : str
        For timelines.
    place : int
        The number of a process, `HUB` or `NOWHERE`. Each does one job at a time, first come, first
        served.
    units : dict of str to float
        What it consists of, in units of the cost model and `SECOND`.
    after : tuple of int
        The jobs whose results it needs.
    sent : str
        The unit in which its result travels to jobs elsewhere: "message", "hop", or "".
    """

    what: str
    place: int
    units: dict[str, float]
    after: tuple[int, ...]
    sent: str


class Jobs:
    """Jobs that are added in an order in which they could be done.

    Parameters
    ----------
    n_workers : int
        Processes that are there, whether or not they have something to do.

    Attributes
    ----------
    jobs : list of Job
    passes : list of int
        The job that ends each pass.

    Examples
    --------
    >>> jobs = Jobs(n_workers=2)
    >>> rows = [jobs.add("rows", w, {"row": 100.0}, sent="message") for w in range(2)]
    >>> jobs.end_pass(jobs.add("merge", HUB, {"merge": 16.0}, after=rows))
    >>> jobs.passes
    [2]
    """

    def __init__(self, n_workers: int) -> None:
        self.n_workers = n_workers
        self.jobs: list[Job] = []
        self.passes: list[int] = []

    def add(
        self,
        what: str,
        place: int,
        units: dict[str, float],
        after: Iterable[int] = (),
        sent: str = "",
    ) -> int:
        """Add a job and return its number."""
        self.jobs.append(Job(what, place, units, tuple(after), sent))
        return len(self.jobs) - 1

    def end_pass(self, job: int) -> None:
        """Say which job ends a pass."""
        self.passes.append(job)

    def travels(self, job: int, follower: int) -> bool:
        """Tell whether the result of a job goes to another from one place to another."""
        one, other = self.jobs[job], self.jobs[follower]
        return job in other.after and one.place != other.place


def counted(job: Job) -> Array:
    """Count the units of the cost model that a job consists of, of shape (n_units,)."""
    return np.array([job.units.get(unit, 0.0) for unit in UNITS])
