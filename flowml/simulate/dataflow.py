"""Dataflow: a graph for each pass, as `flowml.runtimes.dataflow.runtime` runs it."""

from dataclasses import dataclass

import numpy as np

from flowml.kernels.rows import Array
from flowml.simulate.cost_model import CostModel
from flowml.simulate.engine import run
from flowml.simulate.jobs import HUB, Jobs
from flowml.simulate.rows import Shares
from flowml.simulate.timeline import Timeline
from flowml.simulate.workload import Workload, subtrees

MADE, SENT, TAKEN = 0.5, 0.25, 0.25
"""Shares of what a task costs the hub: before a pass, when it is sent out, when it is done."""


@dataclass(frozen=True)
class Dataflow:
    """A task for each worker's rows, tasks that merge, and one result for the client.

    The client and the scheduler are one place, as where a cluster is started from the script.

    Parameters
    ----------
    fan_in : int
        Subtrees that a task merges.
    """

    fan_in: int = 16
    name = "dataflow"

    def simulate(self, work: Workload, costs: CostModel, slowness: Array) -> Timeline:
        """Run one graph after the other."""
        jobs, shares = Jobs(work.n_workers), Shares(work)
        before: list[int] = []
        for slow in slowness:
            result = _Graph(jobs, work, shares, self.fan_in).add(before, slow)
            jobs.end_pass(result)
            before = [result]
        return run(jobs, costs)


@dataclass
class _Graph:
    """The graph of one pass, as jobs."""

    jobs: Jobs
    work: Workload
    shares: Shares
    fan_in: int

    def add(self, before: list[int], slow: Array) -> int:
        """Add all of it, and return the job with which the client has the result."""
        n, fan_in, ends = self.work.n_workers, self.fan_in, self.work.ends
        widths = [n]
        while widths[-1] > fan_in:
            widths.append(-(-widths[-1] // fan_in))
        n_tasks = sum(widths) + 1
        units = {"graph": 1.0, "turn": 1.0, "task": MADE * n_tasks}
        made = self.jobs.add("graph", HUB, units, before)
        done = [self._summarise(w, [made], self.shares.units(w, float(slow[w]))) for w in range(n)]
        homes, nodes = np.arange(n), self.shares.nodes
        while len(done) > 1:
            lows = np.arange(0, len(done), fan_in)
            ends = np.append(ends[:-1][lows], ends[-1])
            joined = [1] if len(lows) == 1 else subtrees(ends[:-1], ends[1:]).tolist()
            done = [
                self._merge(
                    homes[low : low + fan_in].tolist(),
                    done[low : low + fan_in],
                    sum(nodes[low : low + fan_in]),
                )
                for low in lows
            ]
            nodes, homes = joined, homes[lows]
        if n == 1:
            done = [self._merge([0], done, nodes[0])]
        (root,) = done
        return self.jobs.add("result", HUB, {"wire": self.work.summary_bytes}, [root])

    def _summarise(self, worker: int, inputs: list[int], rows: dict[str, float]) -> int:
        """Add a task over rows: sent out with what is asked, run, known to be done."""
        asked = {"wire": self.work.summary_bytes}
        sent = self.jobs.add("send", HUB, {"task": SENT} | asked, inputs, "message")
        ran = self.jobs.add("rows", worker, {"run": 1.0} | asked | rows, [sent], "message")
        return self.jobs.add("take", HUB, {"task": TAKEN}, [ran])

    def _merge(self, homes: list[int], inputs: list[int], nodes: int) -> int:
        """Add a task that merges, where the first input is: it fetches what others have."""
        home, *others = homes
        size = self.work.summary_bytes
        away = size * nodes * len(others) / len(homes)
        sent = self.jobs.add("send", HUB, {"task": SENT}, inputs, "message")
        asked = self.jobs.add("ask", home, {"fetch": float(len(others))}, [sent], "message")
        each = {"fetch": 1.0, "wire": away / max(1, len(others))}
        given = [self.jobs.add("give", other, each, [asked], "message") for other in others]
        units = {"run": 1.0, "wire": away, "merge": 2.0 * size * nodes}
        ran = self.jobs.add("merge", home, units, [asked, *given], "message")
        return self.jobs.add("take", HUB, {"task": TAKEN}, [ran])
