r"""Weighted products of columns :math:`Z^\top W Z` of CSR rows, from the values that are stored."""

import numba
import numpy as np

from flowml.kernels.rows import Array, Matrix, Rows, constant
from flowml.kernels.scratch import scratch
from flowml.kernels.symmetric import add_weighted_half, padded

SPARSE_SHARE = 0.25
"""Of the rows, by weight: a column that stores more is laid out, a few rows at a time.

A pair of stored values costs 0.5 ns or more, and one that is laid out a sixteenth of that, so from
here on it is quicker. And what is subtracted from a column's squares to centre them is at most this
share of them, so that below it next to no digit is lost.
"""
FEW_ROWS = 128
"""That are laid out at a time: 8 and 24 columns of them stay in the processor's nearest cache."""


def laid_out(rows: Rows) -> Array:
    """Tell which columns store a value in too many of the CSR rows to be left sparse.

    Returns
    -------
    boolean ndarray of shape (n_columns,)
    """
    stored, total = np.zeros(rows[0].X.shape[1]), 0.0
    for block in rows:
        X = block.X
        weight = np.ones(X.shape[0]) if block.weight is None else np.abs(block.weight)
        starts, columns, _ = parts_of(X)
        _add_stored(starts, columns, weight, stored)
        total += weight.sum()
    found: Array = stored > SPARSE_SHARE * total
    return found


def add_csr_products(
    X: Matrix, y: Array, weight: Array | None, center: Array, dense: Array, products: Array
) -> None:
    r"""Add :math:`Z^\top W Z` with :math:`Z = [X - c_X, y - c_y, 1]`, X not made dense.

    Products are summed of pairs of stored values; the center is subtracted from the sums.

    Parameters
    ----------
    X : CSR array of shape (n_rows, n_columns)
    y : ndarray of shape (n_rows, n_targets)
    weight : ndarray of shape (n_rows,) or None
        Of any sign.
    center : ndarray of shape (n_columns + n_targets,)
    dense : boolean ndarray of shape (n_columns,)
        Columns that are laid out, whose center is subtracted from each value: `laid_out`.
    products : ndarray of shape (n_columns + n_targets + 1,) twice
        Symmetric; added to.
    """
    n_columns, center = X.shape[1], np.append(center, 0.0)
    columns = np.flatnonzero(dense)
    places = np.append(columns, np.arange(n_columns, len(products)))
    place = np.full(n_columns, -1)
    place[columns] = np.arange(len(columns))
    size = padded(len(places))
    half = scratch("CSR half", (size, size))
    beside = scratch("CSR beside", (n_columns, len(places)))
    space = scratch("CSR rows", (2, FEW_ROWS, size))
    half[:], beside[:], space[0] = 0.0, 0.0, 0.0
    weight = np.ones(X.shape[0]) if weight is None else weight
    values = (np.ascontiguousarray(given, np.float64) for given in (y, weight))
    beside_rows = tuple(map(constant, values))
    laid = place, center[places]
    sums = half, beside, products
    _add_rows(parts_of(canonical(X)), beside_rows, laid, tuple(space), sums)
    _add_sums(half, beside, (places, place, center), products)


def canonical(X: Matrix) -> Matrix:
    """Return CSR rows whose columns ascend, each named once: X itself, or a copy."""
    if not X.has_canonical_format:
        X = X.copy()
        X.sum_duplicates()
    return X


def parts_of(X: Matrix) -> tuple[Array, Array, Array]:
    """Return starts, columns and values; columns without a sign never count from the end."""
    columns = X.indices.view(f"u{X.indices.itemsize}")
    return constant(X.indptr), constant(columns), constant(X.data)


@numba.njit(nogil=True, cache=True)
def _add_stored(starts: Array, columns: Array, weight: Array, stored: Array) -> None:
    for i in range(len(starts) - 1):
        for k in range(starts[i], starts[i + 1]):
            stored[columns[k]] += weight[i]


@numba.njit(nogil=True, cache=True)
def _add_rows(rows, beside_rows, laid, space, sums):  # type: ignore[no-untyped-def]
    """Add all rows, a few at a time."""
    (starts, columns, values), (y, weight), (few, work) = rows, beside_rows, space
    half, beside, products = sums
    n_rows, size = len(starts) - 1, len(few)
    own_starts = np.empty(size + 1, np.intp)
    for low in range(0, n_rows, size):
        m = min(size, n_rows - low)
        ends = starts[low : low + m + 1]
        own_columns = np.empty(ends[m] - ends[0], np.intp)
        own_values = np.empty(ends[m] - ends[0])
        own = own_starts, own_columns, own_values
        _lay_out((ends, columns, values), y[low : low + m], laid, few, own)
        factors = weight[low : low + m]
        _add_pairs(own, m, factors, few, (beside, products))
        add_weighted_half(few[:m], factors, work, half)


@numba.njit(nogil=True, cache=True)
def _lay_out(rows, y, laid, few, own):  # type: ignore[no-untyped-def]
    """Write the columns that are laid out less their center, and what is left of the rows."""
    (starts, columns, values), (place, center) = rows, laid
    own_starts, own_columns, own_values = own
    n_targets = y.shape[1]
    first, n_own = len(center) - 1 - n_targets, 0
    for i in range(len(y)):
        own_starts[i] = n_own
        for e in range(first):
            few[i, e] = -center[e]
        for t in range(n_targets):
            few[i, first + t] = y[i, t] - center[first + t]
        few[i, first + n_targets] = 1.0
        for k in range(starts[i], starts[i + 1]):
            e = place[columns[k]]
            if e >= 0:
                few[i, e] = values[k] - center[e]
            else:
                own_columns[n_own], own_values[n_own] = columns[k], values[k]
                n_own += 1
    own_starts[len(y)] = n_own


@numba.njit(nogil=True, cache=True)
def _add_pairs(own, n_rows, weight, few, sums):  # type: ignore[no-untyped-def]
    """Add products of stored values, on and above the diagonal, and with what is laid out."""
    (starts, columns, values), (beside, products) = own, sums
    n_beside = beside.shape[1]
    for i in range(n_rows):
        for a in range(starts[i], starts[i + 1]):
            column, factor = columns[a], weight[i] * values[a]
            for b in range(a, starts[i + 1]):
                products[column, columns[b]] += factor * values[b]
            for e in range(n_beside):
                beside[column, e] += factor * few[i, e]


@numba.njit(nogil=True, cache=True)
def _add_sums(square, beside, laid, products):  # type: ignore[no-untyped-def]
    """Move sparse columns to their center, add the rest, and fill what is below the diagonal."""
    places, place, center = laid
    last = len(places) - 1
    total = square[last, last]
    for i in range(len(place)):
        if place[i] >= 0:
            continue
        moved = beside[i, last] - total * center[i]
        for j in range(i, len(place)):
            if place[j] < 0 and (center[i] != 0.0 or center[j] != 0.0):
                products[i, j] -= center[i] * beside[j, last] + center[j] * moved
        for e in range(len(places)):
            low, high = min(i, places[e]), max(i, places[e])
            products[low, high] += beside[i, e] - center[i] * square[e, last]
    for e in range(len(places)):
        for f in range(e, len(places)):
            products[places[e], places[f]] += square[e, f]
    for i in range(len(products)):
        for j in range(i):
            products[i, j] = products[j, i]
