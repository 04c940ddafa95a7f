"""What is left of the normal equations at given coefficients, summed with twice the digits."""

from typing import NamedTuple

import numba
import numpy as np

from flowml.kernels.double_double import two_product, two_sum
from flowml.kernels.fold import Fold
from flowml.kernels.gram import n_targets
from flowml.kernels.rows import Array, Rows, is_sparse, n_features, slices

SLICE_ROWS = 1024


class Candidate(NamedTuple):
    """Coefficients to check, for columns that have a center subtracted.

    Attributes
    ----------
    center : ndarray of shape (n_features + n_targets,)
    coef : ndarray of shape (n_targets, n_features)
    offset : ndarray of shape (n_targets,)
        The intercept of the centred columns.
    """

    center: Array
    coef: Array
    offset: Array


class NormalResidual(NamedTuple):
    r"""Sums of the residuals :math:`r = (y - c_y) - (X - c_X) b - a`, as ``high + low``.

    Attributes
    ----------
    high, low : ndarray of shape (n_targets, n_features + 1)
        :math:`\sum_i w_i (x_i - c_X) r_i`, and :math:`\sum_i w_i r_i` as the last column.
    """

    high: Array
    low: Array


def summarise(ask: Candidate, rows: Rows) -> NormalResidual:
    """Sum residuals, and residuals times columns."""
    shape = (n_targets(rows), n_features(rows) + 1)
    high, low = np.zeros(shape), np.zeros(shape)
    for part in slices(rows, SLICE_ROWS):
        X = part.X.toarray() if is_sparse(part.X) else part.X
        X = np.ascontiguousarray(X, dtype=np.float64)
        y = np.zeros((len(X), 0)) if part.y is None else part.y.reshape(len(X), -1)
        weight = np.ones(len(X)) if part.weight is None else part.weight
        for target in range(shape[0]):
            _add_residuals(
                X,
                y[:, target].astype(np.float64),
                weight.astype(np.float64, copy=False),
                (ask.center[: shape[1] - 1], ask.center[shape[1] - 1 + target]),
                (ask.coef[target], ask.offset[target]),
                (high[target], low[target]),
            )
    return NormalResidual(high, low)


def merge(left: NormalResidual, right: NormalResidual) -> NormalResidual:
    """Add, keeping what the rounding loses."""
    high = left.high + right.high
    shadow = high - left.high
    lost = (left.high - (high - shadow)) + (right.high - shadow)
    return NormalResidual(high, left.low + right.low + lost)


NORMAL_RESIDUAL = Fold(summarise, merge)


@numba.njit(nogil=True, cache=True)
def _add_residuals(X, y, weight, center, candidate, sums):  # type: ignore[no-untyped-def]
    """Add the rows of one slice to ``sums = (high, low)``, for one target."""
    (center_X, center_y), (coef, offset), (high, low) = center, candidate, sums
    n_rows, n_columns = X.shape
    for i in range(n_rows):
        residual, rest = two_sum(y[i], -center_y)
        residual, error = two_sum(residual, -offset)
        rest += error
        for j in range(n_columns):
            column, column_rest = two_sum(X[i, j], -center_X[j])
            product, product_rest = two_product(column, coef[j])
            residual, error = two_sum(residual, -product)
            rest += error - product_rest - column_rest * coef[j]
        residual, rest = two_sum(residual, rest)
        scaled, scaled_rest = two_product(residual, weight[i])
        scaled_rest += rest * weight[i]
        for j in range(n_columns):
            column, column_rest = two_sum(X[i, j], -center_X[j])
            product, product_rest = two_product(column, scaled)
            high[j], error = two_sum(high[j], product)
            low[j] += error + product_rest + column_rest * scaled + column * scaled_rest
        high[n_columns], error = two_sum(high[n_columns], scaled)
        low[n_columns] += error + scaled_rest
