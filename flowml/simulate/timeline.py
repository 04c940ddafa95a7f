"""The timeline of a run: when each pass ended, who worked and who waited, and for what."""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from flowml.kernels.rows import Array
from flowml.simulate.cost_model import UNITS
from flowml.simulate.jobs import SECOND, Jobs, counted


class Span(NamedTuple):
    """A job that was done.

    Attributes
    ----------
    place : int
        Who did it: a worker's number, or ``flowml.simulate.jobs.HUB``.
    what : str
    start, end : float
    """

    place: int
    what: str
    start: float
    end: float


@dataclass(frozen=True, eq=False)
class Timeline:
    """When which job was done.

    Parameters
    ----------
    jobs : Jobs
    starts, ends : ndarray of shape (n_jobs,)
        Seconds.
    causes : ndarray of shape (n_jobs,), int
        The job whose end each waited for last, -1 for none: its input, or what kept its place busy.
    units : ndarray of shape (n_jobs, n_units), or None
        What each job's time consists of where jobs share cores, a part of the others' work too;
        None where each has a core, and its time is its own.
    """

    jobs: Jobs
    starts: Array
    ends: Array
    causes: Array
    units: Array | None

    @cached_property
    def pass_seconds(self) -> Array:
        """Seconds from the end of one pass to the end of the next, of shape (n_passes,)."""
        return np.diff(self.ends[self.jobs.passes], prepend=0.0)

    @property
    def total(self) -> float:
        """Seconds until the last pass has ended."""
        return float(self.ends[self.jobs.passes[-1]])

    @property
    def spans(self) -> list[Span]:
        """All jobs that took time, in the order of their places and starts."""
        done = zip(self.jobs.jobs, self.starts.tolist(), self.ends.tolist(), strict=True)
        spans = [Span(j.place, j.what, start, end) for j, start, end in done if end > start]
        return sorted(spans, key=lambda span: (span.place, span.start))

    def critical_path(self) -> list[int]:
        """Return the jobs that the end of the last pass waited for, one after the other."""
        path = [self.jobs.passes[-1]]
        while (cause := int(self.causes[path[-1]])) >= 0:
            path.append(cause)
        return path[::-1]

    def critical_units(self) -> Array:
        """Count what the critical path consists of, of shape (n_units,).

        Times costs, and with what was `slept`, that is the `total`.
        """
        path = self.critical_path()
        if self.units is None:
            count = np.sum([counted(self.jobs.jobs[job]) for job in path], axis=0)
        else:
            count = self.units[path].sum(axis=0)
        for job, follower in pairwise(path):
            if (unit := self.jobs.jobs[job].sent) and self.jobs.travels(job, follower):
                count[UNITS.index(unit)] += 1.0
        return count

    @property
    def slept(self) -> float:
        """Seconds of the critical path in which a program slept."""
        return sum(self.jobs.jobs[job].units.get(SECOND, 0.0) for job in self.critical_path())

    def messages(self) -> float:
        """Count the messages and hops of the critical path."""
        units = dict(zip(UNITS, self.critical_units().tolist(), strict=True))
        return units["message"] + units["hop"]
