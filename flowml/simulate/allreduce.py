"""Allreduce: ranks that run the loop and add up among themselves, in a ring or along a tree."""

from dataclasses import dataclass

from flowml.kernels.rows import Array
from flowml.simulate.cost_model import CostModel
from flowml.simulate.engine import run
from flowml.simulate.jobs import NOWHERE, Jobs
from flowml.simulate.rows import Shares
from flowml.simulate.timeline import Timeline
from flowml.simulate.workload import Workload

FIRST_SLOT = 4096
MESSAGE_BYTES = 300
"""What a summary is wrapped in."""


@dataclass(frozen=True)
class Allreduce:
    """A ring of ranks, as `flowml.runtimes.allreduce.ring_pass` has it.

    A ring of n takes ``2 n - 1`` hops, and what each rank sends in a hop doesn't shrink with n,
    because it gathers. Every rank then merges all subtrees in the fixed order. Above a size the
    summaries are added up as vectors, after two gathers of what there is to say about them: then
    a hop carries a share of 1 / n.

    Parameters
    ----------
    sum_above : float
        Bytes of a rank's subtrees; infinity where merging isn't adding.
    """

    sum_above: float = 1 << 20
    name = "allreduce"

    def simulate(self, work: Workload, costs: CostModel, slowness: Array) -> Timeline:
        """Run passes of all ranks."""
        jobs, shares = Jobs(work.n_workers), Shares(work)
        n, work_on_ring, merge = work.n_workers, *self._sum(work, shares)
        before: list[list[int]] = [[] for _ in range(n)]
        for slow in slowness:
            rows = [
                jobs.add("rows", w, {"turn": 1.0} | shares.units(w, float(slow[w])), before[w])
                for w in range(n)
            ]
            met = jobs.add("wait", NOWHERE, {"hop": work_on_ring["hop_work"]}, rows)
            before = []
            for rank in range(n):
                ring = jobs.add("ring", rank, work_on_ring, [met])
                before.append([jobs.add("merge", rank, merge, [ring])])
            jobs.end_pass(jobs.add("step", NOWHERE, {}, [job for last in before for job in last]))
        return run(jobs, costs)

    def _sum(self, work: Workload, shares: Shares) -> tuple[dict[str, float], dict[str, float]]:
        """Count what each rank does on the ring, and what to merge takes."""
        n, size, most = work.n_workers, work.summary_bytes, max(shares.nodes)
        hops = 2.0 * n - 1.0 if n > 1 else 0.0
        if most * size > self.sum_above:
            nbytes = 2.0 * FIRST_SLOT + size / n
            ring = {"hop_work": 3.0 * hops, "hop_byte": hops * nbytes}
            return ring, {"part": 2.0 * n, "merge": 2.0 * most * size}
        ring = {"hop_work": hops, "hop_byte": hops * slot_bytes(most * size)}
        return ring, {"part": float(n), "merge": 2.0 * sum(shares.nodes) * size}


@dataclass(frozen=True)
class TreeAllreduce:
    """Sums up along a tree of ranks, and the total down again: what a ring can't at 1,000 ranks.

    flowml has none: it is here to say what one would do.

    Parameters
    ----------
    fan_in : int
        From how many a rank takes.
    """

    fan_in: int = 16

    @property
    def name(self) -> str:
        """Its name and its fan-in."""
        return f"tree of {self.fan_in}"

    def simulate(self, work: Workload, costs: CostModel, slowness: Array) -> Timeline:
        """Run passes of all ranks."""
        jobs, shares = Jobs(work.n_workers), Shares(work)
        before: list[list[int]] = [[] for _ in range(work.n_workers)]
        for slow in slowness:
            rows = []
            for w in range(work.n_workers):
                units = {"turn": 1.0} | shares.units(w, float(slow[w]))
                rows.append(jobs.add("rows", w, units, before[w], "hop"))
            down = self._down(jobs, work, self._up(jobs, work, rows))
            before = [[job] for job in down]
            jobs.end_pass(jobs.add("step", NOWHERE, {}, down))
        return run(jobs, costs)

    def _up(self, jobs: Jobs, work: Workload, rows: list[int]) -> int:
        """Add the sums, from the last ranks to the first; rank i takes from those after f i."""
        sent, size = list(rows), work.summary_bytes
        for rank in range((work.n_workers - 2) // self.fan_in, -1, -1):
            for child in self._children(rank, work.n_workers):
                units = {"hop_work": 1.0, "hop_byte": size, "merge": 2.0 * size}
                sent[rank] = jobs.add("merge", rank, units, [sent[rank], sent[child]], "hop")
        return sent[0]

    def _down(self, jobs: Jobs, work: Workload, total: int) -> list[int]:
        """Add the messages with the total, and return with which each rank has it."""
        has = [total] * work.n_workers
        for rank in range((work.n_workers - 2) // self.fan_in + 1):
            for child in self._children(rank, work.n_workers):
                units = {"hop_work": 1.0, "hop_byte": work.summary_bytes}
                has[child] = jobs.add("tell", rank, units, [has[rank]], "hop")
        return has

    def _children(self, rank: int, n_ranks: int) -> range:
        first = self.fan_in * rank + 1
        return range(first, min(first + self.fan_in, n_ranks))


def slot_bytes(payload: float) -> float:
    """Return the bytes of a rank's slot: a power of two, as they grow until all fit.

    Examples
    --------
    >>> slot_bytes(0), slot_bytes(5_000)
    (4096.0, 8192.0)
    """
    needed = int(payload) + MESSAGE_BYTES
    return float(max(FIRST_SLOT, 1 << (needed - 1).bit_length()))
