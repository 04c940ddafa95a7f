"""Fractional repetition: workers in groups that all hold the same parts."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flowml.codes.code import Assignment, check_counts, largest_share, runs
from flowml.codes.decoders import PartsDecoder, all_finite
from flowml.kernels.rows import Array


@dataclass(frozen=True)
class FractionalRepetition:
    """Groups of s + 1 workers, each with all of the group's parts; the first of a group counts.

    Parameters
    ----------
    n_workers : int
        A multiple of ``s + 1``.
    n_parts : int
    s : int
        Any so many workers may fail to answer.

    Raises
    ------
    ValueError
        If the workers can't be grouped, or there are fewer parts than groups.

    Notes
    -----
    Tandon, Lei, Dimakis & Karampatziakis (*Gradient coding: avoiding stragglers in synchronous
    gradient descent*, ICML 2017) give this scheme with as many parts as workers; any number of
    parts will do. Nothing is multiplied, so the bits are those of no code at all. The price is
    that every worker always does the work of s + 1.

    Examples
    --------
    >>> code = FractionalRepetition(n_workers=4, n_parts=4, s=1)
    >>> code.assignment().parts
    ((0, 1), (0, 1), (2, 3), (2, 3))
    >>> decoder = code.decoder()
    >>> decoder.add(1, {0: 1.0, 1: 2.0}), decoder.add(0, {0: 1.0, 1: 2.0})
    (True, False)
    >>> decoder.add(2, {2: 3.0, 3: 4.0}), decoder.done
    (True, True)
    """

    n_workers: int
    n_parts: int
    s: int = 1
    exact = True

    def __post_init__(self) -> None:
        if self.s < 0 or self.n_workers % (self.s + 1):
            raise ValueError(
                f"{self.n_workers} workers can't be put into groups of s + 1 = {self.s + 1}: "
                "use another s, a multiple of s + 1 workers, or cyclic repetition"
            )
        check_counts(self.n_groups, self.n_parts)

    @property
    def name(self) -> str:
        """Its name and its s."""
        return f"fractional repetition (s={self.s})"

    @property
    def n_groups(self) -> int:
        """How many groups there are."""
        return self.n_workers // (self.s + 1)

    @property
    def load(self) -> float:
        """``s + 1``, or more where the parts can't be dealt out evenly."""
        return largest_share(self.assignment().parts, self.n_parts)

    def assignment(self) -> Assignment:
        """Return the group's parts for each worker."""
        groups = runs(self.n_parts, self.n_groups)
        return Assignment(tuple(groups[worker // (self.s + 1)] for worker in range(self.n_workers)))

    def decoder(self, finite: Callable[[Any], bool] = all_finite) -> PartsDecoder:
        """Return a decoder that takes each part from any of its group."""
        return PartsDecoder(self.assignment().parts, self.n_parts, finite)

    def wait(self, times: Array) -> Array:
        """Wait for the first of each group."""
        groups = times.reshape(len(times), self.n_groups, self.s + 1)
        slowest: Array = groups.min(axis=2).max(axis=1)
        return slowest
