"""The engine: when each job is done, by whom, and what it waited for."""

from collections import deque
from dataclasses import dataclass, field
from heapq import heappop, heappush

import numpy as np

from flowml.simulate.cost_model import CostModel
from flowml.simulate.jobs import NOWHERE, Jobs
from flowml.simulate.timeline import Timeline

NOBODY = -1


def run(jobs: Jobs, costs: CostModel) -> Timeline:
    """Do all jobs as early as processes and cores allow.

    Parameters
    ----------
    jobs : Jobs
    costs : CostModel

    Returns
    -------
    timeline : Timeline

    Examples
    --------
    >>> jobs = Jobs()
    >>> rows = [jobs.add("rows", worker, {"row": 1.0}) for worker in range(3)]
    >>> jobs.end_pass(jobs.add("merge", 0, {"merge": 1.0}, rows))
    >>> run(jobs, CostModel(row=2.0, merge=1.0)).pass_seconds
    array([3.])
    >>> run(jobs, CostModel(row=2.0, merge=1.0, cores=2)).pass_seconds
    array([5.])
    """
    engine = _Engine(jobs, costs)
    engine.run()
    starts, ends, causes = np.array(engine.starts), np.array(engine.ends), np.array(engine.causes)
    return Timeline(jobs, starts, ends, causes)


@dataclass
class _Engine:
    """The state of a run: events in the order of time, and queues where they meet."""

    jobs: Jobs
    costs: CostModel
    events: list[tuple[float, int, bool, int]] = field(default_factory=list)
    """Time, serial number, whether a job ends (else it could start), and which."""
    queues: dict[int, deque[int]] = field(default_factory=dict)
    busy: set[int] = field(default_factory=set)
    wanting: deque[int] = field(default_factory=deque)
    """Places that have work and wait for a core."""
    serial: int = 0
    running: int = 0

    def __post_init__(self) -> None:
        jobs = self.jobs.jobs
        cost = self.costs.by_unit | {"": 0.0}
        self.places = [job.place for job in jobs]
        self.seconds = [sum(n * cost[u] for u, n in job.units.items()) for job in jobs]
        self.travels = [cost[job.sent] for job in jobs]
        self.missing = [len(job.after) for job in jobs]
        self.arrived = [0.0] * len(jobs)
        self.starts, self.ends = [0.0] * len(jobs), [0.0] * len(jobs)
        self.causes = [NOBODY] * len(jobs)
        self.followers: list[list[int]] = [[] for _ in jobs]
        for number, job in enumerate(jobs):
            for before in job.after:
                self.followers[before].append(number)
            if not job.after:
                self._note(0.0, False, number)

    def run(self) -> None:
        """Take events until there are none."""
        while self.events:
            now, _, ends, job = heappop(self.events)
            if ends:
                self._end(now, job)
            else:
                self._queue(now, job)

    def _note(self, time: float, ends: bool, job: int) -> None:
        self.serial += 1
        heappush(self.events, (time, self.serial, ends, job))

    def _queue(self, now: float, job: int) -> None:
        """Take a job that could start."""
        place = self.places[job]
        if place == NOWHERE:
            self._start(now, job)
            return
        queue = self.queues.setdefault(place, deque())
        queue.append(job)
        if len(queue) == 1 and place not in self.busy:
            self.wanting.append(place)
            self._serve(now, NOBODY)

    def _serve(self, now: float, cause: int) -> None:
        """Start the first job of places that wait, while there are cores."""
        while self.wanting and (self.costs.cores is None or self.running < self.costs.cores):
            place = self.wanting.popleft()
            job = self.queues[place].popleft()
            if cause != NOBODY:
                self.causes[job] = cause
            self.busy.add(place)
            self.running += 1
            self._start(now, job)

    def _start(self, now: float, job: int) -> None:
        self.starts[job] = now
        self._note(now + self.seconds[job], True, job)

    def _end(self, now: float, job: int) -> None:
        self.ends[job] = now
        place = self.places[job]
        for follower in self.followers[job]:
            away = self.places[follower] != place
            arrival = now + self.travels[job] if away else now
            self.missing[follower] -= 1
            if arrival >= self.arrived[follower]:
                self.arrived[follower], self.causes[follower] = arrival, job
            if not self.missing[follower]:
                self._note(self.arrived[follower], False, follower)
        if place != NOWHERE:
            self.busy.remove(place)
            self.running -= 1
            if self.queues[place]:
                self.wanting.append(place)
            self._serve(now, job)
