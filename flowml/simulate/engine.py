"""The engine: when each job is done, by whom, and what it waited for."""

from collections import deque
from dataclasses import dataclass, field
from heapq import heappop, heappush

import numpy as np

from flowml.kernels.rows import Array
from flowml.simulate.cores import Cores, Meter
from flowml.simulate.cost_model import CostModel
from flowml.simulate.jobs import NOWHERE, SECOND, Jobs, counted
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
    Six seconds of work on two cores, and then one more:

    >>> jobs = Jobs(n_workers=3)
    >>> rows = [jobs.add("rows", worker, {"row": 1.0}) for worker in range(3)]
    >>> jobs.end_pass(jobs.add("merge", 0, {"merge": 1.0}, rows))
    >>> run(jobs, CostModel(row=2.0, merge=1.0)).pass_seconds
    array([3.])
    >>> run(jobs, CostModel(row=2.0, merge=1.0, idle=0.0, cores=2)).pass_seconds
    array([4.])
    """
    engine = _Engine(jobs, costs)
    engine.run()
    starts, ends, causes = np.array(engine.starts), np.array(engine.ends), np.array(engine.causes)
    units = np.array(engine.units) if engine.meter is not None else None
    return Timeline(jobs, starts, ends, causes, units)


@dataclass
class _Engine:
    """The state of a run: events in the order of time, and queues where they meet."""

    jobs: Jobs
    costs: CostModel
    events: list[tuple[float, int, bool, int]] = field(default_factory=list)
    """Time, serial number, whether a job ends that needs no core (else it could start); which."""
    queues: dict[int, deque[int]] = field(default_factory=dict)
    busy: set[int] = field(default_factory=set)
    serial: int = 0

    def __post_init__(self) -> None:
        jobs, costs = self.jobs.jobs, self.costs
        n_processes = self.jobs.n_workers + 1  # the client's with the scheduler, too
        self.cores = Cores(costs.cores, n_processes, costs.idle)
        self.meter = None if costs.cores is None else Meter(costs.cores)
        cost = costs.by_unit | {"": 0.0, SECOND: 1.0}
        self.seconds = [sum(n * cost[u] for u, n in job.units.items()) for job in jobs]
        self.travels = [cost[job.sent] for job in jobs]
        self.missing = [len(job.after) for job in jobs]
        self.arrived = [0.0] * len(jobs)
        self.starts, self.ends = [0.0] * len(jobs), [0.0] * len(jobs)
        self.causes = [NOBODY] * len(jobs)
        self.units: list[Array] = [] if self.meter is None else [counted(job) for job in jobs]
        self.followers: list[list[int]] = [[] for _ in jobs]
        for number, job in enumerate(jobs):
            for before in job.after:
                self.followers[before].append(number)
            if not job.after:
                self._note(0.0, False, number)

    def run(self) -> None:
        """Take events until there are none, and nobody works."""
        while self.events or self.cores.ends:
            due = self.cores.next_end
            if self.events and self.events[0][0] <= due:
                now, _, ends, job = heappop(self.events)
                self._advance(now)
                if ends:
                    self._end(job)
                else:
                    self._queue(job)
            else:
                self._advance(due)
                self._finish()

    def _advance(self, to: float) -> None:
        if self.meter is not None:
            self.meter.advance(self.cores, to)
        self.cores.advance(to)

    def _note(self, time: float, ends: bool, job: int) -> None:
        self.serial += 1
        heappush(self.events, (time, self.serial, ends, job))

    def _queue(self, job: int) -> None:
        """Take a job that could start."""
        place = self.jobs.jobs[job].place
        if place == NOWHERE:
            self.starts[job] = self.cores.now
            self._note(self.cores.now + self.seconds[job], True, job)
            return
        self.queues.setdefault(place, deque()).append(job)
        if place not in self.busy:
            self._serve(place)

    def _serve(self, place: int) -> None:
        """Start the first job that waits for a process."""
        job = self.queues[place].popleft()
        self.busy.add(place)
        self.starts[job] = self.cores.now
        if self.meter is not None:
            self.meter.start(job, self.seconds[job], self.units[job])
        self.cores.start(job, self.seconds[job])

    def _finish(self) -> None:
        """End a job, and start the next that its process has to do."""
        is_short = self.cores.speed < 1.0
        job = self.cores.finish()
        if self.meter is not None:
            self.units[job] = self.meter.finish(job, self.seconds[job], is_short)
        self._end(job)
        place = self.jobs.jobs[job].place
        self.busy.remove(place)
        if self.queues[place]:
            self.causes[self.queues[place][0]] = job
            self._serve(place)

    def _end(self, job: int) -> None:
        """Let those start that wait for a job's result."""
        now, place = self.cores.now, self.jobs.jobs[job].place
        self.ends[job] = now
        for follower in self.followers[job]:
            away = self.jobs.jobs[follower].place != place
            arrival = now + self.travels[job] if away else now
            self.missing[follower] -= 1
            if arrival >= self.arrived[follower]:
                self.arrived[follower], self.causes[follower] = arrival, job
            if not self.missing[follower]:
                self._note(self.arrived[follower], False, follower)
