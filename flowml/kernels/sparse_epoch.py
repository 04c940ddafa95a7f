r"""Epochs over CSR rows that move the columns which the rows store, and one direction beside them.

The mean of a few rows' gradients, by parameters of centred columns, is sparse but for a multiple of
:math:`v_j = c_j / s_j`, the same for all steps. So parameters are :math:`\theta = u + \kappa v`:
a step moves u in the columns that its rows store, and κ. The penalty is shared out among the rows,

.. math:: F(\theta) = \frac{1}{W} \sum_i w_i \Big( \ell_i(\theta)
          + \sum_{j \in row\ i} P_j(\theta_j) / q_j \Big),

with :math:`q_j` the share of rows that store column j: the same sum, of which a step takes its own
rows' part. So a step costs as much as its rows store, and columns that no row here stores keep
their u.

F. Pedregosa, R. Leblond & S. Lacoste-Julien 2017, "Breaking the nonsmooth barrier: a scalable
parallel method for composite optimization", section 2.
"""

from typing import Any, NamedTuple

import numba
import numpy as np

from flowml.kernels.rows import Array, Matrix, constant


class Stored(NamedTuple):
    """CSR rows as plain arrays.

    Attributes
    ----------
    starts, columns, values : ndarray
    """

    starts: Array
    columns: Array
    values: Array


class Columns(NamedTuple):
    """What is the same for every step.

    Attributes
    ----------
    scale, slant : ndarray of shape (n_features,)
        Of which parameters are coefficients times the scale; c / s.
    l1, l2 : ndarray of shape (n_outputs, n_features)
        Penalty on parameters, over the share of rows that store the column.
    moves, shifts : ndarray of shape (n_outputs,), bool
        Whether the coefficients of an output may differ from zero, and its intercept.
    square : float
        Sum of the slant's squares.
    """

    scale: Array
    slant: Array
    l1: Array
    l2: Array
    moves: Array
    shifts: Array
    square: float


class Lean(NamedTuple):
    """What an epoch must know of all columns to move some of them.

    Attributes
    ----------
    share : ndarray of shape (n_features,)
        By weight, that of the rows which store a column.
    slant : ndarray of shape (n_features,)
        c / s.
    square : float
        Sum of the slant's squares.
    at_center : ndarray of shape (n_outputs,)
        What all columns add to the predictor at their center, at the start.
    """

    share: Array
    slant: Array
    square: float
    at_center: Array


def stored_in(X: Matrix) -> Stored:
    """Return a CSR block's arrays; columns without a sign never count from the end."""
    columns = X.indices.view(f"u{X.indices.itemsize}")
    return Stored(constant(X.indptr), constant(columns), constant(X.data))


def predict(rows: Stored, chosen: Array, columns: Columns, theta: Array, at_center: Array) -> Array:
    """Return the predictor of some rows, of shape (n_chosen, n_outputs).

    Parameters
    ----------
    rows : Stored
    chosen : ndarray of int
    columns : Columns
    theta : ndarray of shape (n_outputs, n_features + 2)
        u, the predictor at the center, and κ.
    at_center : ndarray of shape (n_outputs,)
        What all columns add to the predictor at their center.
    """
    eta = np.empty((len(chosen), len(theta)))
    _predict(tuple(rows), chosen, (columns.scale, columns.slant), theta, at_center, eta)
    return eta


def move(
    rows: Stored,
    chosen: Array,
    columns: Columns,
    weighted: tuple[Array, Array],
    length: float,
    moving: tuple[Array, Array, Array, Array],
    left: int,
) -> None:
    """Step down the gradient of some rows.

    Parameters
    ----------
    rows : Stored
    chosen : ndarray of int
    columns : Columns
    weighted : tuple of ndarray of shape (n_chosen, n_outputs) and (n_chosen,)
        Slopes and weights, over the mean weight and the number of rows.
    length : float
    moving : tuple of ndarray
        Written to: theta; the sum of all steps' theta less the first one's; what columns add at
        their center; zeros of shape (n_features,), which come back as zeros.
    left : int
        Steps from this one to the last, both counted.
    """
    _move(tuple(rows), chosen, tuple(columns), weighted, length, moving, float(left))


@numba.njit(nogil=True, cache=True)
def _predict(
    rows: tuple[Array, ...],
    chosen: Array,
    units: tuple[Array, Array],
    theta: Array,
    at_center: Array,
    eta: Array,
) -> None:
    starts, columns, values = rows
    scale, slant = units
    p = len(scale)
    for place in range(len(chosen)):
        i = chosen[place]
        for k in range(len(theta)):
            own, kappa = theta[k], theta[k, p + 1]
            total = own[p] - at_center[k]
            for e in range(starts[i], starts[i + 1]):
                j = columns[e]
                total += values[e] * ((own[j] + kappa * slant[j]) / scale[j])
            eta[place, k] = total


@numba.njit(nogil=True, cache=True)
def _move(
    rows: tuple[Array, ...],
    chosen: Array,
    units: tuple[Any, ...],
    weighted: tuple[Array, Array],
    length: float,
    moving: tuple[Array, Array, Array, Array],
    left: float,
) -> None:
    starts, columns, values = rows
    scale, slant, l1, l2, moves, shifts, square = units
    slopes, weights = weighted
    theta, total, at_center, met = moving
    p = len(scale)
    for k in range(len(theta)):
        step = length * slopes[:, k].sum()
        if shifts[k]:
            theta[k, p] -= step
            total[k, p] -= left * step
        if not moves[k]:
            continue
        theta[k, p + 1] += step
        total[k, p + 1] += left * step
        at_center[k] += square * step
        for place in range(len(chosen)):
            i, slope = chosen[place], length * slopes[place, k]
            for e in range(starts[i], starts[i + 1]):
                j = columns[e]
                met[j] += weights[place]
                change = -slope * values[e] / scale[j]
                theta[k, j] += change
                total[k, j] += left * change
                at_center[k] += change * slant[j]
        for place in range(len(chosen)):
            i = chosen[place]
            for e in range(starts[i], starts[i + 1]):
                j = columns[e]
                if met[j] > 0.0:
                    before = theta[k, j] + theta[k, p + 1] * slant[j]
                    change = _shrunken(before, length * met[j], l1[k, j], l2[k, j]) - before
                    theta[k, j] += change
                    total[k, j] += left * change
                    at_center[k] += change * slant[j]
                    met[j] = 0.0


@numba.njit(inline="always")
def _shrunken(value: float, step: float, l1: float, l2: float) -> float:
    """Return the elastic net's proximal operator."""
    size = max(abs(value) - step * l1, 0.0) / (1.0 + step * l2)
    return size if value > 0.0 else -size
