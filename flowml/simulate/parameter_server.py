"""Parameter server: workers with clocks of their own, none too far ahead."""

from dataclasses import dataclass

from flowml.kernels.rows import Array
from flowml.simulate.cost_model import CostModel
from flowml.simulate.engine import run
from flowml.simulate.jobs import NOWHERE, Jobs
from flowml.simulate.rows import Shares
from flowml.simulate.timeline import Timeline
from flowml.simulate.workload import Workload


@dataclass(frozen=True)
class ParameterServer:
    """Stale synchronous parallel (Ho et al., NIPS 2013): pull, go over the rows, push.

    A worker begins with a clock when all have pushed but the last `staleness` before it. The
    state is cut evenly among the servers, which are places of their own.

    Parameters
    ----------
    staleness : int
        0 waits for everybody in each clock.
    n_servers : int
    """

    staleness: int = 0
    n_servers: int = 1

    @property
    def name(self) -> str:
        """Its name and its staleness."""
        return f"parameter server (staleness {self.staleness})"

    def simulate(self, work: Workload, costs: CostModel, slowness: Array) -> Timeline:
        """Run clocks; a pass has ended when every worker has pushed it."""
        jobs, shares = Jobs(), Shares(work)
        n = work.n_workers
        pushed: list[list[int]] = [[] for _ in range(n)]
        gates: list[int] = []
        for clock, slow in enumerate(slowness):
            oldest = clock - self.staleness - 1
            gate = [gates[oldest]] if oldest >= 0 else []
            for w in range(n):
                state = self._serve(jobs, work, "pull", [*pushed[w], *gate])
                units = {"call": 2.0, "turn": 1.0} | shares.units(w, float(slow[w]))
                pushed[w] = [jobs.add("rows", w, units, state, "message")]
            applied = [self._serve(jobs, work, "push", pushed[w]) for w in range(n)]
            gates.append(jobs.add("gate", NOWHERE, {}, [job for some in applied for job in some]))
            jobs.end_pass(gates[-1])
        return run(jobs, costs)

    def _serve(self, jobs: Jobs, work: Workload, what: str, after: list[int]) -> list[int]:
        """Add what each server does for a pull or a push."""
        size = work.summary_bytes / self.n_servers
        units = {"call": 1.0, "wire": size} | ({"merge": 2.0 * size} if what == "push" else {})
        sent = "message" if what == "pull" else ""
        servers = range(work.n_workers, work.n_workers + self.n_servers)
        return [jobs.add(what, server, units, after, sent) for server in servers]
