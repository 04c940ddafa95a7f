"""Weight, mean and scatter of each column, NaN left out: all that standardising needs."""

from typing import NamedTuple

import numba
import numpy as np

from flowml.kernels.fold import Fold
from flowml.kernels.rows import Array, Rows, Slice, is_sparse, n_features, slices
from flowml.kernels.scratch import scratch

SLICE_BYTES = 1 << 19
SPARSE_SLICE_ROWS = 1 << 16


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
    """Sum about a shift near the mean, then move the sums to the mean.

    The shift is the mean of a column's first slice: a share of the rows, so that moving costs a
    digit or two, where a shift far away would cost all of them.
    """
    n_columns = n_features(rows)
    moments = nothing(n_columns)
    dense = [block for block in rows if not is_sparse(block.X)]
    sparse = [block for block in rows if is_sparse(block.X)]
    size = _slice_rows(dense, n_columns)
    sums = _ShiftedSums(size, n_columns)
    for part in slices(dense, size):
        if np.isnan(sums.center).any() and sums.wants(center := _center(part)):
            moments = merge(moments, sums.moments())
            sums.restart(center)
        sums.add(part)
    for part in slices(sparse, SPARSE_SLICE_ROWS):
        moments = merge(moments, _sparse_moments(part))
    return merge(moments, sums.moments())


def merge(left: ColumnMoments, right: ColumnMoments) -> ColumnMoments:
    r"""Join two: :math:`s = s_l + s_r + \frac{w_l w_r}{w_l + w_r} (m_r - m_l)^2`.

    Chan, Golub & LeVeque (1983), "Algorithms for computing the sample variance".
    """
    both = ColumnMoments(*np.stack(left))
    _add_moments(*both, *right)
    return both


COLUMN_MOMENTS = Fold(summarise, merge, takes_nan=True)


def nothing(n_columns: int) -> ColumnMoments:
    """Return the moments of no rows."""
    return ColumnMoments(*np.zeros((3, n_columns)))


class _ShiftedSums:
    """Sums over slices about a shift that is laid out as a whole slice.

    NumPy subtracts two arrays of one shape three times faster than an array and a row.
    """

    def __init__(self, n_rows: int, n_columns: int) -> None:
        self.shift = scratch("moments.shift", (n_rows, n_columns))
        self.work = scratch("moments.work", (n_rows, n_columns))
        self.restart(np.full(n_columns, np.nan))

    def restart(self, center: Array) -> None:
        """Start from zero about another center; NaN for a column that has no value yet."""
        self.center = center
        self.shift[:] = center
        self.weight, self.sums, self.squares = np.zeros((3, len(center)))

    def wants(self, center: Array) -> bool:
        """Tell whether this is the first center for some column."""
        return bool((np.isnan(self.center) & ~np.isnan(center)).any())

    def add(self, part: Slice) -> None:
        """Add a slice's rows, NaN left out."""
        weights = _weights(part)
        centred = np.subtract(part.X, self.shift[: len(weights)], out=self.work[: len(weights)])
        sums, present = weights @ centred, weights.sum()
        if not np.isfinite(sums).all():
            missing = np.isnan(part.X) | np.isnan(self.center)
            np.copyto(centred, 0.0, where=missing)
            sums, present = weights @ centred, weights @ ~missing
        centred *= centred
        self.weight += present
        self.sums += sums
        self.squares += weights @ centred

    def moments(self) -> ColumnMoments:
        """Move the sums to the mean."""
        offset = _divide(self.sums, self.weight)
        mean = np.where(self.weight > 0, self.center + offset, 0.0)
        return ColumnMoments(self.weight, mean, np.maximum(self.squares - self.sums * offset, 0.0))


def _center(part: Slice) -> Array:
    """Return the mean of each column's values in a dense slice.

    NaN for a column without values of any weight; infinite where values are.
    """
    weights = _weights(part)
    if weights.any():
        center: Array = weights @ part.X / weights.sum()
        if np.isfinite(center).all():
            return center
    missing = np.isnan(part.X)
    weight = weights @ ~missing
    total = weights @ np.where(missing, 0.0, part.X)
    total[np.isnan(total)] = np.inf
    return np.divide(total, weight, out=np.full(len(weight), np.nan), where=weight != 0)


def _weights(part: Slice) -> Array:
    return np.ones(part.X.shape[0]) if part.weight is None else part.weight


def _sparse_moments(part: Slice) -> ColumnMoments:
    """Moments of a CSR slice in time that doesn't grow with its zeros."""
    X, weights = part.X, _weights(part)
    found = scratch("moments of columns", (6, X.shape[1]))
    if not _sparse_sums(X.indptr, X.indices, X.data, weights, found):
        X = X.copy()
        X.sum_duplicates()
        _sparse_sums(X.indptr, X.indices, X.data, weights, found)
    return ColumnMoments(*found[:3])


@numba.njit(nogil=True, cache=True)
def _add_moments(
    weight: Array, mean: Array, scatter: Array, more: Array, other_mean: Array, other: Array
) -> None:
    """Add to the first three, column by column."""
    for j in range(len(weight)):
        before = weight[j]
        weight[j] += more[j]
        share = more[j] / weight[j] if weight[j] != 0.0 else 0.0
        step = other_mean[j] - mean[j]
        scatter[j] += other[j] + before * share * step**2
        mean[j] += step * share


@numba.njit(nogil=True, cache=True)
def _sparse_sums(
    starts: Array, columns: Array, values: Array, weights: Array, found: Array
) -> bool:
    """Write weight, mean and scatter into the first rows of `found`.

    Returns whether no row names a column twice.
    """
    found[:] = 0.0
    weight, mean, scatter, stored, missing, sums = found
    if not _add_stored(starts, columns, values, weights, stored, missing, sums):
        return False
    total = weights.sum()
    for j in range(len(weight)):
        weight[j] = total - missing[j]
        mean[j] = sums[j] / weight[j] if weight[j] != 0.0 else 0.0
    _add_squares(starts, columns, values, weights, mean, scatter)
    for j in range(len(weight)):
        scatter[j] += (weight[j] - stored[j]) * mean[j] ** 2
    return True


@numba.njit(nogil=True, cache=True)
def _add_stored(
    starts: Array,
    columns: Array,
    values: Array,
    weights: Array,
    stored: Array,
    missing: Array,
    sums: Array,
) -> bool:
    """Add each column's weights of values and of NaN, and its values by weight.

    Stops and returns False where a row's columns don't ascend: it may name one twice.
    """
    for i in range(len(weights)):
        weight, last = weights[i], -1
        for place in range(starts[i], starts[i + 1]):
            column, value = columns[place], values[place]
            if column <= last:
                return False
            last = column
            if weight == 0.0:
                continue
            if np.isnan(value):
                missing[column] += weight
            else:
                stored[column] += weight
                sums[column] += weight * value
    return True


@numba.njit(nogil=True, cache=True)
def _add_squares(
    starts: Array, columns: Array, values: Array, weights: Array, mean: Array, scatter: Array
) -> None:
    """Add each column's squares about its mean, by weight."""
    for i in range(len(weights)):
        weight = weights[i]
        if weight == 0.0:
            continue
        for place in range(starts[i], starts[i + 1]):
            value = values[place]
            if not np.isnan(value):
                column = columns[place]
                scatter[column] += weight * (value - mean[column]) ** 2


def _divide(values: Array, weight: Array) -> Array:
    """Divide, with 0 where there is no weight."""
    return np.divide(values, weight, out=np.zeros_like(weight), where=weight != 0)


def _slice_rows(blocks: Rows, n_columns: int) -> int:
    """Cut slices that stay in the processor's cache, and no work space larger than the blocks."""
    longest = max((block.X.shape[0] for block in blocks), default=0)
    return max(1, min(SLICE_BYTES // (8 * max(1, n_columns)), longest))
