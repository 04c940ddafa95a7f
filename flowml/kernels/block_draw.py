"""Random rows of each block by itself: how many is known where the block's size is."""

from dataclasses import dataclass

import numpy as np

from flowml.kernels.labels import numbered
from flowml.kernels.permutation import ROUNDS, permuted
from flowml.kernels.rows import Array


@dataclass(frozen=True)
class BlockDraw:
    """Draws a block's share of all rows that are wanted.

    Parameters
    ----------
    seed : int or None
        None takes the first rows of the block.
    low, high : float
        Which rows of the drawn order, as shares.
    """

    seed: int | None
    low: float
    high: float

    def count(self, before: int, n_rows: int) -> int:
        """Count the drawn rows of a block behind so many others, so that the sum comes out."""
        low, high = self._ends(before, n_rows)
        return high - low

    def rows(self, number: int, before: int, n_rows: int, labels: Array | None = None) -> Array:
        """Return the places of the drawn rows, ascending; of each label the same share."""
        if labels is not None:
            code = numbered(labels)[1]
            mine = [np.flatnonzero(code == label) for label in range(code.max(initial=-1) + 1)]
            drawn = [rows[self.rows(number, 0, len(rows))] for rows in mine]
            return np.sort(np.concatenate([np.empty(0, dtype=np.int64), *drawn]))
        rank = np.arange(n_rows)
        if self.seed is not None:
            rank = permuted(rank, np.full(n_rows, n_rows), self.seed + ROUNDS * number)
        low, high = self._ends(before, n_rows)
        return np.flatnonzero((rank >= low) & (rank < high))

    def _ends(self, before: int, n_rows: int) -> tuple[int, int]:
        low, high = (
            int(np.floor(share * (before + n_rows) + 0.5) - np.floor(share * before + 0.5))
            for share in (self.low, self.high)
        )
        return low, high
