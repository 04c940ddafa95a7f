"""Sums of a loss over dense rows in one compiled call for each block.

A few rows at a time are centred once, into the nearest cache, and everything is made of them there:
predictors, the loss's derivatives, and the sums. Threads never wait for each other's interpreter,
and rows come from memory once.
"""

from typing import NamedTuple

import numba
import numpy as np

from flowml.kernels.products import FEW_ROWS, add_weighted_half, fill_few
from flowml.kernels.rows import Array, Matrix
from flowml.losses.compiled import derive


class Lines(NamedTuple):
    """Rows as a compiled loop takes them.

    Attributes
    ----------
    X : C-contiguous ndarray of shape (n_rows, n_columns)
    y, weight : ndarray of shape (n_rows,)
    added : ndarray of shape (n_rows,), or (0,) where there is none
        To the predictor.
    """

    X: Matrix
    y: Array
    weight: Array
    added: Array


class Place(NamedTuple):
    """Where a loss is asked for.

    Attributes
    ----------
    form : int
        See `losses.compiled`.
    center : ndarray of shape (n_columns,)
    theta : ndarray of shape (n_outputs, size)
        Coefficients, the predictor at the center, and zeros up to a `padded` size.
    pairs : int ndarray of shape (n_pairs, 2)
        Outputs whose products are asked for.
    """

    form: int
    center: Array
    theta: Array
    pairs: Array


class Sums(NamedTuple):
    """What is added to.

    Attributes
    ----------
    tally : ndarray
        The numbers of `linear_loss.Tally`.
    gradient : ndarray of shape (n_outputs, size)
        About the center, the intercept behind the coefficients.
    halves : ndarray of shape (n_pairs, size, size)
        See `symmetric.add_half`.
    """

    tally: Array
    gradient: Array
    halves: Array


@numba.njit(nogil=True, cache=True)
def add_lines(place: Place, lines: Lines, sums: Sums) -> None:
    """Add rows to the sums, a few at a time."""
    n_rows, (n_outputs, size) = len(lines.X), place.theta.shape
    rows, work, values = np.zeros((FEW_ROWS, size)), np.empty((FEW_ROWS, size)), np.empty(FEW_ROWS)
    etas, slopes = np.empty(n_outputs * FEW_ROWS), np.empty(n_outputs * FEW_ROWS)
    bends = np.empty(n_outputs * n_outputs * FEW_ROWS)
    for low in range(0, n_rows, FEW_ROWS):
        m = min(FEW_ROWS, n_rows - low)
        y, weight, few = lines.y[low : low + m], lines.weight[low : low + m], rows[:m]
        eta = etas[: n_outputs * m].reshape(n_outputs, m)
        slope = slopes[: n_outputs * m].reshape(n_outputs, m)
        bend = bends[: n_outputs * n_outputs * m].reshape(n_outputs, n_outputs, m)
        fill_few(lines.X[low : low + m], place.center, few)
        _predict(few, place.theta, eta)
        if len(lines.added):
            eta += lines.added[low : low + m]
        derive(place.form, y, eta, values[:m], slope, bend)
        count(y, weight, eta, values[:m], slope, sums.tally, slope)
        _add_gradient(few, slope, sums.gradient)
        for pair in range(len(place.pairs)):
            of_pair = bend[place.pairs[pair, 0], place.pairs[pair, 1]]
            for i in range(m):
                of_pair[i] = weight[i] * of_pair[i] if weight[i] > 0.0 else 0.0
            add_weighted_half(few, of_pair, work, sums.halves[pair])


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
