"""No code: each part has one worker, and all are waited for."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flowml.codes.code import Assignment, check_counts, largest_share, runs
from flowml.codes.decoders import PartsDecoder, all_finite
from flowml.kernels.rows import Array


@dataclass(frozen=True)
class Uncoded:
    """Each part once, in even runs.

    Parameters
    ----------
    n_workers, n_parts : int

    Examples
    --------
    >>> code = Uncoded(n_workers=2, n_parts=3)
    >>> code.assignment().parts
    ((0,), (1, 2))
    >>> decoder = code.decoder()
    >>> decoder.add(1, {1: 10.0, 2: 5.0})
    True
    >>> decoder.done
    False
    >>> decoder.add(0, {0: 1.0})
    True
    >>> decoder.finish()
    Decoded(sum={0: 1.0, 1: 10.0, 2: 5.0}, error_bound=0.0)
    """

    n_workers: int
    n_parts: int
    name = "no code"
    exact = True

    def __post_init__(self) -> None:
        check_counts(self.n_workers, self.n_parts)

    @property
    def homes(self) -> tuple[int, ...]:
        """For each part the worker that does it."""
        shares = self.assignment().parts
        return tuple(worker for worker, share in enumerate(shares) for _ in share)

    @property
    def load(self) -> float:
        """One, unless the parts can't be dealt out evenly."""
        return largest_share(self.assignment().parts, self.n_parts)

    def assignment(self) -> Assignment:
        """Return runs of parts."""
        return Assignment(runs(self.n_parts, self.n_workers))

    def decoder(self, finite: Callable[[Any], bool] = all_finite) -> PartsDecoder:
        """Return a decoder that waits for all."""
        return PartsDecoder(self.assignment().parts, self.n_parts, finite)

    def wait(self, times: Array) -> Array:
        """Wait for the slowest."""
        slowest: Array = times.max(axis=1)
        return slowest
