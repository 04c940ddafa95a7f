r"""Weighted products of columns, :math:`Z^\top W Z` with :math:`Z = [X - c, 1]`, of any matrix."""

import numpy as np

from flowml.kernels.gram import add_products
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


def add_pair_products(X: Matrix, weights: Array, center: Array, products: Array) -> None:
    r"""Add :math:`Z^\top W_{jk} Z` for each pair of outputs.

    Parameters
    ----------
    X : ndarray, CSR array or OneHot of shape (n_rows, n_columns)
    weights : ndarray of shape (n_rows, n_outputs, n_outputs)
        Symmetric; of any sign.
    center : ndarray of shape (n_columns,)
    products : ndarray of shape (n_outputs * (n_columns + 1),) twice
        Added to.
    """
    n_rows, outputs, _ = weights.shape
    size = len(center) + 1
    blocks = products.reshape(outputs, size, outputs, size)
    dense = isinstance(X, np.ndarray)
    Z, weighted = (scratch(f"pair {name}", (n_rows, size)) for name in ("rows", "weighted"))
    product = scratch("pair product", (size, size))
    if dense:
        np.subtract(X, center, out=Z[:, :-1])
        Z[:, -1] = 1.0
    for j in range(outputs):
        for k in range(j + 1):
            if dense:
                np.multiply(Z, weights[:, j, k, np.newaxis], out=weighted)
                np.matmul(weighted.T, Z, out=product)
            else:
                product[:] = 0.0
                add_weighted_products(X, weights[:, j, k], center, product)
            blocks[j, :, k, :] += product
            if k < j:
                blocks[k, :, j, :] += product.T


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
