"""Sums of a loss over dense rows in one compiled call for each block.

A few rows at a time are centred once, into the nearest cache, and everything is made of them there:
predictors, the loss's derivatives, and the sums. Threads never wait for each other's interpreter,
and rows come from memory once.
"""

import numba
import numpy as np

from flowml.kernels.products import FEW_ROWS, fill_few
from flowml.kernels.rows import Array, Matrix
from flowml.kernels.symmetric import add_weighted_half
from flowml.losses.compiled import derive


@numba.njit(nogil=True, cache=True)
def add_lines(
    form: int,
    place: tuple[Array, Array],
    pairs: Array,
    lines: tuple[Matrix, Array, Array, Array],
    sums: tuple[Array, Array, Array],
) -> None:
    """Add rows to sums, a few at a time; plain tuples, as named ones take Numba long to tell.

    Parameters
    ----------
    form : int
        Of the loss, see `losses.compiled`.
    place : (ndarray of shape (n_columns,), ndarray of shape (n_outputs, size))
        The center; coefficients, the predictor at the center, and zeros up to a `padded` size.
    pairs : int ndarray of shape (n_pairs, 2)
        Outputs whose products are asked for.
    lines : (ndarray of shape (n_rows, n_columns), ndarrays of shape (n_rows,))
        X, C-contiguous; y; the weights; what is added to the predictor, of shape (0,) for nothing.
    sums : (ndarray, ndarray of shape (n_outputs, size), ndarray of shape (n_pairs, size, size))
        Added to: the numbers of `linear_loss.Tally`; the gradient about the center, the intercept
        behind the coefficients; products, see `symmetric.add_half`.
    """
    center, theta = place
    X, y_of_all, weight_of_all, added = lines
    tally, gradient, halves = sums
    n_rows, (n_outputs, size) = len(X), theta.shape
    rows, work, values = np.zeros((FEW_ROWS, size)), np.empty((FEW_ROWS, size)), np.empty(FEW_ROWS)
    etas, slopes = np.empty(n_outputs * FEW_ROWS), np.empty(n_outputs * FEW_ROWS)
    bends = np.empty(n_outputs * n_outputs * FEW_ROWS)
    for low in range(0, n_rows, FEW_ROWS):
        m = min(FEW_ROWS, n_rows - low)
        y, weight, few = y_of_all[low : low + m], weight_of_all[low : low + m], rows[:m]
        eta = etas[: n_outputs * m].reshape(n_outputs, m)
        slope = slopes[: n_outputs * m].reshape(n_outputs, m)
        bend = bends[: n_outputs * n_outputs * m].reshape(n_outputs, n_outputs, m)
        fill_few(X[low : low + m], center, few)
        _predict(few, theta, eta)
        if len(added):
            eta += added[low : low + m]
        derive(form, y, eta, values[:m], slope, bend)
        count(y, weight, eta, values[:m], slope, tally, slope)
        _add_gradient(few, slope, gradient)
        for pair in range(len(pairs)):
            of_pair = bend[pairs[pair, 0], pairs[pair, 1]]
            for i in range(m):
                of_pair[i] = weight[i] * of_pair[i] if weight[i] > 0.0 else 0.0
            add_weighted_half(few, of_pair, work, halves[pair])


@numba.njit(nogil=True, cache=True, fastmath={"reassoc", "contract"})
def _predict(few: Array, theta: Array, eta: Array) -> None:
    """Write predictors; sums may be taken in the order in which a vector of numbers comes."""
    for i in range(len(few)):
        for k in range(len(theta)):
            total = 0.0
            for j in range(few.shape[1]):
                total += few[i, j] * theta[k, j]
            eta[k, i] = total


@numba.njit(nogil=True, cache=True, fastmath={"contract"})
def _add_gradient(few: Array, weighted: Array, gradient: Array) -> None:
    """Add up, four rows at a time: sums are then read and written a quarter as often."""
    n_rows, size = few.shape
    fours = n_rows // 4 * 4
    for k in range(len(gradient)):
        for i in range(0, fours, 4):
            a, b, c, d = weighted[k, i], weighted[k, i + 1], weighted[k, i + 2], weighted[k, i + 3]
            for j in range(size):
                first = a * few[i, j] + b * few[i + 1, j]
                gradient[k, j] += first + (c * few[i + 2, j] + d * few[i + 3, j])
        for i in range(fours, n_rows):
            for j in range(size):
                gradient[k, j] += weighted[k, i] * few[i, j]


@numba.njit(nogil=True, cache=True, fastmath={"reassoc", "contract"})
def count(
    y: Array, weight: Array, eta: Array, value: Array, slope: Array, tally: Array, weighted: Array
) -> None:
    """Add rows to the tally and weigh their slopes; rows of no weight may have any target.

    Parameters
    ----------
    y, weight, value : ndarray of shape (n_rows,)
    eta, slope : ndarray of shape (n_outputs, n_rows)
    tally : ndarray
    weighted : ndarray of shape (n_outputs, n_rows)
        Written to; may be `slope`.
    """
    n_outputs, n_rows = eta.shape
    seen, total, values, spread, largest = 0.0, 0.0, 0.0, 0.0, tally[3]
    for i in range(n_rows):
        total += weight[i]
        seen += y[i]
        values += weight[i] * value[i] if weight[i] > 0.0 else 0.0
    for k in range(n_outputs):
        for i in range(n_rows):
            seen += eta[k, i]
            own = slope[k, i] if weight[i] > 0.0 else 0.0
            weighted[k, i] = weight[i] * own
            spread += weight[i] * own * own
            largest = max(largest, abs(own))
    tally[0] += total
    tally[1] += values
    tally[2] += spread
    tally[3] = largest
    tally[4] += not np.isfinite(seen + total)
