"""Products of CSR rows with coefficients, compiled: SciPy's copy views and zero their results.

SciPy makes a matrix of its own of every transpose; of a block, a view into larger arrays, that is a
copy of its values and their columns, in every pass.
"""

import numba
import numpy as np

from flowml.kernels.csr_gram import parts_of
from flowml.kernels.rows import Array, Matrix, constant, is_sparse


def times(X: Matrix, coef: Array) -> Array:
    r"""Return :math:`X b^\top`.

    Parameters
    ----------
    X : ndarray, CSR array or OneHot of shape (n_rows, n_columns)
    coef : ndarray of shape (n_outputs, n_columns)

    Returns
    -------
    ndarray of shape (n_rows, n_outputs)
    """
    if not is_sparse(X):
        product: Array = X @ coef.T
        return product
    out = np.empty((X.shape[0], len(coef)))
    _times(*parts_of(X), constant(np.ascontiguousarray(coef, np.float64)), out)
    return out


def add_gathered(X: Matrix, weights: Array, out: Array) -> None:
    r"""Add :math:`w X`.

    Parameters
    ----------
    X : ndarray, CSR array or OneHot of shape (n_rows, n_columns)
    weights : ndarray of shape (n_outputs, n_rows)
    out : ndarray of shape (n_outputs, n_columns)
        Added to.
    """
    if is_sparse(X):
        _add_gathered(*parts_of(X), constant(weights), out)
    else:
        out += (X.T @ weights.T).T


@numba.njit(nogil=True, cache=True, fastmath={"reassoc", "contract"})
def _times(starts: Array, columns: Array, values: Array, coef: Array, out: Array) -> None:
    """Sums are in any order, but a fixed one: four at a time, of which none waits for another."""
    for i in range(len(out)):
        own, where = values[starts[i] : starts[i + 1]], columns[starts[i] : starts[i + 1]]
        fours = len(own) // 4
        for k in range(len(coef)):
            of_output = coef[k]
            a = b = c = d = 0.0
            for j in range(fours):
                a += own[4 * j] * of_output[where[4 * j]]
                b += own[4 * j + 1] * of_output[where[4 * j + 1]]
                c += own[4 * j + 2] * of_output[where[4 * j + 2]]
                d += own[4 * j + 3] * of_output[where[4 * j + 3]]
            for j in range(4 * fours, len(own)):
                a += own[j] * of_output[where[j]]
            out[i, k] = (a + b) + (c + d)


@numba.njit(nogil=True, cache=True)
def _add_gathered(starts: Array, columns: Array, values: Array, weights: Array, out: Array) -> None:
    for i in range(weights.shape[1]):
        own, where = values[starts[i] : starts[i + 1]], columns[starts[i] : starts[i + 1]]
        for k in range(len(out)):
            weight, of_output = weights[k, i], out[k]
            for j in range(len(own)):
                of_output[where[j]] += weight * own[j]
