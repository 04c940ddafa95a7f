"""Parameter server: workers with clocks of their own, none too far ahead."""

import math
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

    A wide state is shared out by columns among several servers, of which the first leads. A worker
    fetches its columns from the others once it has its order, and brings them theirs before it
    pushes; the leader has the others sum up and step with it.

    Parameters
    ----------
    staleness : int
        0 waits for everybody in each clock.
    served_bytes : float
        Of the state, for each server; infinity where its columns can't be shared out.
    """

    staleness: int = 0
    served_bytes: float = 1 << 20

    @property
    def name(self) -> str:
        """Its name and its staleness."""
        return f"parameter server (staleness {self.staleness})"

    def n_servers(self, work: Workload) -> int:
        """Return how many serve, on workers of their own.

        Examples
        --------
        >>> ParameterServer().n_servers(Workload(16, 0.0, 1e7, n_leaves=16))
        10
        """
        return max(1, min(work.n_workers, math.ceil(work.summary_bytes / self.served_bytes)))

    def simulate(self, work: Workload, costs: CostModel, slowness: Array) -> Timeline:
        """Run clocks; a pass has ended when the server has stepped from every worker's push."""
        clocks = _Clocks(Jobs(work.n_workers), work, self.n_servers(work))
        taken: list[list[int]] = [[] for _ in range(work.n_workers)]
        gates: list[int] = []
        for clock, slow in enumerate(slowness):
            gate = [gates[max(clock - self.staleness - 1, 0)]] if clock else []
            mixes = clock > 0 and self.staleness > 0
            for w in range(work.n_workers):
                before = [*taken[w], *gate]
                before = [clocks.step(before)] if mixes else before
                taken[w] = [clocks.exchange(w, before, float(slow[w]))]
            gates.append(clocks.step([job for some in taken for job in some]))
            clocks.jobs.end_pass(gates[-1])
        return run(clocks.jobs, costs)


class _Clocks:
    """What workers and servers do, as jobs; servers have the places after the workers'.

    Parameters
    ----------
    jobs : Jobs
    work : Workload
    n_servers : int
    """

    def __init__(self, jobs: Jobs, work: Workload, n_servers: int) -> None:
        self.jobs = jobs
        self._work, self._shares = work, Shares(work)
        self._leader, *self._others = range(work.n_workers, work.n_workers + n_servers)
        self._columns = {"wire": work.summary_bytes / n_servers}
        self._summed = {"merge": 2.0 * sum(self._shares.nodes) * work.summary_bytes / n_servers}

    def exchange(self, worker: int, before: list[int], slow: float) -> int:
        """Add a worker's order, its rows and its push, and return the job that takes that."""
        half = {"serve": 0.5} | self._columns
        order = self.jobs.add("order", self._leader, half, before, "message")
        asked = self._called("give", worker, [order], self._columns)
        units = {"call": 1.0, "wire": 2.0 * self._work.summary_bytes}
        units |= self._shares.units(worker, slow)
        rows = self.jobs.add("rows", worker, units, asked, "message")
        brought = self._called("take", worker, [rows], self._columns)
        self.jobs.add("after", worker, {"after": 1.0 + 2.0 * len(self._others)}, brought)
        return self.jobs.add("take", self._leader, half, brought)

    def step(self, before: list[int]) -> int:
        """Add a step by all servers: all sum up, and step with what that comes to."""
        turn = {"turn": 1.0}
        if not self._others:
            return self.jobs.add("step", self._leader, turn | self._summed, before)
        own = self.jobs.add("sum", self._leader, self._summed, before)
        summed = self._called("sum", self._leader, before, self._summed)
        stepped = self._called("step", self._leader, [own, *summed], turn)
        return self.jobs.add("step", self._leader, turn, stepped)

    def _called(self, what: str, by: int, before: list[int], units: dict[str, float]) -> list[int]:
        """Add calls of all other servers, and return the job with which they are answered."""
        if not self._others:
            return before
        half = {"call": 0.5 * len(self._others)}
        called = self.jobs.add("call", by, half, before, "message")
        served = {"serve": 1.0} | units
        answers = [self.jobs.add(what, o, served, [called], "message") for o in self._others]
        return [self.jobs.add("answer", by, half, answers, "message")]
