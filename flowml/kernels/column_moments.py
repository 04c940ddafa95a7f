"""Weight, mean and scatter of each column, NaN left out: all that standardising needs."""

from typing import NamedTuple

import numpy as np

from flowml.kernels.fold import Fold
from flowml.kernels.rows import Array, Block, Rows, Slice, is_sparse, n_features, slices
from flowml.kernels.scratch import scratch

SLICE_BYTES = 1 << 19


class ColumnMoments(NamedTuple):
    r"""Moments of each column over the rows in which it isn't NaN.

    .. math:: w = \sum_i w_i,\quad m = \sum_i w_i x_i / w,\quad s = \sum_i w_i (x_i - m)^2

    Attributes
    ----------
    weight : ndarray of shape (n_features,)
        0 for a column that has no value yet; its mean and scatter are then 0 as well.
    mean : ndarray of shape (n_features,)
    scatter : ndarray of shape (n_features,)
    """

    weight: Array
    mean: Array
    scatter: Array


def summarise(ask: None, rows: Rows) -> ColumnMoments:
    """Sum about one shift while slices hold no NaN; the others take the careful way.

    The shift is the mean of the first slice: a share of the rows, so that moving the sums to the
    mean of all costs a digit or two where a shift far away would cost all of them.
    """
    moments = nothing(n_features(rows))
    dense = [block for block in rows if not is_sparse(block.X)]
    size = _slice_rows(dense, n_features(rows))
    sums = _ShiftedSums(size, n_features(rows))
    for part in slices(dense, size):
        if not sums.add(part):
            moments = merge(moments, _careful_moments(part))
    for block in rows:
        if is_sparse(block.X):
            moments = merge(moments, _sparse_moments(block))
    return merge(moments, sums.moments())


def merge(left: ColumnMoments, right: ColumnMoments) -> ColumnMoments:
    r"""Join two: :math:`s = s_l + s_r + \frac{w_l w_r}{w_l + w_r} (m_r - m_l)^2`.

    Chan, Golub & LeVeque (1983), "Algorithms for computing the sample variance".
    """
    weight = left.weight + right.weight
    share = _divide(right.weight, weight)
    step = right.mean - left.mean
    scatter = left.scatter + right.scatter + left.weight * share * step**2
    return ColumnMoments(weight, left.mean + step * share, scatter)


COLUMN_MOMENTS = Fold(summarise, merge, takes_nan=True)


def nothing(n_columns: int) -> ColumnMoments:
    """Return the moments of no rows."""
    return ColumnMoments(*np.zeros((3, n_columns)))


class _ShiftedSums:
    """Sums over slices about a shift that is laid out as a whole slice.

    NumPy subtracts two arrays of one shape three times faster than an array and a row.
    """

    def __init__(self, n_rows: int, n_columns: int) -> None:
        self.weight = 0.0
        self.sums, self.squares = np.zeros((2, n_columns))
        self.ones = np.ones(n_rows)
        self.shift = scratch("moments.shift", (n_rows, n_columns))
        self.work = scratch("moments.work", (n_rows, n_columns))

    def add(self, part: Slice) -> bool:
        """Add a slice's rows; tell whether that was possible: not with a NaN or infinity."""
        n_rows = len(part.X)
        weights = self.ones[:n_rows] if part.weight is None else part.weight
        weight = float(weights.sum())
        if weight == 0:
            return True
        if self.weight == 0:
            self.shift[:] = weights @ part.X / weight
        centred = np.subtract(part.X, self.shift[:n_rows], out=self.work[:n_rows])
        sums = weights @ centred
        if not np.isfinite(sums).all():
            return False
        centred *= centred
        self.weight += weight
        self.sums += sums
        self.squares += weights @ centred
        return True

    def moments(self) -> ColumnMoments:
        """Move the sums to the mean."""
        if self.weight == 0:
            return nothing(len(self.sums))
        offset = self.sums / self.weight
        return ColumnMoments(
            np.full(len(offset), self.weight),
            self.shift[0] + offset,
            np.maximum(self.squares - self.sums * offset, 0.0),
        )


def _careful_moments(part: Slice) -> ColumnMoments:
    """Moments of a dense slice that holds NaN (left out) or infinity (which stays)."""
    X = np.asarray(part.X, dtype=np.float64)
    missing = np.isnan(X)
    weights = np.ones(len(X)) if part.weight is None else part.weight
    present = weights != 0
    X, missing, weights = X[present], missing[present], weights[present]
    weight = weights @ ~missing
    mean = _divide(weights @ np.where(missing, 0.0, X), weight)
    with np.errstate(invalid="ignore"):
        centred = np.where(missing, 0.0, X - mean)
    return ColumnMoments(weight, mean, weights @ centred**2)


def _sparse_moments(block: Block) -> ColumnMoments:
    """Moments of a CSR block in time that doesn't grow with its zeros."""
    X = block.X
    if not X.has_canonical_format:
        X = X.copy()
        X.sum_duplicates()
    n_rows, n_columns = X.shape
    weights = np.ones(n_rows) if block.weight is None else block.weight
    per_value = np.repeat(weights, np.diff(X.indptr))
    kept = ~np.isnan(X.data) & (per_value != 0)
    column, values, stored = X.indices[kept], X.data[kept].astype(np.float64), per_value[kept]
    missing = _column_sums(X.indices[~kept], per_value[~kept], n_columns)
    weight = weights.sum() - missing
    mean = _divide(_column_sums(column, stored * values, n_columns), weight)
    with np.errstate(invalid="ignore"):
        squares = stored * (values - mean[column]) ** 2
    zeros = weight - _column_sums(column, stored, n_columns)
    return ColumnMoments(weight, mean, _column_sums(column, squares, n_columns) + zeros * mean**2)


def _column_sums(columns: Array, values: Array, n_columns: int) -> Array:
    return np.bincount(columns, weights=values, minlength=n_columns)


def _divide(values: Array, weight: Array) -> Array:
    """Divide, with 0 where there is no weight."""
    return np.divide(values, weight, out=np.zeros_like(weight), where=weight > 0)


def _slice_rows(blocks: Rows, n_columns: int) -> int:
    """Cut slices that stay in the processor's cache, and no work space larger than the blocks."""
    longest = max((block.X.shape[0] for block in blocks), default=0)
    return max(1, min(SLICE_BYTES // (8 * max(1, n_columns)), longest))
