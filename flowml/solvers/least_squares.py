"""Least squares from a Gram matrix: pure functions, summary in, coefficients out."""

from typing import NamedTuple

import numpy as np

from flowml.kernels.gram import Gram
from flowml.kernels.rows import Array


class LinearFit(NamedTuple):
    """Coefficients of a linear model.

    Attributes
    ----------
    coef : ndarray of shape (n_targets, n_features)
    intercept : ndarray of shape (n_targets,)
    """

    coef: Array
    intercept: Array


def solve_gram(gram: Gram, n_features: int, alpha: Array, fit_intercept: bool) -> LinearFit:
    r"""Minimise :math:`\sum_i w_i (y_i - x_i b - a)^2 + \alpha \|b\|^2`."""
    S, mean = gram.scatter, gram.mean
    if not fit_intercept:
        S = S + gram.weight * np.outer(mean, mean)
    XX, Xy = S[:n_features, :n_features], S[:n_features, n_features:]
    coef = np.linalg.solve(XX + alpha * np.eye(n_features), Xy).T
    intercept = (
        mean[n_features:] - coef @ mean[:n_features] if fit_intercept else np.zeros(len(coef))
    )
    return LinearFit(coef, intercept)
