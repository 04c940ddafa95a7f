"""Coded passes: nobody waits for those whose answers aren't needed."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from flowml.codes.code import Code
from flowml.codes.uncoded import Uncoded
from flowml.kernels.rows import Array
from flowml.simulate.cost_model import CostModel
from flowml.simulate.engine import run
from flowml.simulate.jobs import HUB, NOWHERE, SECOND, Jobs, counted
from flowml.simulate.rows import Shares
from flowml.simulate.timeline import Timeline
from flowml.simulate.workload import Workload

SENT, TAKEN = 0.5, 0.5
"""Shares of what a call costs the client: before and after it."""
SHORTEST_WAIT, LONGEST_WAIT = 0.0003, 0.004
"""Seconds between two looks at what came."""
LONGER = 0.3
"""By what share of it the wait for the next look grows with each that finds nothing."""


def uncoded(n_workers: int) -> Code:
    """Return no code."""
    return Uncoded(n_workers, n_workers)


@dataclass(frozen=True)
class Coded:
    """The client calls every worker, and is done as soon as the code has its sum.

    An answer counts when the client has taken it, one after the other, and looks again: between two
    looks what has come it sleeps. A worker's rows take as many times longer as the code gives it
    more of them. Those who aren't waited for give up at once. The wait is the code's own
    (`Code.wait`), which for backup tasks is an estimate.

    Parameters
    ----------
    code : callable ``n_workers -> Code``
        By default no code: all are waited for.
    parts : int
        How many summaries a worker sends, if it has as many leaves: 1 where the code adds them up.
    """

    code: Callable[[int], Code] = uncoded
    parts: int = 8

    @property
    def name(self) -> str:
        """The code's."""
        return f"coded: {self.code(12).name}"

    def simulate(self, work: Workload, costs: CostModel, slowness: Array) -> Timeline:
        """Run passes, all of whose workers begin anew with each."""
        code = self.code(work.n_workers)
        load = code.load
        nodes = min(self.parts, work.n_leaves // work.n_workers)
        passes = [_answers(work, costs, slow * load, load, nodes) for slow in slowness]
        times = np.array([timeline.ends[timeline.jobs.passes] for timeline in passes])
        together, merged = _Together(work), 2.0 * work.n_workers * nodes * work.summary_bytes
        for timeline, wait in zip(passes, code.wait(times).tolist(), strict=True):
            together.add(timeline, wait, merged, costs)
        return together.timeline()


def lateness(gap: float) -> float:
    """Return how much later than an answer the client looks, on average.

    It looks more and more seldom while none comes: as fits powers, by a part of what has gone by.

    Parameters
    ----------
    gap : float
        Seconds since the answer before.
    """
    return 0.5 * min(SHORTEST_WAIT + LONGER * gap, LONGEST_WAIT)


def _answers(work: Workload, costs: CostModel, slow: Array, load: float, nodes: int) -> Timeline:
    """Call every worker; its answer, when it is taken, "ends a pass" for it alone."""
    jobs, shares = Jobs(work.n_workers), Shares(work)
    started = jobs.add("step", HUB, {"turn": 1.0})
    asked, told = work.summary_bytes, nodes * work.summary_bytes
    for w in range(work.n_workers):
        units = {"dispatch": SENT, "wire": asked}
        question = jobs.add("send", HUB, units, [started], "message")
        units = {"call": 1.0, "wire": asked + told} | shares.units(w, float(slow[w]), nodes)
        units["leaf"] *= load
        rows = jobs.add("rows", w, units, [question], "message")
        jobs.add("after", w, {"after": 1.0}, [rows])
        units = {"dispatch": TAKEN, "wire": told}
        jobs.end_pass(jobs.add("take", HUB, units, [rows]))
    return run(jobs, costs)


class _Together:
    """Passes one after the other, each cut off when its code was done."""

    def __init__(self, work: Workload) -> None:
        self.jobs = Jobs(work.n_workers)
        self.starts: list[Array] = []
        self.ends: list[Array] = []
        self.causes: list[Array] = []
        self.units: list[Array] = []
        self.now = 0.0

    def add(self, timeline: Timeline, wait: float, merged: float, costs: CostModel) -> None:
        """Add a pass that ends after some seconds, a look, and decoding so many bytes."""
        first = len(self.jobs.jobs)
        needed = timeline.ends <= wait
        last = int(np.where(needed, timeline.ends, -1.0).argmax())
        for job in timeline.jobs.jobs:
            self.jobs.jobs.append(job._replace(after=tuple(first + job for job in job.after)))
        answers = timeline.ends[timeline.jobs.passes]
        before = np.max(answers, where=answers < wait, initial=0.0)
        late, decoding = lateness(wait - before), merged * costs.merge
        look = self.jobs.add("look", NOWHERE, {SECOND: late}, [first + last])
        decode = self.jobs.add("decode", HUB, {"merge": merged}, [look])
        self.jobs.end_pass(decode)
        moments = np.cumsum([wait, late, decoding])
        causes = np.where(timeline.causes < 0, first - 1, first + timeline.causes)
        self.starts.append(np.append(np.minimum(timeline.starts, wait), moments[:-1]) + self.now)
        self.ends.append(np.append(np.minimum(timeline.ends, wait), moments[1:]) + self.now)
        self.causes.append(np.append(causes, [first + last, look]))
        if timeline.units is not None:
            own = [counted(self.jobs.jobs[job]) for job in (look, decode)]
            self.units.append(np.vstack([timeline.units, own]))
        self.now += float(moments[-1])

    def timeline(self) -> Timeline:
        """Return all of it."""
        starts, ends, causes = map(np.concatenate, (self.starts, self.ends, self.causes))
        units = np.concatenate(self.units) if self.units else None
        return Timeline(self.jobs, starts, ends, causes, units)
