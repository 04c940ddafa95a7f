"""Coordinate descent on a quadratic with an elastic net: the lasso of a Gram matrix."""

import numba
import numpy as np

from flowml.kernels.rows import Array


def minimise_quadratic(
    A: Array,
    b: Array,
    start: Array,
    prices: tuple[Array, Array, Array, Array],
    tolerance: float,
    max_sweeps: int = 10_000,
) -> Array:
    r"""Minimise :math:`\tfrac{1}{2} x^\top A x - b^\top x + P(x)`, one coordinate after another.

    J. Friedman, T. Hastie & R. Tibshirani 2010, "Regularization paths for generalized linear
    models via coordinate descent"; sweeps over all coordinates alternate with sweeps over those
    that moved.

    Parameters
    ----------
    A : ndarray of shape (n, n)
        Symmetric, positive semidefinite.
    b, start : ndarray of shape (n,)
    prices : four ndarrays of shape (n,)
        `l1`, `l2`, `lower` and `upper` of an `ElasticNet`.
    tolerance : float
        Stop when no coordinate lets the sum fall faster than this.
    max_sweeps : int, default=10000

    Returns
    -------
    ndarray of shape (n,)

    Examples
    --------
    >>> free = np.full(1, np.inf)
    >>> minimise_quadratic(np.eye(1), np.array([3.0]), np.zeros(1),
    ...                    (np.ones(1), np.zeros(1), -free, free), 1e-9)
    array([2.])
    """
    x = start.astype(np.float64)
    _descend(np.ascontiguousarray(A), b, x, np.stack(prices), tolerance, max_sweeps)
    return x


@numba.njit(nogil=True, cache=True)
def _descend(
    A: Array, b: Array, x: Array, prices: Array, tolerance: float, max_sweeps: int
) -> None:
    l1, l2, lower, upper = prices
    n = len(x)
    slope = np.dot(A, x) - b
    active = np.ones(n, dtype=np.bool_)
    everything = True
    for _ in range(max_sweeps):
        worst = 0.0
        for j in range(n):
            if not active[j]:
                continue
            bend = A[j, j] + l2[j]
            if bend <= 0.0:
                continue
            old = x[j]
            target = A[j, j] * old - slope[j]
            size = max(abs(target) - l1[j], 0.0) / bend
            new = min(max(size if target > 0 else -size, lower[j]), upper[j])
            step = new - old
            if step != 0.0:
                worst = max(worst, abs(step) * bend)
                x[j] = new
                row = A[j]
                for i in range(n):
                    slope[i] += step * row[i]
            if everything:
                active[j] = step != 0.0
        if worst <= tolerance:
            if everything:
                return
            active[:] = True
            everything = True
        else:
            everything = False
