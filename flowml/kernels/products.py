r"""Weighted products of columns, :math:`Z^\top W Z` with :math:`Z = [X - c, 1]`, of any matrix."""

import numba
import numpy as np

from flowml.kernels.csr_gram import add_csr_products, laid_out
from flowml.kernels.gram import add_products
from flowml.kernels.one_hot import OneHot
from flowml.kernels.prefetch import CACHE_LINE, call_for
from flowml.kernels.rows import Array, Block, Matrix, constant, is_sparse
from flowml.kernels.scratch import scratch
from flowml.kernels.symmetric import add_weighted_half, padded, whole_of

FEW_ROWS = 48
"""Rows that stay in a processor's nearest cache, weighted and as they are."""
MOST_COLUMNS = 256
"""Up to which the products of a pair stay in the next one, or almost."""


def add_weighted_products(X: Matrix, weight: Array, center: Array, products: Array) -> None:
    r"""Add :math:`Z^\top W Z`.

    CSR stays as it is, its center is subtracted from the products; categorical columns are
    counted.

    Parameters
    ----------
    X : ndarray, CSR array or OneHot of shape (n_rows, n_columns)
    weight : ndarray of shape (n_rows,)
        At least 0.
    center : ndarray of shape (n_columns,)
    products : ndarray of shape (n_columns + 1, n_columns + 1)
        Added to.
    """
    if isinstance(X, OneHot):
        X.add_products(weight, center, products)
    elif is_sparse(X):
        dense = laid_out([Block(X, None, weight)])
        add_csr_products(X, np.empty((len(weight), 0)), weight, center, dense, products)
    elif is_narrow(X):
        _add_narrow(X, weight[np.newaxis], center, products[np.newaxis])
    else:
        add_products(Block(X, None, weight), center, products)


def add_pair_products(
    X: Matrix, weights: Array, center: Array, products: Array, closed: bool = False
) -> None:
    r"""Add :math:`Z^\top W_{jk} Z` for each pair of outputs.

    Parameters
    ----------
    X : ndarray, CSR array or OneHot of shape (n_rows, n_columns)
    weights : ndarray of shape (n_rows, n_outputs, n_outputs)
        Symmetric; of any sign.
    center : ndarray of shape (n_columns,)
    products : ndarray of shape (n_outputs * (n_columns + 1),) twice
        Added to.
    closed : bool
        Whether the weights of a row sum to zero over each output's pairs: the products of an
        output with itself then follow from the others.
    """
    outputs, size = weights.shape[1], len(center) + 1
    pairs = pairs_of(outputs, closed)
    found = _products_of_pairs(X, weights, center, pairs)
    add_pairs(pairs, found, closed, products.reshape(outputs, size, outputs, size))


def pairs_of(n_outputs: int, closed: bool) -> list[tuple[int, int]]:
    """Return the pairs of outputs whose products are needed; see `add_pair_products`."""
    return [(j, k) for j in range(n_outputs) for k in range(j if closed else j + 1)]


def add_pairs(pairs: list[tuple[int, int]], found: Array, closed: bool, blocks: Array) -> None:
    """Add the products of pairs to the blocks that they belong to.

    Parameters
    ----------
    pairs : list of (int, int)
    found : ndarray of shape (n_pairs, size, size)
    closed : bool
    blocks : ndarray of shape (n_outputs, size, n_outputs, size)
    """
    for (j, k), product in zip(pairs, found, strict=True):
        blocks[j, :, k, :] += product
        if k < j:
            blocks[k, :, j, :] += product.T
        if closed:
            blocks[j, :, j, :] -= product
            blocks[k, :, k, :] -= product


def _products_of_pairs(
    X: Matrix, weights: Array, center: Array, pairs: list[tuple[int, int]]
) -> Array:
    """Return the weighted products of each pair, of shape (n_pairs, n_columns + 1) and again."""
    size = len(center) + 1
    found = scratch("pair products", (len(pairs), size, size))
    found[:] = 0.0
    if is_narrow(X):
        of_pairs = scratch("pair weights", (len(pairs), len(weights)))
        for (j, k), weight in zip(pairs, of_pairs, strict=True):
            weight[:] = weights[:, j, k]
        _add_narrow(X, of_pairs, center, found)
    elif not isinstance(X, np.ndarray):
        for (j, k), product in zip(pairs, found, strict=True):
            add_weighted_products(X, weights[:, j, k], center, product)
    else:
        shape = len(weights), size
        Z, weighted = (scratch(f"pair {name}", shape) for name in ("rows", "weighted"))
        np.subtract(X, center, out=Z[:, :-1])
        Z[:, -1] = 1.0
        for (j, k), product in zip(pairs, found, strict=True):
            np.multiply(Z, weights[:, j, k, np.newaxis], out=weighted)
            np.matmul(weighted.T, Z, out=product)
    return found


def is_narrow(X: Matrix) -> bool:
    """Tell whether the products of rows fit the cache, so that one compiled call sums them up."""
    return isinstance(X, np.ndarray) and X.shape[1] < MOST_COLUMNS and X.flags.c_contiguous


def _add_narrow(X: Matrix, weights: Array, center: Array, products: Array) -> None:
    """Add the products of all pairs, by whose weights the rows of `weights` are."""
    size = padded(len(center) + 1)
    halves = scratch("pair halves", (len(weights), size, size))
    halves[:] = 0.0
    work = scratch("pair work", (2, FEW_ROWS, size))
    work[0] = 0.0
    _add_halves(constant(X), constant(weights), constant(center), work, halves)
    for half, product in zip(halves, products, strict=True):
        whole_of(half, product)


@numba.njit(nogil=True, cache=True)
def _add_halves(X: Matrix, weights: Array, center: Array, space: Array, halves: Array) -> None:
    """Add to the halves of the products of all rows, a few rows at a time."""
    n_rows, rows, work = len(X), space[0], space[1]
    for low in range(0, n_rows, FEW_ROWS):
        few = rows[: min(FEW_ROWS, n_rows - low)]
        fill_few(X[low : low + len(few)], center, few)
        for pair in range(len(weights)):
            add_weighted_half(few, weights[pair, low : low + len(few)], work, halves[pair])


@numba.njit(nogil=True, cache=True)
def fill_few(X: Matrix, center: Array, few: Array) -> None:
    """Write rows about the center and a one; what is behind that stays as it is.

    As many rows behind them are called for, to be there by the time that these are worked off.
    """
    n_rows, n_columns = X.shape
    row_bytes = n_columns * X.itemsize
    next_rows = X.ctypes.data + n_rows * row_bytes
    for i in range(n_rows):
        for line in range(0, row_bytes, CACHE_LINE):
            call_for(next_rows + i * row_bytes + line)
        for j in range(n_columns):
            few[i, j] = X[i, j] - center[j]
        few[i, n_columns] = 1.0
