"""Threads of one process: no messages at all."""

from dataclasses import dataclass

from flowml.kernels.rows import Array
from flowml.simulate.cost_model import CostModel
from flowml.simulate.engine import run
from flowml.simulate.jobs import Jobs
from flowml.simulate.rows import Shares
from flowml.simulate.timeline import Timeline
from flowml.simulate.workload import Workload


@dataclass(frozen=True)
class Threads:
    """Threads that share the rows out; one of them merges."""

    name = "threads"

    def simulate(self, work: Workload, costs: CostModel, slowness: Array) -> Timeline:
        """Run passes."""
        jobs, shares = Jobs(work.n_workers), Shares(work)
        before: list[int] = []
        for slow in slowness:
            rows = [
                jobs.add("rows", w, shares.units(w, float(slow[w])), before)
                for w in range(work.n_workers)
            ]
            merged = 2.0 * sum(shares.nodes) * work.summary_bytes
            before = [jobs.add("merge", 0, {"turn": 1.0, "merge": merged}, rows)]
            jobs.end_pass(before[0])
        return run(jobs, costs)
