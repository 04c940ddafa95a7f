"""Ridge regressions for several penalties, from a Gram matrix alone."""

from typing import NamedTuple

import numpy as np
from scipy.linalg import lapack

from flowml.kernels.gram import Gram
from flowml.kernels.rows import Array
from flowml.solvers.least_squares import Problem, solve_gram

MOST_UNEVEN, MOST_CONDITION = 1e4, 1e6
"""Largest ratio of the columns' squares, and of eigenvalues, at which one eigendecomposition serves
all penalties."""


class RidgePath(NamedTuple):
    """The solutions for several penalties.

    Attributes
    ----------
    coef : ndarray of shape (n_alphas, n_targets, n_features)
    intercept : ndarray of shape (n_alphas, n_targets)
    """

    coef: Array
    intercept: Array


def ridge_path(gram: Gram, alphas: Array, problem: Problem) -> RidgePath:
    r"""Minimise :math:`\sum_i w_i (y_i - x_i b - a)^2 + \alpha \|b\|^2` for each penalty.

    Parameters
    ----------
    gram : Gram
        Of the columns ``[X, y]``.
    alphas : ndarray of shape (n_alphas,)
    problem : Problem
        Its own penalties don't matter.
    """
    p = problem.n_features
    S = gram.scatter
    if not problem.fit_intercept:
        S = S + gram.weight * np.outer(gram.mean, gram.mean)
    coef = np.empty((len(alphas), S.shape[1] - p, p))
    even = _solve_evenly(S, alphas, p)
    for place, alpha in enumerate(alphas):
        if even is None or not even.trusted[place]:
            coef[place] = _solve(S, alpha, gram, problem)
        else:
            coef[place] = even.coef[place]
    intercept = np.zeros(coef.shape[:2])
    if problem.fit_intercept:
        intercept = gram.mean[p:] - coef @ gram.mean[:p]
    return RidgePath(coef, intercept)


class Even(NamedTuple):
    """Solutions from one eigendecomposition, and for which penalties it is as good as a factor.

    Attributes
    ----------
    coef : ndarray of shape (n_alphas, n_targets, n_features)
    trusted : ndarray of shape (n_alphas,), bool
    """

    coef: Array
    trusted: Array


def _solve_evenly(S: Array, alphas: Array, p: int) -> Even | None:
    """Solve for all penalties at once, where the columns have about the same spread.

    Where they don't, digits of the small columns would be lost, which a factor of the columns in
    units of their length keeps.
    """
    spread = S.diagonal()[:p]
    if p == 0 or not spread.min() * MOST_UNEVEN >= spread.max():
        return None
    values, vectors = np.linalg.eigh(S[:p, :p])
    bent = values[:, np.newaxis] + alphas
    trusted = bent[0] * MOST_CONDITION > bent[-1]
    projected = vectors.T @ S[:p, p:]
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = projected.T[np.newaxis] / bent.T[:, np.newaxis]
    coef = shares @ vectors.T
    return Even(coef, trusted)


def _solve(S: Array, alpha: float, gram: Gram, problem: Problem) -> Array:
    """Return coefficients of shape (n_targets, n_features), of least norm where singular."""
    p = problem.n_features
    length = np.sqrt(S.diagonal()[:p] + alpha)
    scale = np.where(length > 0, length, 1.0)[:, np.newaxis]
    A = S[:p, :p] / (scale * scale.T)
    A.flat[:: p + 1] = length > 0
    root, solution, failed = lapack.dposv(A, S[:p, p:] / scale, lower=1)
    if failed or root.diagonal().min() ** 2 < p * np.finfo(np.float64).eps:
        alphas = np.full(S.shape[1] - p, alpha)
        return solve_gram(gram, problem._replace(alphas=alphas)).coef
    return np.ascontiguousarray((solution / scale).T)
