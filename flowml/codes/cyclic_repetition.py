"""Cyclic repetition: each worker sends one combination of the next s + 1 parts."""

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np

from flowml.codes.code import (
    Assignment,
    Decoded,
    TooFewAnswersError,
    check_slow,
    nth_answer,
    own_pieces,
)
from flowml.codes.decoders import Answers, VectorDecoder
from flowml.kernels.rows import Array

MOST_STRAGGLERS = 2


@dataclass(frozen=True)
class CyclicRepetition:
    r"""Worker i holds parts i to i + s, round and round; any n - s answers give the sum.

    There are as many parts as workers. With :math:`B` of shape (n, n) worker i sends
    :math:`\sum_j B_{ij} g_j`. For any n - s workers there is a row :math:`a`, zero for the
    others, with :math:`a B = (1, \dots, 1)`.

    Parameters
    ----------
    n_workers : int
        More than `s`.
    s : int
        1 or 2: any so many workers may fail to answer.

    Raises
    ------
    ValueError
        If `s` is larger, or there are too few workers.

    Notes
    -----
    The scheme is that of Tandon, Lei, Dimakis & Karampatziakis (*Gradient coding: avoiding
    stragglers in synchronous gradient descent*, ICML 2017): rows of :math:`B` are orthogonal to
    the s rows of a matrix :math:`H` whose own rows sum to zero, and any s of whose columns are
    independent. They draw :math:`H` at random. What follows is ours.

    *H.* Random ones are ill-conditioned. Column j is :math:`(-1)^j` for s = 1 and
    :math:`(-1)^j (\cos(\pi j / n), -\sin(\pi j / n))` for s = 2, each times a number near 1 that
    makes the rows sum to zero. The directions are as different as they can be.

    *Decoding.* :math:`a = a_0 - N N_E^+ (a_0)_E`, where :math:`a_0` is the shortest solution,
    :math:`N` spans the :math:`a` with :math:`a B = 0`, and E are those who didn't answer: no
    system larger than s by s is solved in a pass.

    *Conditioning.* Rounding errors of the workers' sums reach the decoded one multiplied by
    :meth:`amplification` at worst. For s = 1 that is 1 (n even) or below 2 (n odd). For s = 2 it
    grows with n, to 0.8 n + 0.5 at most (n even; 0.4 n + 0.5 for n odd), where the median of
    random matrices has 92 for 8 workers and 1,800 for 16. For larger s it would grow like a power
    of n: such codes are refused.

    Examples
    --------
    >>> import numpy as np
    >>> code = CyclicRepetition(n_workers=4, s=1)
    >>> code.assignment().parts
    ((0, 1), (1, 2), (2, 3), (0, 3))
    >>> gradients = np.array([[1.0], [2.0], [3.0], [4.0]])
    >>> decoder = code.decoder()
    >>> for worker in (0, 3, 2):
    ...     news = decoder.add(worker, code.assignment().payload(worker, gradients))
    >>> decoder.done, decoder.finish().sum.round(9)
    (True, array([10.]))
    """

    n_workers: int
    s: int = 1
    exact = True

    def __post_init__(self) -> None:
        check_slow(self.n_workers, self.s)
        if not 1 <= self.s <= MOST_STRAGGLERS:
            raise ValueError(
                f"cyclic repetition with s={self.s} would lose too many digits: "
                f"use s=1 or s={MOST_STRAGGLERS}, or fractional repetition"
            )

    @property
    def name(self) -> str:
        """Its name and its s."""
        return f"cyclic repetition (s={self.s})"

    @property
    def n_parts(self) -> int:
        """As many as workers."""
        return self.n_workers

    @property
    def load(self) -> float:
        """``s + 1``"""
        return self.s + 1.0

    def assignment(self) -> Assignment:
        """Return s + 1 parts for each worker, and their coefficients."""
        rows = [np.flatnonzero(row) for row in self.matrix]
        parts = tuple(tuple(map(int, row)) for row in rows)
        return Assignment(parts, self.matrix, own_pieces(self.n_workers))

    def decoder(self) -> VectorDecoder:
        """Return a decoder that waits for n - s answers."""
        return VectorDecoder(self.n_workers, self.n_workers - self.s, self._combine)

    def wait(self, times: Array) -> Array:
        """Wait for all but s."""
        return nth_answer(times, self.n_workers - self.s)

    @cached_property
    def matrix(self) -> Array:
        """The coefficients :math:`B`, of shape (n_workers, n_parts); the largest of a row is 1."""
        checks = _checks(self.n_workers, self.s)
        matrix = np.zeros((self.n_workers, self.n_workers))
        for worker in range(self.n_workers):
            parts = (worker + np.arange(self.s + 1)) % self.n_workers
            row = np.linalg.svd(checks[:, parts])[2][-1]
            matrix[worker, parts] = row / row[np.abs(row).argmax()]
        return matrix

    @cached_property
    def _solutions(self) -> tuple[Array, Array]:
        """The shortest row a with a B = 1, and a basis of those with a B = 0."""
        left, singular, right = np.linalg.svd(self.matrix)
        rank = self.n_workers - self.s
        shortest = left[:, :rank] @ (right[:rank].sum(axis=1) / singular[:rank])
        return shortest, left[:, rank:]

    def decoding(self, missing: Array) -> Array:
        """Return what to multiply the answers by.

        Parameters
        ----------
        missing : ndarray of int
            Those who didn't answer, `s` at most.

        Returns
        -------
        ndarray of shape (n_workers,)
            With zeros for those who are missing.
        """
        shortest, null = self._solutions
        row: Array = shortest - null @ (np.linalg.pinv(null[missing]) @ shortest[missing])
        row[missing] = 0.0
        return row

    def amplification(self) -> float:
        r"""Return by how much rounding errors may grow, for the worst s that are missing.

        :math:`\frac 1 n \sum_i |a_i| \sum_j |B_{ij}|`, which is 1 where nothing is coded.
        """
        sizes = np.abs(self.matrix).sum(axis=1)
        patterns = combinations(range(self.n_workers), self.s)
        worst = max(np.abs(self.decoding(np.array(some))) @ sizes for some in patterns)
        return float(worst / self.n_workers)

    def _combine(self, answers: Answers) -> Decoded:
        if len(answers) < self.n_workers - self.s:
            raise TooFewAnswersError(
                f"{len(answers)} of {self.n_workers} workers have answered; "
                f"cyclic repetition with s={self.s} needs {self.n_workers - self.s}"
            )
        missing = np.setdiff1d(np.arange(self.n_workers), list(answers))
        row = self.decoding(missing)[list(answers)]
        return Decoded(row @ np.stack(list(answers.values())), 0.0)


def _checks(n: int, s: int) -> Array:
    """Return H, of shape (s, n): rows that sum to zero, columns that point everywhere."""
    angle = np.pi * np.arange(n) / n
    signs = np.where(np.arange(n) % 2, -1.0, 1.0)
    columns = signs * np.array([np.cos(angle), -np.sin(angle)] if s > 1 else [np.ones(n)])
    excess = np.linalg.lstsq(columns.T, np.ones(n))[0] @ columns
    balanced: Array = columns * (1.0 - excess)
    return balanced
