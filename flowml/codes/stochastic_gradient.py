"""Stochastic gradient coding: a few copies of each part, at random, and an unbiased sum."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from flowml.codes.code import (
    Assignment,
    Decoded,
    Shares,
    TooFewAnswersError,
    as_matrix,
    check_counts,
    check_slow,
    largest_share,
    nth_answer,
    own_pieces,
)
from flowml.codes.decoders import Answers, VectorDecoder
from flowml.codes.sampling import scaled_up
from flowml.kernels.rows import Array


@dataclass(frozen=True)
class StochasticGradientCoding:
    r"""Each part at d workers that are drawn at random; whoever answers is added up and scaled.

    Worker i, who holds the parts :math:`S_i`, sends :math:`y_i = \sum_{j \in S_i} g_j / d`.

    Parameters
    ----------
    n_workers, n_parts : int
    d : int
        Copies of each part.
    k : int
        How many workers aren't waited for.
    p : float, optional
        The probability that a worker doesn't answer, where it is known and a runtime waits for a
        time and not for a number of answers. Without it the sum is scaled by how many came.
    seed : int
        Of the assignment.

    Notes
    -----
    From Bitar, Wootters & El Rouayheb (*Stochastic gradient coding for straggler mitigation in
    distributed learning*, IEEE JSAIT 2020): the sum
    :math:`\hat g = \frac 1 {1 - p} \sum_{i \in R} y_i` is unbiased if each worker answers with
    probability :math:`1 - p`, and if any two parts share :math:`d^2 / n` workers
    (pair-wise balance)

    .. math:: E \|\hat g - g\|^2 = \frac p {1 - p}
              \left[ \left(\frac 1 d - \frac 1 n\right) \sum_j \|g_j\|^2
              + \frac 1 n \Big\|\sum_j g_j\Big\|^2 \right].

    For any assignment it is :math:`\frac p {1 - p} \sum_i \|y_i\|^2`; `error_bound` is the root of
    its unbiased estimate :math:`\frac p {(1 - p)^2} \sum_{i \in R} \|y_i\|^2`.

    Ours: a part goes to workers drawn from those with the fewest parts so far, so that nobody
    straggles for having more; two parts then share
    :math:`d \frac{d m / n - 1}{m - 1}` workers on average, with m parts, a little fewer than
    :math:`d^2 / n`. Without `p`, the sum is scaled by the share of the work that has come
    (:func:`flowml.codes.sampling.scaled_up`), which is the same factor where a share p of the
    workers is missing, but exact where nobody is, and its error knows no
    :math:`\|g\|^2` term.

    Examples
    --------
    >>> import numpy as np
    >>> code = StochasticGradientCoding(n_workers=4, n_parts=8, d=2)
    >>> [len(parts) for parts in code.assignment().parts]
    [4, 4, 4, 4]
    >>> gradients = np.ones((8, 1))
    >>> decoder = code.decoder()
    >>> for worker in (3, 0, 1):
    ...     news = decoder.add(worker, code.assignment().payload(worker, gradients))
    >>> decoder.done, decoder.finish()
    (True, Decoded(sum=array([8.]), error_bound=0.0))
    """

    n_workers: int
    n_parts: int
    d: int = 2
    k: int = 1
    p: float | None = None
    seed: int = 0
    exact = False

    def __post_init__(self) -> None:
        check_counts(self.n_workers, self.n_parts)
        check_slow(self.n_workers, self.k)
        if not 1 <= self.d <= self.n_workers:
            raise ValueError(f"{self.n_workers} workers can't hold d={self.d} copies of a part")
        if self.p is not None and not 0.0 <= self.p < 1.0:
            raise ValueError(f"p must be a probability below 1; got {self.p}")

    @property
    def name(self) -> str:
        """Its name and its d."""
        return f"stochastic gradient coding (d={self.d})"

    @property
    def load(self) -> float:
        """d, or more where the parts can't be dealt out evenly."""
        return largest_share(self._shares, self.n_parts)

    def assignment(self) -> Assignment:
        """Return the parts drawn for each worker, and coefficients of 1 / d."""
        coefficients = as_matrix(self._shares, self.n_parts) / self.d
        return Assignment(self._shares, coefficients, own_pieces(self.n_workers))

    def decoder(self) -> VectorDecoder:
        """Return a decoder that waits for all but k."""
        return VectorDecoder(self.n_workers, self.n_workers - self.k, self._combine)

    def wait(self, times: Array) -> Array:
        """Wait for all but k."""
        return nth_answer(times, self.n_workers - self.k)

    @cached_property
    def _shares(self) -> Shares:
        random = np.random.default_rng(self.seed)
        shares: list[list[int]] = [[] for _ in range(self.n_workers)]
        for part in map(int, random.permutation(self.n_parts)):
            counts = np.array([len(share) for share in shares])
            for worker in np.lexsort((random.random(self.n_workers), counts))[: self.d]:
                shares[worker].append(part)
        return tuple(tuple(sorted(share)) for share in shares)

    def _combine(self, answers: Answers) -> Decoded:
        if self.p is None:
            return scaled_up(answers, np.array([float(len(share)) for share in self._shares]))
        if not answers:
            raise TooFewAnswersError("nobody has answered yet")
        vectors = np.stack(list(answers.values())) / (1.0 - self.p)
        return Decoded(vectors.sum(axis=0), float(np.sqrt(self.p * np.square(vectors).sum())))
