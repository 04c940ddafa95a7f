"""Smallest and largest value of each column, NaN left out."""

from typing import NamedTuple

import numpy as np

from flowml.kernels.fold import Fold
from flowml.kernels.rows import Array, Matrix, Rows, is_sparse, slices

SLICE_ROWS = 1024
ROWS_ABREAST = 32


class ColumnExtremes(NamedTuple):
    """Extremes of each column over the rows with a weight above zero.

    Attributes
    ----------
    weight : float
        Sum of weights.
    smallest : ndarray of shape (n_features,), of X's dtype
        Infinity for a column that has no value yet.
    largest : ndarray of shape (n_features,), of X's dtype
        Minus infinity for a column that has no value yet.
    """

    weight: float
    smallest: Array
    largest: Array


def summarise(ask: None, rows: Rows) -> ColumnExtremes:
    """Take the extremes slice by slice, a slice staying in the cache for both."""
    X = rows[0].X
    weight = 0.0
    smallest, largest = np.full(X.shape[1], np.inf, X.dtype), np.full(X.shape[1], -np.inf, X.dtype)
    for part in slices(rows, SLICE_ROWS):
        X = part.X
        if part.weight is None:
            weight += X.shape[0]
        else:
            weight += float(part.weight.sum())
            X = X[part.weight != 0]
        if X.shape[0]:
            low, high = _extremes(X)
            np.fmin(smallest, low, out=smallest)
            np.fmax(largest, high, out=largest)
    return ColumnExtremes(weight, smallest, largest)


def merge(left: ColumnExtremes, right: ColumnExtremes) -> ColumnExtremes:
    """Join two."""
    return ColumnExtremes(
        left.weight + right.weight,
        np.minimum(left.smallest, right.smallest),
        np.maximum(left.largest, right.largest),
    )


def free_of_infinity(summary: ColumnExtremes) -> bool:
    """Tell whether no value was infinite; a column without values isn't meant."""
    infinite = (summary.largest == np.inf).any() or (summary.smallest == -np.inf).any()
    return bool(np.isfinite(summary.weight)) and not infinite


COLUMN_EXTREMES = Fold(summarise, merge, finite=free_of_infinity, takes_nan=True)


def _extremes(X: Matrix) -> tuple[Array, Array]:
    if is_sparse(X):
        return X.nanmin(axis=0).toarray(), X.nanmax(axis=0).toarray()
    return _reduce(np.fmin, X), _reduce(np.fmax, X)


def _reduce(extreme: np.ufunc, X: Array) -> Array:
    """Reduce the rows; laid side by side in long rows first, which NumPy reduces faster."""
    if X.flags.c_contiguous and len(X) % ROWS_ABREAST == 0:
        X = extreme.reduce(X.reshape(-1, ROWS_ABREAST * X.shape[1]), axis=0).reshape(-1, X.shape[1])
    return extreme.reduce(X, axis=0)
