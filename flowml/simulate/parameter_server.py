"""Parameter server: workers with clocks of their own, none too far ahead."""

from dataclasses import dataclass

from flowml.kernels.rows import Array
from flowml.simulate.cost_model import CostModel
from flowml.simulate.engine import run
from flowml.simulate.jobs import Jobs
from flowml.simulate.rows import Shares
from flowml.simulate.timeline import Timeline
from flowml.simulate.workload import Workload


@dataclass(frozen=True)
class ParameterServer:
    """Stale synchronous parallel, as `flowml.runtimes.parameter_server.clocks` does it.

    A worker that has pushed is given its next order as soon as nobody is further behind than
    allowed. The server takes one message at a time. With staleness it steps from all workers'
    latest summaries for every order; without, once for each clock. The first clock is one in
    common.

    Parameters
    ----------
    staleness : int
        0 waits for everybody in each clock.
    """

    staleness: int = 0

    @property
    def name(self) -> str:
        """Its name and its staleness."""
        return f"parameter server (staleness {self.staleness})"

    def simulate(self, work: Workload, costs: CostModel, slowness: Array) -> Timeline:
        """Run clocks; a pass has ended when the server has stepped from every worker's push."""
        jobs, shares = Jobs(), Shares(work)
        n = server = work.n_workers
        message = {"call": 1.0, "wire": work.summary_bytes}
        step = {"turn": 1.0, "merge": 2.0 * sum(shares.nodes) * work.summary_bytes}
        taken: list[list[int]] = [[] for _ in range(n)]
        gates: list[int] = []
        for clock, slow in enumerate(slowness):
            gate = [gates[max(clock - self.staleness - 1, 0)]] if clock else []
            mixes = clock > 0 and self.staleness > 0
            for w in range(n):
                units = message | step if mixes else message
                order = jobs.add("order", server, units, [*taken[w], *gate], "message")
                units = {"call": 2.0} | shares.units(w, float(slow[w]))
                rows = jobs.add("rows", w, units, [order], "message")
                taken[w] = [jobs.add("take", server, message, [rows])]
            gates.append(jobs.add("step", server, step, [job for some in taken for job in some]))
            jobs.end_pass(gates[-1])
        return run(jobs, costs)
