"""The code: what every way of spreading a pass over workers looks like to a runtime."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

import numpy as np

from flowml.kernels.rows import Array

Shares = tuple[tuple[int, ...], ...]
"""For each worker some numbers, of parts or of pieces."""


class NotFiniteError(ValueError):
    """An answer that holds a NaN or an infinity; it was not added.

    Parameters
    ----------
    worker : int
        Whose answer it is.
    """

    def __init__(self, worker: int) -> None:
        super().__init__(worker)
        self.worker = worker

    def __str__(self) -> str:
        """Say whose it is and what to look at."""
        return (
            f"worker {self.worker}'s answer holds a NaN or infinity and was not added: "
            "look at the rows it holds, or at the state it was asked about"
        )


class TooFewAnswersError(RuntimeError):
    """The sum can't be told from the answers that came."""


class Decoded(NamedTuple):
    """What a pass came to.

    Attributes
    ----------
    sum : ndarray of shape (n,), or dict of part to summary
        float64 for codes that add. The others leave the summaries as they are, in the order of
        the parts, for whoever merges them along a fixed tree.
    error_bound : float
        0 where the sum is exact up to rounding. Elsewhere the norm of what may be amiss, in the
        units of `sum`, infinity where nothing can be said; each code says what it stands for.
    """

    sum: Any
    error_bound: float


@dataclass(frozen=True, eq=False)
class Assignment:
    """Who does what.

    Parameters
    ----------
    parts : tuple of tuples of int
        For each worker, the parts that it holds and summarises at once.
    coefficients : ndarray of shape (n_pieces, n_parts), float64, optional
        For linear codes: a piece is the sum of the parts' summaries (as vectors) times these. A
        worker sends pieces, not summaries.
    pieces : tuple of tuples of int
        For linear codes, the pieces of each worker: most codes have as many pieces as workers.
    backups : tuple of tuples of int
        For each worker, the parts that it holds as well but leaves alone at first.
    """

    parts: Shares
    coefficients: Array | None = None
    pieces: Shares = ()
    backups: Shares = ()

    @property
    def linear(self) -> bool:
        """Whether summaries are added up by the workers, as vectors."""
        return self.coefficients is not None

    def payload(self, worker: int, summaries: Mapping[int, Any] | Array) -> Any:
        """Return what a worker sends when it has summarised its parts.

        Parameters
        ----------
        worker : int
        summaries : mapping of part to summary
            Vectors of float64 for a linear code. A matrix with a row for each part will do.

        Returns
        -------
        ndarray of shape (n,), or dict
            The worker's piece, pieces by number for a code with several for a worker, or
            summaries by part for one that doesn't add.
        """
        if self.coefficients is None:
            return {part: summaries[part] for part in self.parts[worker]}
        rows = {piece: self.coefficients[piece] for piece in self.pieces[worker]}
        sums = {piece: combined(row, summaries) for piece, row in rows.items()}
        return sums[worker] if self.pieces == own_pieces(len(self.parts)) else sums


class Decoder(Protocol):
    """Adds up the answers of one pass as they come. Lives for one pass."""

    def add(self, worker: int, payload: Any) -> bool:
        """Take an answer, and tell whether it was of use.

        One that was there already, or comes after `finish`, is ignored.

        Raises
        ------
        NotFiniteError
            If it holds a NaN or infinity. The decoder stays as it was: the worker may answer
            again.
        ValueError
            If it can't be this worker's.
        """

    @property
    def done(self) -> bool:
        """Whether it is time to stop waiting. Until `finish`, answers are still welcome."""

    def finish(self) -> Decoded:
        """Return the sum; before `done`, the best that can be said.

        Raises
        ------
        TooFewAnswersError
            If nothing can be said.
        """


class Code(Protocol):
    """A way of spreading a pass over workers, as data: a frozen dataclass with pure methods.

    Laws, held for every code by ``tests/test_codes.py``: an exact code gives the sum to 1e-10
    whichever workers don't answer, as long as `Decoder.done` comes true; the order of the answers
    changes nothing but the last bits of a linear code's sum; no argument is written to.
    """

    def __hash__(self) -> int:
        """Codes are values."""

    @property
    def name(self) -> str:
        """What to call it in a log."""

    @property
    def n_workers(self) -> int:
        """Workers, numbered from 0."""

    @property
    def n_parts(self) -> int:
        """Parts that the sum is over, numbered from 0."""

    @property
    def exact(self) -> bool:
        """Whether the sum is exact once the decoder is done."""

    @property
    def load(self) -> float:
        """The work of the worker that has most, as a multiple of an even share without a code."""

    def assignment(self) -> Assignment:
        """Return who does what."""

    def decoder(self) -> Decoder:
        """Return a decoder for one pass."""

    def wait(self, times: Array) -> Array:
        """Return when the decoder would be done.

        Parameters
        ----------
        times : ndarray of shape (n_draws, n_workers)
            When each worker has done all its work under this code.

        Returns
        -------
        ndarray of shape (n_draws,)
        """


@np.errstate(invalid="ignore", over="ignore")
def combined(coefficients: Array, summaries: Mapping[int, Any] | Array) -> Array:
    """Return the sum of summaries times coefficients; those with a zero needn't be there."""
    (parts,) = np.nonzero(coefficients)
    total: Array = coefficients[parts] @ np.stack([summaries[int(part)] for part in parts])
    return total


def runs(n_parts: int, n_runs: int) -> Shares:
    """Cut the parts into runs whose lengths differ by one at most.

    Examples
    --------
    >>> runs(5, 2)
    ((0, 1), (2, 3, 4))
    """
    ends = [run * n_parts // n_runs for run in range(n_runs + 1)]
    return tuple(tuple(range(ends[run], ends[run + 1])) for run in range(n_runs))


def shares_of(homes: Sequence[int], own: Shares) -> Shares:
    """Return each worker's parts; who would be left with nothing keeps the first of its own.

    Examples
    --------
    >>> shares_of([1, 2, 1, 2, 2, 2], own=runs(6, 3))
    ((0,), (0, 2), (1, 3, 4, 5))
    """
    shares = [np.flatnonzero(np.equal(homes, worker)).tolist() for worker in range(len(own))]
    return tuple(tuple(share or own[worker][:1]) for worker, share in enumerate(shares))


def own_pieces(n_workers: int) -> Shares:
    """Return the pieces of a code in which each worker has one."""
    return tuple((worker,) for worker in range(n_workers))


def as_matrix(shares: Shares, n_parts: int) -> Array:
    """Return a matrix of shape (n_workers, n_parts) with a 1 where a worker holds a part."""
    matrix = np.zeros((len(shares), n_parts))
    for worker, parts in enumerate(shares):
        matrix[worker, list(parts)] = 1.0
    return matrix


def largest_share(shares: Shares, n_parts: int) -> float:
    """Return the longest share as a multiple of an even one."""
    return max(map(len, shares)) * len(shares) / n_parts


@lru_cache(maxsize=64)
def loads(code: Code) -> Array:
    """Return the work of each worker under a code, as a multiple of an even share without one.

    Examples
    --------
    >>> from flowml.codes.uncoded import Uncoded
    >>> loads(Uncoded(n_workers=2, n_parts=5))
    array([0.8, 1.2])
    """
    who = code.assignment()
    several = who.pieces and who.pieces != own_pieces(code.n_workers)
    shares = who.pieces if several else who.parts
    work = np.array([len(share) for share in shares]) * (code.n_workers / code.n_parts)
    work.flags.writeable = False
    return work


def nth_answer(times: Array, n: int) -> Array:
    """Return when the first `n` workers have answered, for each row of times."""
    answered: Array = np.partition(times, n - 1, axis=1)[:, n - 1]
    return answered


def check_counts(n_workers: int, n_parts: int) -> None:
    """Refuse a code for nobody, or one with workers that would have nothing to do."""
    if n_workers < 1:
        raise ValueError(f"a code needs a worker at least; got n_workers={n_workers}")
    if n_parts < n_workers:
        raise ValueError(
            f"{n_parts} parts are too few for {n_workers} workers: cut the rows into more parts, "
            "or use fewer workers"
        )


def check_slow(n_workers: int, slow: int) -> None:
    """Refuse to wait for nobody."""
    if not 0 <= slow < n_workers:
        raise ValueError(f"of {n_workers} workers 0 to {n_workers - 1} can be slow; got {slow}")


def check_worker(worker: int, n_workers: int) -> None:
    """Refuse an answer from nowhere."""
    if not 0 <= worker < n_workers:
        raise ValueError(f"worker {worker} isn't one of this code's {n_workers}, counted from 0")
