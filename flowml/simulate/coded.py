"""Coded passes: nobody waits for those whose answers aren't needed."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from flowml.codes.code import Code
from flowml.codes.uncoded import Uncoded
from flowml.kernels.rows import Array
from flowml.simulate.cost_model import CostModel
from flowml.simulate.engine import run
from flowml.simulate.jobs import HUB, Jobs
from flowml.simulate.rows import Shares
from flowml.simulate.timeline import Timeline
from flowml.simulate.workload import Workload


def uncoded(n_workers: int) -> Code:
    """Return no code."""
    return Uncoded(n_workers, n_workers)


@dataclass(frozen=True)
class Coded:
    """The client calls every worker, and is done as soon as the code has its sum.

    An answer counts when the client has taken it, one after the other. A worker's rows take as
    many times longer as the code gives it more of them. Those who aren't waited for give up at
    once. The wait is the code's own (`Code.wait`), which for backup tasks is an estimate.

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
        sent = min(self.parts, work.n_leaves // work.n_workers) * work.summary_bytes
        passes = [_answers(work, costs, slow * load, load, sent) for slow in slowness]
        times = np.array([timeline.ends[timeline.jobs.passes] for timeline in passes])
        together = _Together()
        for timeline, wait in zip(passes, code.wait(times).tolist(), strict=True):
            together.add(timeline, wait, 2.0 * work.n_workers * sent, costs)
        return together.timeline()


def _answers(work: Workload, costs: CostModel, slow: Array, load: float, sent: float) -> Timeline:
    """Call every worker; its answer, when it is taken, "ends a pass" for it alone."""
    jobs, shares = Jobs(), Shares(work)
    started = jobs.add("step", HUB, {"turn": 1.0, "coded": 1.0})
    question, answer = ({"call": 1.0, "wire": size} for size in (work.summary_bytes, sent))
    for w in range(work.n_workers):
        asked = jobs.add("send", HUB, question, [started], "message")
        units = {"call": 1.0} | shares.units(w, float(slow[w]))
        units["leaf"] *= load
        rows = jobs.add("rows", w, units, [asked], "message")
        jobs.end_pass(jobs.add("take", HUB, answer, [rows]))
    return run(jobs, costs)


class _Together:
    """Passes one after the other, each cut off when its code was done."""

    def __init__(self) -> None:
        self.jobs = Jobs()
        self.starts: list[Array] = []
        self.ends: list[Array] = []
        self.causes: list[Array] = []
        self.now = 0.0

    def add(self, timeline: Timeline, wait: float, merged: float, costs: CostModel) -> None:
        """Add a pass that ends after some seconds, and decoding so many bytes."""
        first = len(self.jobs.jobs)
        needed = timeline.ends <= wait
        last = int(np.where(needed, timeline.ends, -1.0).argmax())
        for job in timeline.jobs.jobs:
            self.jobs.jobs.append(job._replace(after=tuple(first + job for job in job.after)))
        units = {"merge": merged}
        decode = self.jobs.add("decode", HUB, units, [first + last])
        self.jobs.end_pass(decode)
        seconds = units["merge"] * costs.merge
        causes = np.where(timeline.causes < 0, first - 1, first + timeline.causes)
        self.starts.append(np.append(np.minimum(timeline.starts, wait), wait) + self.now)
        self.ends.append(np.append(np.minimum(timeline.ends, wait), wait + seconds) + self.now)
        self.causes.append(np.append(causes, first + last))
        self.now += wait + seconds

    def timeline(self) -> Timeline:
        """Return all of it."""
        whole = [np.concatenate(parts) for parts in (self.starts, self.ends, self.causes)]
        return Timeline(self.jobs, *whole)
