"""The sum of all answers told from some of them, as a survey tells a total from a sample."""

import numpy as np

from flowml.codes.code import Decoded, TooFewAnswersError
from flowml.codes.decoders import Answers
from flowml.kernels.rows import Array


def scaled_up(answers: Answers, weights: Array) -> Decoded:
    r"""Scale the sum of the answers to the weight of all workers.

    Parameters
    ----------
    answers : dict of worker to ndarray of shape (n,)
    weights : ndarray of shape (n_workers,)
        What part of the rows each worker's answer stands for, in any unit.

    Returns
    -------
    Decoded
        :math:`\hat g = \frac{W}{W_R} \sum_{i \in R} y_i` over the r who answered, and its standard
        error,

        .. math:: \sqrt{\frac{n (n - r)}{r (r - 1)} \sum_{i \in R} \|y_i - w_i \bar y\|^2},
                  \qquad \bar y = \sum_{i \in R} y_i / W_R,

        0 if all have answered, infinity if only one has.

    Raises
    ------
    TooFewAnswersError
        If nobody has answered for any rows.

    Notes
    -----
    This is the ratio estimator of survey sampling (Cochran, *Sampling Techniques*, 1977, chapter
    6): unbiased for equal weights and nearly so for others, if who answers is a matter of chance.
    The standard error supposes that too; it is no worst case.

    Examples
    --------
    >>> answers = {0: np.array([1.0]), 2: np.array([3.0])}
    >>> scaled_up(answers, np.ones(3))
    Decoded(sum=array([6.]), error_bound=1.73...)
    """
    own = [worker for worker in answers if weights[worker] > 0.0]
    if not own:
        raise TooFewAnswersError("nobody who holds rows has answered yet")
    vectors, shares = np.stack([answers[worker] for worker in own]), weights[own]
    total, weight = vectors.sum(axis=0), shares.sum()
    n, r = np.count_nonzero(weights), len(own)
    if r == n:
        return Decoded(total, 0.0)
    spread = np.square(vectors - np.outer(shares / weight, total)).sum()
    error = np.sqrt(n * (n - r) / (r * (r - 1)) * spread) if r > 1 else np.inf
    return Decoded(total * (weights.sum() / weight), float(error))
