"""Ridge regressions for several penalties, from a Gram matrix alone."""

from typing import NamedTuple

import numpy as np
from scipy.linalg import lapack

from flowml.kernels.gram import Gram
from flowml.kernels.rows import Array
from flowml.solvers.least_squares import Problem, solve_gram


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
    coef = np.stack([_solve(S, alpha, gram, problem) for alpha in alphas])
    intercept = np.zeros(coef.shape[:2])
    if problem.fit_intercept:
        intercept = gram.mean[p:] - coef @ gram.mean[:p]
    return RidgePath(coef, intercept)


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
