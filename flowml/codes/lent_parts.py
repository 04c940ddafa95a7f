"""Lent parts: some workers do parts of others, which they hold anyway."""

from collections.abc import Callable, Mapping, Sequence
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


def rehomed(homes: Sequence[int], slowness: Mapping[int, float]) -> tuple[int, ...]:
    """Return new homes of the parts, so that all workers are done with them at about one time.

    As few parts as it takes go from those who would be done last to those who would be first.

    Parameters
    ----------
    homes : sequence of int
        For each part the worker that does it.
    slowness : mapping of int to float
        What a part takes each worker, in any unit; who isn't in it keeps none.

    Examples
    --------
    >>> rehomed([0, 0, 0, 1, 1, 1], slowness={0: 1.0, 2: 1.0, 3: 2.0})
    (0, 0, 0, 2, 2, 3)
    """
    found = list(homes)
    counts = {worker: found.count(worker) for worker in slowness}

    def end(worker: int, more: int) -> float:
        return (counts[worker] + more) * slowness[worker]

    def move(part: int) -> None:
        before, found[part] = found[part], min(slowness, key=lambda worker: end(worker, 1))
        counts[found[part]] += 1
        if before in counts:
            counts[before] -= 1

    for part, home in enumerate(homes):
        if home not in slowness:
            move(part)
    while True:
        last = max(slowness, key=lambda worker: end(worker, 0))
        if min(end(worker, 1) for worker in slowness) >= end(last, 0):
            return tuple(found)
        move(max(part for part, home in enumerate(found) if home == last))
