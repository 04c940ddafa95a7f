"""What every schedule does with the rows: a worker summarises its leaves."""

import numpy as np

from flowml.simulate.workload import Workload, subtrees


class Shares:
    """What each worker has to do for its rows, and what comes of it.

    Parameters
    ----------
    work : Workload

    Attributes
    ----------
    nodes : list of int
        Subtrees that each worker has in the end.
    """

    def __init__(self, work: Workload) -> None:
        self._work = work
        self._leaves = np.diff(work.ends).tolist()
        self.nodes: list[int] = subtrees(work.ends[:-1], work.ends[1:]).tolist()

    def units(self, worker: int, slow: float, nodes: int | None = None) -> dict[str, float]:
        """Count what a worker's rows take in a pass, if so many summaries are left in the end."""
        leaves = float(self._leaves[worker])
        made = 2.0 * leaves - (nodes or self.nodes[worker])  # each leaf's, and each merge of two
        return {
            "row": self._work.row_bytes / self._work.n_leaves * leaves * slow,
            "leaf": leaves,
            "merge": max(made, 1.0) * self._work.summary_bytes,
        }
