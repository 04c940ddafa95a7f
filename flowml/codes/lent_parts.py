"""Lent parts: some workers do parts of others, which they hold anyway."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from flowml.codes.code import Assignment, check_counts, largest_share, runs, shares_of
from flowml.codes.decoders import PartsDecoder, all_finite
from flowml.kernels.rows import Array


@dataclass(frozen=True)
class LentParts:
    """Each part at the worker that it is given to, whoever that is.

    A worker that has lent all its parts keeps the first that was its own, as a measure of how slow
    it is; that one isn't waited for.

    Parameters
    ----------
    n_workers : int
    homes : tuple of int
        For each part the worker that does it.

    Notes
    -----
    Not planned, as moved shares are, but found: by who was there first as the rows were read, or
    as a pass was made. It takes no copies beside those that were made then.

    Examples
    --------
    >>> LentParts(n_workers=3, homes=(1, 2, 1, 1, 2, 2)).assignment().parts
    ((0,), (0, 2, 3), (1, 4, 5))
    """

    n_workers: int
    homes: tuple[int, ...]
    name = "lent parts"
    exact = True

    def __post_init__(self) -> None:
        check_counts(self.n_workers, self.n_parts)
        if not set(self.homes) <= set(range(self.n_workers)):
            raise ValueError(f"homes must be workers from 0 to {self.n_workers - 1}")

    @property
    def n_parts(self) -> int:
        """Parts that the sum is over."""
        return len(self.homes)

    @property
    def load(self) -> float:
        """That of the worker that has most."""
        return largest_share(self.assignment().parts, self.n_parts)

    def assignment(self) -> Assignment:
        """Return who does which part."""
        return Assignment(shares_of(self.homes, runs(self.n_parts, self.n_workers)))

    def decoder(self, finite: Callable[[Any], bool] = all_finite) -> PartsDecoder:
        """Return a decoder that takes each part from whoever does it."""
        return PartsDecoder(self.assignment().parts, self.n_parts, finite)

    def wait(self, times: Array) -> Array:
        """Wait for all but those whose part is a measure only."""
        slowest: Array = times[:, np.unique(self.homes)].max(axis=1)
        return slowest
