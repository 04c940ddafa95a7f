r"""Weighted products of columns, :math:`Z^\top W Z` with :math:`Z = [X - c, 1]`, of any matrix."""

import numba
import numpy as np

from flowml.kernels.gram import LEAST_ROWS, MOST_ROWS, SMALL_PRODUCT, add_products, constant
from flowml.kernels.one_hot import OneHot
from flowml.kernels.rows import Array, Block, Matrix, is_sparse
from flowml.kernels.scratch import scratch


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
        _add_sparse(X, weight, center, products)
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
    blocks = products.reshape(outputs, size, outputs, size)
    pairs = [(j, k) for j in range(outputs) for k in range(j if closed else j + 1)]
    found = _products_of_pairs(X, weights, center, pairs)
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
    n_rows, size = len(weights), len(center) + 1
    found = scratch("pair products", (len(pairs), size, size))
    found[:] = 0.0
    n_slice = SMALL_PRODUCT // size**2
    if not isinstance(X, np.ndarray):
        for (j, k), product in zip(pairs, found, strict=True):
            add_weighted_products(X, weights[:, j, k], center, product)
    elif n_slice >= LEAST_ROWS and X.flags.c_contiguous:
        of_pairs = scratch("pair weights", (len(pairs), n_rows))
        for (j, k), weight in zip(pairs, of_pairs, strict=True):
            weight[:] = weights[:, j, k]
        work = scratch("pair work", (2, min(n_slice, MOST_ROWS) * size))
        _add_narrow_pairs(constant(X), of_pairs, center, work, found)
    else:
        Z, weighted = (scratch(f"pair {name}", (n_rows, size)) for name in ("rows", "weighted"))
        np.subtract(X, center, out=Z[:, :-1])
        Z[:, -1] = 1.0
        for (j, k), product in zip(pairs, found, strict=True):
            np.multiply(Z, weights[:, j, k, np.newaxis], out=weighted)
            np.matmul(weighted.T, Z, out=product)
    return found


@numba.njit(nogil=True, cache=True)
def _add_narrow_pairs(
    X: Matrix, weights: Array, center: Array, work: Array, products: Array
) -> None:
    """Add the products of all pairs in one compiled call, from rows that stay in the cache."""
    n_rows, n_columns = X.shape
    n_pairs, size = len(weights), n_columns + 1
    step = work.shape[1] // size
    product = np.empty((size, size))
    for low in range(0, n_rows, step):
        m = min(step, n_rows - low)
        Z = work[0, : m * size].reshape(m, size)
        weighted = work[1, : m * size].reshape(m, size)
        for i in range(m):
            for j in range(n_columns):
                Z[i, j] = X[low + i, j] - center[j]
            Z[i, n_columns] = 1.0
        for pair in range(n_pairs):
            for i in range(m):
                weight = weights[pair, low + i]
                for j in range(size):
                    weighted[i, j] = weight * Z[i, j]
            np.dot(weighted.T, Z, product)
            products[pair] += product


def _add_sparse(X: Matrix, weight: Array, center: Array, products: Array) -> None:
    """Multiply what is stored, then move the products to the center."""
    weighted = X.multiply(weight[:, np.newaxis]).tocsr()
    sums = np.asarray(weighted.sum(axis=0)).ravel()
    total = float(weight.sum())
    products[:-1, :-1] += (X.T @ weighted).toarray()
    if center.any():
        products[:-1, :-1] -= np.outer(center, sums) + np.outer(sums, center)
        products[:-1, :-1] += total * np.outer(center, center)
    products[:-1, -1] += sums - total * center
    products[-1, :-1] += sums - total * center
    products[-1, -1] += total
