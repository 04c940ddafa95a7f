"""The workload: how much there is to do in a pass, and for how many."""

from dataclasses import dataclass

import numpy as np

from flowml.kernels.rows import Array


@dataclass(frozen=True)
class Workload:
    """What a pass is over.

    Parameters
    ----------
    n_workers : int
        Processes with a thread each.
    row_bytes : float
        Of all rows.
    summary_bytes : float
        Of a summary, and of what is asked: as of a gradient and its coefficients.
    n_leaves : int
        Of all rows, dealt out evenly; no fewer than workers.

    Raises
    ------
    ValueError
        For no worker, fewer leaves than workers, or sizes below 0.
    """

    n_workers: int
    row_bytes: float
    summary_bytes: float
    n_leaves: int

    def __post_init__(self) -> None:
        if not 1 <= self.n_workers <= self.n_leaves:
            raise ValueError(
                f"{self.n_leaves} leaves for {self.n_workers} workers: there must be a worker at "
                "least, and a leaf for each"
            )
        if self.row_bytes < 0 or self.summary_bytes < 0:
            raise ValueError(f"{self} has a size below 0")

    @property
    def ends(self) -> Array:
        """Where each worker's run of leaves starts, and the last one's end: (n_workers + 1,)."""
        return np.arange(self.n_workers + 1) * self.n_leaves // self.n_workers


def subtrees(first: Array, last: Array) -> Array:
    """Count the complete subtrees of the merge tree that runs of leaves come to.

    Parameters
    ----------
    first, last : ndarray of int, of one shape
        Each run is of the leaves ``first .. last - 1``.

    Examples
    --------
    >>> subtrees(np.array([0, 5]), np.array([5, 7]))
    array([2, 2])
    """
    first, last = first.copy(), last.copy()
    count = np.zeros_like(first)
    while (first < last).any():
        odd_first = (first < last) & (first % 2 == 1)
        first += odd_first
        odd_last = (first < last) & (last % 2 == 1)
        last -= odd_last
        count += odd_first.astype(count.dtype) + odd_last
        first, last = first // 2, last // 2
    return count
