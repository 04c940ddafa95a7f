"""The Gram matrix of the centred columns of ``[X, y]``: all that linear regression needs."""

from typing import NamedTuple

import numba
import numpy as np

from flowml.kernels.csr_gram import add_csr_products, laid_out
from flowml.kernels.fold import Fold
from flowml.kernels.rows import (
    Array,
    Block,
    Matrix,
    Rows,
    Slice,
    constant,
    is_sparse,
    n_features,
    slices,
)
from flowml.kernels.scratch import scratch

SLICE_ROWS = 1024
"""Of rows at a time that are multiplied."""
SMALL_PRODUCT = 1 << 19
"""Multiplications up to which OpenBLAS has kernels for small products (1,000,000, less a margin):
without copies, and for a few dozen columns three times as fast as its general one."""
LEAST_ROWS, MOST_ROWS = 64, 1024
"""Rows of such a product: fewer than the least gain nothing."""
SHIFT_ROWS = 16


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
    log_weight : float
        Sum of the logarithms of the weights above zero: a part of the likelihood.
    mean : ndarray of shape (n_features + n_targets,)
    scatter : ndarray of shape (n_features + n_targets, n_features + n_targets)
    """

    rows: float
    weight: float
    log_weight: float
    mean: Array
    scatter: Array


def summarise(ask: None, rows: Rows) -> Gram:
    """Sum the cross products about a shift near the mean, then move them to the mean.

    The shift keeps the digits that subtracting a large mean from raw sums would lose (Chan, Golub
    & LeVeque 1983, "Algorithms for computing the sample variance"). A column of ones beside the
    others makes the same product give the sums. A sparse column is near enough to zero.
    """
    n_columns = n_features(rows) + n_targets(rows)
    first = next((block for block in rows if block.X.shape[0] > 0), None)
    if first is None:
        return nothing(n_columns)
    shift = shift_near(first)
    dense = laid_out(rows) if is_sparse(first.X) else None
    if dense is not None:
        shift[: len(dense)][~dense] = 0.0
    count, weight, log_weight = 0.0, 0.0, 0.0
    products = scratch("gram sums", (n_columns + 1, n_columns + 1))
    products[:] = 0.0
    for block in rows:
        if dense is None:
            add_products(block, shift, products)
        else:
            add_csr_products(block.X, targets(block), block.weight, shift, dense, products)
        if block.weight is None:
            count += block.X.shape[0]
            weight += block.X.shape[0]
        else:
            positive = block.weight[block.weight > 0]
            count += len(positive)
            weight += float(positive.sum())
            log_weight += float(np.log(positive).sum())
    if weight == 0:
        return nothing(n_columns)
    offset = products[-1, :-1] / weight
    scatter = products[:-1, :-1] - square_of(offset * np.sqrt(weight))
    return Gram(count, weight, log_weight, shift + offset, scatter)


def merge(left: Gram, right: Gram) -> Gram:
    r"""Join two: :math:`S = S_l + S_r + \frac{w_l w_r}{w_l + w_r} d d^\top, d = m_r - m_l`."""
    if right.weight == 0:
        return left
    if left.weight == 0:
        return right
    weight = left.weight + right.weight
    share = right.weight / weight
    step = right.mean - left.mean
    scatter = left.scatter
    scatter += right.scatter
    scatter += square_of(step * np.sqrt(left.weight * share))
    mean = left.mean + step * share
    log_weight = left.log_weight + right.log_weight
    return Gram(left.rows + right.rows, weight, log_weight, mean, scatter)


GRAM = Fold(summarise, merge)


def n_targets(rows: Rows) -> int:
    """Count the columns of the blocks' y."""
    y = rows[0].y
    if y is None:
        return 0
    return 1 if y.ndim == 1 else int(y.shape[1])


def targets(rows: Block | Slice) -> Array:
    """Return y with a column for each target, of which there may be none."""
    if rows.y is None:
        return np.empty((rows.X.shape[0], 0))
    return rows.y if rows.y.ndim == 2 else rows.y[:, np.newaxis]


def nothing(n_columns: int) -> Gram:
    """Return the sums over no rows."""
    return Gram(0.0, 0.0, 0.0, np.zeros(n_columns), np.zeros((n_columns, n_columns)))


def shift_near(block: Block) -> Array:
    r"""Return the mean of a few rows that are spread over a block, of the columns ``[X, y]``.

    The mean of k of n rows costs few digits even where it is a poor guess of theirs, as
    :math:`\sum_i (x_i - m)^2 \ge k (shift - m)^2`: at most those of n / k.
    """
    spread = slice(None, None, max(1, block.X.shape[0] // SHIFT_ROWS))
    mean = np.asarray(block.X[spread].mean(axis=0, dtype=np.float64)).ravel()
    return mean if block.y is None else np.append(mean, block.y[spread].mean(axis=0))


def add_products(block: Block, shift: Array, products: Array) -> None:
    """Add a dense block's cross products about the shift."""
    X, n_columns = block.X, len(products)
    product = scratch("gram product", products.shape)
    n_slice = SMALL_PRODUCT // n_columns**2
    if n_slice >= LEAST_ROWS and X.flags.c_contiguous:
        y = targets(block)
        roots = np.empty(0) if block.weight is None else np.sqrt(block.weight)
        work = scratch("gram rows", (min(n_slice, MOST_ROWS) * n_columns,))
        _add_narrow_products(constant(X), constant(y), roots, shift, work, product, products)
        return
    for part in slices([block], SLICE_ROWS):
        Z = centred(part, shift)
        products += np.matmul(Z.T, Z, out=product)


@numba.njit(nogil=True, cache=True)
def _add_narrow_products(
    X: Matrix, y: Array, roots: Array, shift: Array, work: Array, product: Array, products: Array
) -> None:
    """Add the products of a whole block in one compiled call: threads don't wait for each other."""
    n_rows, n_columns = len(X), len(products)
    size = len(work) // n_columns
    for low in range(0, n_rows, size):
        m = min(size, n_rows - low)
        Z = work[: m * n_columns].reshape(m, n_columns)
        _fill(X[low : low + m], y[low : low + m], roots[low : low + m], shift, Z)
        np.dot(Z.T, Z, product)
        products += product


def square_of(column: Array) -> Array:
    """Write the product of a column and itself, as a row, into work space."""
    out = scratch("gram square", (len(column), len(column)))
    return np.multiply(column[:, np.newaxis], column, out=out)


def centred(part: Slice, center: Array) -> Array:
    """Write ``[X - center, y - center, 1]`` times the roots of the weights into work space.

    It is in the order that X is in, in which no value is moved far.
    """
    n_rows, n_columns = part.X.shape
    X = part.X.toarray() if is_sparse(part.X) else part.X
    y = targets(part)
    roots = np.empty(0) if part.weight is None else np.sqrt(part.weight)
    if X.strides[0] >= X.strides[1]:
        Z = scratch("gram rows", (n_rows, len(center) + 1))
        _fill(constant(X), constant(y), roots, center, Z)
        return Z
    Z = scratch("gram columns", (len(center) + 1, n_rows)).T
    Z[:, :n_columns], Z[:, n_columns:-1], Z[:, -1] = X, y, 1.0
    Z[:, :-1] -= center  # in the cache by now: quicker than subtracting on the way
    if part.weight is not None:
        Z *= roots[:, np.newaxis]
    return Z


@numba.njit(nogil=True, cache=True)
def _fill(X: Matrix, y: Array, roots: Array, center: Array, out: Array) -> None:
    """Fill row by row: together with one product a fifth faster than NumPy's operations."""
    n_rows, n_columns = X.shape
    n_targets = y.shape[1]
    for i in range(n_rows):
        row = out[i]
        for j in range(n_columns):
            row[j] = X[i, j] - center[j]
        for j in range(n_targets):
            row[n_columns + j] = y[i, j] - center[n_columns + j]
        row[n_columns + n_targets] = 1.0
        if len(roots) > 0:
            row *= roots[i]
