"""Decoders that several codes share: of summaries by part, and of a vector from each worker."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from flowml.codes.code import (
    Decoded,
    NotFiniteError,
    Shares,
    TooFewAnswersError,
    check_worker,
)
from flowml.kernels.rows import Array

Answers: TypeAlias = dict[int, Array]
"""Vectors by worker."""


def all_finite(value: Any) -> bool:
    """Tell whether no number in nested tuples, lists, mappings and arrays is NaN or infinite.

    Examples
    --------
    >>> all_finite({"sum": (1.0, [2.0])}), all_finite(({"sum": float("nan")}, None))
    (True, False)
    """
    if isinstance(value, Mapping):
        return all(map(all_finite, value.values()))
    if isinstance(value, tuple | list):
        return all(map(all_finite, value))
    numbers = np.asarray(value)
    return numbers.dtype.kind not in "fc" or bool(np.isfinite(numbers).all())


def as_vector(worker: int, payload: Any, length: int | None) -> Array:
    """Return an answer as a vector, of the length that the others have."""
    vector = np.asarray(payload, dtype=np.float64)
    if vector.ndim != 1 or (length is not None and len(vector) != length):
        wanted = "a vector" if length is None else f"a vector of length {length}"
        raise ValueError(f"worker {worker} sent an array of shape {vector.shape}, not {wanted}")
    if not np.isfinite(vector).all():
        raise NotFiniteError(worker)
    return vector


@dataclass(eq=False)
class PartsDecoder:
    """Collects a summary of each part from whoever has it; the first that comes counts.

    A worker may answer all at once or part by part. Whose summary counts makes no difference to
    the bits, as a summary depends on the state and the part's rows alone.

    Parameters
    ----------
    holders : tuple of tuples of int
        For each worker the parts that it may answer for.
    n_parts : int
    finite : callable ``payload -> bool``
        Which answers are refused, for summaries in which infinity means something.
    """

    holders: Shares
    n_parts: int
    finite: Callable[[Any], bool] = all_finite
    summaries: dict[int, Any] = field(default_factory=dict, init=False)
    finished: bool = field(default=False, init=False)

    def add(self, worker: int, payload: Mapping[int, Any]) -> bool:
        """Take summaries by part, and tell whether one of them was missing so far."""
        check_worker(worker, len(self.holders))
        if strange := set(payload) - set(self.holders[worker]):
            raise ValueError(f"worker {worker} sent part {min(strange)}, which it doesn't hold")
        news = {part: payload[part] for part in payload if part not in self.summaries}
        if self.finished or not news:
            return False
        if not self.finite(news):
            raise NotFiniteError(worker)
        self.summaries.update(news)
        return True

    @property
    def done(self) -> bool:
        """Whether all parts are there."""
        return len(self.summaries) == self.n_parts

    def finish(self) -> Decoded:
        """Return the summaries in the order of their parts."""
        if not self.done:
            missing = sorted(set(range(self.n_parts)) - set(self.summaries))
            raise TooFewAnswersError(f"nobody has answered for parts {missing} yet")
        self.finished = True
        return Decoded(dict(sorted(self.summaries.items())), 0.0)


@dataclass(eq=False)
class VectorDecoder:
    """Collects a vector from each worker, and leaves it to a code what they come to.

    Parameters
    ----------
    n_workers : int
    needed : int
        How many answers are worth waiting for.
    combine : callable ``answers -> Decoded``
        Takes vectors by worker, in the workers' order.
    """

    n_workers: int
    needed: int
    combine: Callable[[Answers], Decoded]
    answers: Answers = field(default_factory=dict, init=False)
    finished: bool = field(default=False, init=False)

    def add(self, worker: int, payload: Any) -> bool:
        """Take a worker's vector, and tell whether it is its first."""
        check_worker(worker, self.n_workers)
        if self.finished or worker in self.answers:
            return False
        length = len(next(iter(self.answers.values()))) if self.answers else None
        self.answers[worker] = as_vector(worker, payload, length)
        return True

    @property
    def done(self) -> bool:
        """Whether enough workers have answered."""
        return len(self.answers) >= self.needed

    def finish(self) -> Decoded:
        """Return what the code makes of the answers."""
        decoded = self.combine(dict(sorted(self.answers.items())))
        self.finished = True
        return decoded
