"""The Gram matrix of the centred columns of ``[X, y]``: all that linear regression needs."""

from typing import NamedTuple

import numpy as np

from flowml.kernels.fold import Fold
from flowml.kernels.rows import Array, Rows, Slice, is_sparse, n_features, slices

SLICE_ROWS = 2048


class Gram(NamedTuple):
    r"""Weight, means and centred cross products of the columns :math:`z = [X, y]`.

    .. math:: w = \sum_i w_i,\quad m = \sum_i w_i z_i / w,\quad
              S = \sum_i w_i (z_i - m)(z_i - m)^\top

    Attributes
    ----------
    rows : float
        Number of rows with a weight above zero.
    weight : float
        Sum of weights.
    mean : ndarray of shape (n_features + n_targets,)
    scatter : ndarray of shape (n_features + n_targets, n_features + n_targets)
    """

    rows: float
    weight: float
    mean: Array
    scatter: Array


def summarise(ask: None, rows: Rows) -> Gram:
    """Sum the cross products about the mean of the first slice, then move them to the mean.

    The shift keeps the digits that subtracting a large mean from raw sums would lose (Chan, Golub
    & LeVeque 1983, "Algorithms for computing the sample variance").
    """
    n_columns = n_features(rows) + _n_targets(rows)
    shift: Array | None = None
    count, weight = 0.0, 0.0
    sums = np.zeros(n_columns)
    products = np.zeros((n_columns, n_columns))
    work = np.empty((SLICE_ROWS, n_columns))
    scratch = np.empty((n_columns, n_columns))
    for part in slices(rows, SLICE_ROWS):
        Z = _columns(part, work)
        if shift is None:
            shift = Z.mean(axis=0)
        Z -= shift
        if part.weight is None:
            count += len(Z)
            weight += len(Z)
            sums += Z.sum(axis=0)
        else:
            count += np.count_nonzero(part.weight)
            weight += float(part.weight.sum(dtype=np.float64))
            sums += part.weight @ Z
            Z *= np.sqrt(part.weight)[:, np.newaxis]
        products += np.matmul(Z.T, Z, out=scratch)
    if shift is None or weight == 0:
        return Gram(0.0, 0.0, np.zeros(n_columns), np.zeros((n_columns, n_columns)))
    offset = sums / weight
    products -= weight * np.outer(offset, offset)
    return Gram(count, weight, shift + offset, products)


def merge(left: Gram, right: Gram) -> Gram:
    r"""Join two: :math:`S = S_l + S_r + \frac{w_l w_r}{w_l + w_r} d d^\top, d = m_r - m_l`."""
    if right.weight == 0:
        return left
    if left.weight == 0:
        return right
    weight = left.weight + right.weight
    step = right.mean - left.mean
    scatter = left.scatter
    scatter += right.scatter
    scatter += (left.weight * (right.weight / weight)) * np.outer(step, step)
    mean = left.mean + step * (right.weight / weight)
    return Gram(left.rows + right.rows, weight, mean, scatter)


GRAM = Fold(summarise, merge)


def _n_targets(rows: Rows) -> int:
    y = rows[0].y
    if y is None:
        return 0
    return 1 if y.ndim == 1 else int(y.shape[1])


def _columns(part: Slice, work: Array) -> Array:
    """Copy the slice's columns ``[X, y]`` as float64 into the work space."""
    n_rows, n_features = part.X.shape
    Z = work[:n_rows]
    Z[:, :n_features] = part.X.toarray() if is_sparse(part.X) else part.X
    if part.y is not None:
        Z[:, n_features:] = part.y.reshape(n_rows, -1)
    return Z
