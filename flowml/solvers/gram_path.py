r"""Elastic nets along a path of penalties, and errors on other rows, from Gram matrices alone.

With :math:`W = \sum_i w_i`, the coefficients b and the intercept a minimise

.. math:: \frac{1}{2 W} \sum_i w_i (y_i - x_i b - a)^2
          + \alpha \rho \|b\|_1 + \frac{\alpha (1 - \rho)}{2} \|b\|^2
"""

from typing import NamedTuple

import numba
import numpy as np

from flowml.kernels.gram import Gram
from flowml.kernels.rows import Array


class Quadratic(NamedTuple):
    r"""Half the mean squared residual: :math:`\frac12 (\theta^\top A \theta + t) - c^\top \theta`.

    Attributes
    ----------
    products : ndarray of shape (n_features, n_features)
        A, of columns in units of their spread.
    target : ndarray of shape (n_features,)
        c
    total : float
        t, the mean square of y.
    scale : ndarray of shape (n_features,)
        The columns' spread: coefficients are :math:`\theta / s`.
    """

    products: Array
    target: Array
    total: float
    scale: Array


class Path(NamedTuple):
    """The solutions for several penalties.

    Attributes
    ----------
    coef : ndarray of shape (n_alphas, n_features)
    intercept : ndarray of shape (n_alphas,)
    gap : ndarray of shape (n_alphas,)
        How far the objective is from its minimum at most.
    n_iter : ndarray of shape (n_alphas,)
        Sweeps over the coefficients.
    """

    coef: Array
    intercept: Array
    gap: Array
    n_iter: Array


class Descent(NamedTuple):
    """How to go along a path.

    Attributes
    ----------
    fit_intercept : bool
    positive : bool
        Whether coefficients must not be below zero.
    tol : float
        Stop at a gap of at most this share of y's mean square.
    max_iter : int
        Most sweeps for each penalty.
    """

    fit_intercept: bool
    positive: bool
    tol: float
    max_iter: int


def elastic_net_path(gram: Gram, alphas: Array, l1_ratio: float, descent: Descent) -> Path:
    """Minimise for each penalty by coordinate descent, each from the solution before.

    J. Friedman, T. Hastie & R. Tibshirani 2010, "Regularization paths for generalized linear
    models via coordinate descent"; the gap is that of S.-J. Kim et al. 2007, "An interior-point
    method for large-scale l1-regularized least squares".

    Parameters
    ----------
    gram : Gram
        Of the columns ``[X, y]``, with one target.
    alphas : ndarray of shape (n_alphas,)
        Descending, for the sake of speed.
    l1_ratio : float
    descent : Descent
    """
    A, target, total, scale = quadratic(gram, descent.fit_intercept)
    rules = (descent.positive, descent.tol * total, descent.max_iter)
    n_alphas, p = len(alphas), len(target)
    theta, gap = np.zeros((n_alphas, p)), np.zeros(n_alphas)
    n_iter = np.zeros(n_alphas, dtype=np.int64)
    x = np.zeros(p)
    for k, alpha in enumerate(alphas):
        prices = np.stack([alpha * l1_ratio / scale, alpha * (1 - l1_ratio) / scale**2])
        gap[k], n_iter[k] = _descend(A, target, total, prices, rules, x)
        theta[k] = x
    coef = theta / scale
    intercept = np.zeros(n_alphas)
    if descent.fit_intercept:
        intercept = gram.mean[-1] - coef @ gram.mean[:-1]
    return Path(coef, intercept, gap, n_iter)


def quadratic(gram: Gram, fit_intercept: bool) -> Quadratic:
    """Return the mean squares and products of the columns, about their means or about zero."""
    S = gram.scatter / gram.weight
    if not fit_intercept:
        S = S + np.outer(gram.mean, gram.mean)
    scale = np.sqrt(np.diag(S)[:-1])
    scale = np.where(scale > 0, scale, 1.0)
    A = S[:-1, :-1] / scale / scale[:, np.newaxis]
    return Quadratic(A, S[:-1, -1] / scale, float(S[-1, -1]), scale)


def largest_alpha(gram: Gram, l1_ratio: float, descent: Descent) -> float:
    """Return the penalty from which on every coefficient is zero."""
    problem = quadratic(gram, descent.fit_intercept)
    slopes = problem.target * problem.scale
    steepest = slopes.max() if descent.positive else np.abs(slopes).max()
    return float(max(steepest, 0.0) / l1_ratio)


def mean_squared_errors(gram: Gram, coef: Array, intercept: Array) -> Array:
    r"""Return :math:`\sum_i w_i (y_i - x_i b - a)^2 / W` of predictors, from the rows' Gram matrix.

    Parameters
    ----------
    gram : Gram
        Of the columns ``[X, y]``.
    coef : ndarray of shape (..., n_targets, n_features)
    intercept : ndarray of shape (..., n_targets)

    Returns
    -------
    ndarray of shape (..., n_targets)
    """
    n_targets = coef.shape[-2]
    targets = np.broadcast_to(np.eye(n_targets), (*coef.shape[:-1], n_targets))
    directions = np.concatenate([-coef, targets], axis=-1)
    about_mean = np.sum(directions @ gram.scatter * directions, axis=-1)
    offset = directions @ gram.mean - intercept
    return np.maximum(about_mean, 0.0) / gram.weight + offset**2


@numba.njit(nogil=True, cache=True)
def _descend(
    A: Array, c: Array, total: float, prices: Array, rules: tuple[bool, float, int], x: Array
) -> tuple[float, int]:
    """Minimise from x on and into it; return the duality gap and the number of sweeps."""
    positive, stop, limit = rules
    slope = np.dot(A, x) - c
    active = np.ones(len(c), dtype=np.bool_)
    everything, n_iter = True, 0
    while n_iter < limit:
        if everything:
            active[:] = True
        moved = _sweep(A, prices, positive, active, slope, x)
        n_iter += 1
        if everything:
            if moved == 0.0 or _gap(c, total, prices, positive, slope, x) <= stop:
                break
            active[:] = x != 0.0
            everything = False
        else:
            everything = moved * moved <= 0.01 * stop
    return _gap(c, total, prices, positive, slope, x), n_iter


@numba.njit(nogil=True, cache=True)
def _sweep(A: Array, prices: Array, positive: bool, active: Array, slope: Array, x: Array) -> float:
    """Go over the active coordinates once; return the largest move in units of y."""
    l1, l2 = prices
    moved = 0.0
    for j in range(len(x)):
        bend = A[j, j] + l2[j]
        if not active[j] or bend <= 0.0:
            continue
        target = A[j, j] * x[j] - slope[j]
        size = max(abs(target) - l1[j], 0.0) / bend
        new = size if target > 0.0 else -size
        if positive and new < 0.0:
            new = 0.0
        step = new - x[j]
        if step != 0.0:
            moved = max(moved, abs(step) * np.sqrt(bend))
            x[j] = new
            for i in range(len(x)):
                slope[i] += step * A[j, i]
    return moved


@numba.njit(nogil=True, cache=True)
def _gap(c: Array, total: float, prices: Array, positive: bool, slope: Array, x: Array) -> float:
    """Return the duality gap; without absolute values, a bound from the least curvature."""
    l1, l2 = prices
    square, price, share, bound = total, 0.0, 1.0, 0.0
    for j in range(len(x)):
        left = slope[j] + l2[j] * x[j]
        square += x[j] * (slope[j] - c[j] + l2[j] * x[j])
        price += l1[j] * abs(x[j])
        size = -left if positive else abs(left)
        if size > l1[j]:
            share = min(share, l1[j] / size)
        bound += 0.5 * left * left / (l2[j] if l2[j] > 0.0 else 1.0)
    if len(l1) > 0 and l1[0] == 0.0:
        return bound
    explained = total - np.dot(c, x)
    return max(0.0, 0.5 * square * (1.0 + share * share) + price - share * explained)
