"""Ignore the slowest: don't wait for the last k, and scale up what the others sent."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from flowml.codes.code import (
    Assignment,
    as_matrix,
    check_counts,
    check_slow,
    largest_share,
    nth_answer,
    own_pieces,
    runs,
)
from flowml.codes.decoders import VectorDecoder
from flowml.codes.sampling import scaled_up
from flowml.kernels.rows import Array


@dataclass(frozen=True)
class IgnoreSlowest:
    """Each part once; the last k answers aren't waited for, and the sum is scaled up.

    Parameters
    ----------
    n_workers, n_parts : int
    k : int
        How many aren't waited for.
    weights : tuple of float, optional
        The weight of each part's rows, by which the sum is scaled up; else all count the same.

    Notes
    -----
    Chen, Pan, Monga, Bengio & Jozefowicz (*Revisiting distributed synchronous SGD*, 2016) drop
    the slowest. The sum is an unbiased estimate if it is a matter of chance who is slow. A worker
    that always is has its rows left out of the model, and no bound can tell: `error_bound` is the
    standard error under chance (:func:`flowml.codes.sampling.scaled_up`).

    Examples
    --------
    >>> code = IgnoreSlowest(n_workers=3, n_parts=3, k=1)
    >>> decoder = code.decoder()
    >>> decoder.add(0, [1.0]), decoder.add(2, [3.0]), decoder.done
    (True, True, True)
    >>> decoder.finish().sum
    array([6.])
    """

    n_workers: int
    n_parts: int
    k: int = 1
    weights: tuple[float, ...] | None = None
    exact = False

    def __post_init__(self) -> None:
        check_counts(self.n_workers, self.n_parts)
        check_slow(self.n_workers, self.k)
        if self.weights is None:
            return
        if len(self.weights) != self.n_parts or not min(self.weights) >= 0.0:
            raise ValueError(
                f"weights must be {self.n_parts} numbers of at least 0, one for each part; "
                f"got {len(self.weights)}, the least {min(self.weights, default=np.nan)}"
            )

    @property
    def name(self) -> str:
        """Its name and its k."""
        return f"ignoring the slowest {self.k}"

    @property
    def load(self) -> float:
        """One, unless the parts can't be dealt out evenly."""
        return largest_share(self.assignment().parts, self.n_parts)

    def assignment(self) -> Assignment:
        """Return runs of parts, added up as they are."""
        parts = runs(self.n_parts, self.n_workers)
        return Assignment(parts, as_matrix(parts, self.n_parts), own_pieces(self.n_workers))

    def decoder(self) -> VectorDecoder:
        """Return a decoder that waits for all but k."""
        weights = np.ones(self.n_parts) if self.weights is None else np.array(self.weights)
        held = as_matrix(runs(self.n_parts, self.n_workers), self.n_parts) @ weights
        return VectorDecoder(
            self.n_workers, self.n_workers - self.k, partial(scaled_up, weights=held)
        )

    def wait(self, times: Array) -> Array:
        """Wait for all but k."""
        return nth_answer(times, self.n_workers - self.k)
