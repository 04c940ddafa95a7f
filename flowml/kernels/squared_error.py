"""Squared errors of a linear predictor, and the variation of the targets: what R² is made of."""

from typing import NamedTuple

import numpy as np

from flowml.kernels.fold import Fold
from flowml.kernels.gram import n_targets
from flowml.kernels.one_hot import Encoding
from flowml.kernels.rows import Array, Matrix, Rows, slices

SLICE_ROWS = 4096


class Predictor(NamedTuple):
    """A linear function of the rows.

    Attributes
    ----------
    coef : ndarray of shape (n_targets, n_features)
    intercept : ndarray of shape (n_targets,)
    encoding : Encoding or None
        What the labels of categorical columns mean, where X is `Mixed`.
    """

    coef: Array
    intercept: Array
    encoding: Encoding | None = None

    def predict(self, X: Matrix) -> Array:
        """Return the predictions of rows, of shape (n_rows, n_targets)."""
        columns = X if self.encoding is None else self.encoding.known(X)
        predicted: Array = columns @ self.coef.T + self.intercept
        return predicted


class SquaredError(NamedTuple):
    """Sums over rows, for each target.

    Attributes
    ----------
    weight : float
    mean : ndarray of shape (n_targets,)
        Of y.
    total : ndarray of shape (n_targets,)
        Squared deviations of y from its mean.
    error : ndarray of shape (n_targets,)
        Squared deviations of y from the prediction.
    """

    weight: float
    mean: Array
    total: Array
    error: Array


def summarise(ask: Predictor, rows: Rows) -> SquaredError:
    """Sum the squares slice by slice."""
    n = n_targets(rows)
    summary = SquaredError(0.0, np.zeros(n), np.zeros(n), np.zeros(n))
    for part in slices(rows, SLICE_ROWS):
        y = np.zeros((part.X.shape[0], n)) if part.y is None else part.y.reshape(-1, n)
        weight = np.ones(len(y)) if part.weight is None else part.weight
        if not weight.any():
            continue
        total = float(weight.sum())
        mean = weight @ y / total
        missed = y - ask.predict(part.X)
        squares = (weight @ np.square(y - mean), weight @ np.square(missed))
        summary = merge(summary, SquaredError(total, mean, *squares))
    return summary


def merge(left: SquaredError, right: SquaredError) -> SquaredError:
    """Join the sums, moving the variations to the common mean."""
    if right.weight == 0:
        return left
    if left.weight == 0:
        return right
    weight = left.weight + right.weight
    step = right.mean - left.mean
    between = left.weight * (right.weight / weight) * step**2
    return SquaredError(
        weight,
        left.mean + step * (right.weight / weight),
        left.total + right.total + between,
        left.error + right.error,
    )


SQUARED_ERROR = Fold(summarise, merge)


def r_squared(summary: SquaredError) -> Array:
    """Return each target's R²: 1 where a constant target is met exactly, 0 where it isn't.

    Raises
    ------
    ValueError
        If there is no row of a weight above zero.
    """
    if summary.weight == 0:
        raise ValueError("there is nothing to measure: no row, or none of a weight above zero")
    constant = summary.total == 0
    ratio = summary.error / np.where(constant, 1.0, summary.total)
    return np.where(constant, (summary.error == 0).astype(np.float64), 1.0 - ratio)
