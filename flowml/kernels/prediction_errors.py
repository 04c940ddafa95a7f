"""Errors of predictions of numbers: sums of functions of a row's target and prediction."""

from typing import NamedTuple

import numpy as np

from flowml.kernels.fold import Fold
from flowml.kernels.rows import Array, Rows, slices

SLICE_ROWS = 1 << 14


class PredictionErrors(NamedTuple):
    """Sums over rows, for each output; y holds the targets, then the predictions.

    Attributes
    ----------
    rows, weight : float
        Of a weight above zero.
    mean : ndarray of shape (n_outputs,)
        Of the targets.
    total : ndarray of shape (n_outputs,)
        Squared deviations of the targets from their mean.
    bias, squares, absolute, relative, logarithmic : ndarray of shape (n_outputs,)
        Of the errors e = target − prediction: sums of e, e², |e|, |e / target| and of the squared
        differences of log(1 + target) and log(1 + prediction).
    largest : ndarray of shape (n_outputs,)
        The largest absolute error.
    least : float
        Of all targets and predictions.
    """

    rows: float
    weight: float
    mean: Array
    total: Array
    bias: Array
    squares: Array
    absolute: Array
    relative: Array
    logarithmic: Array
    largest: Array
    least: float


def summarise(ask: None, rows: Rows) -> PredictionErrors:
    """Sum slice by slice."""
    assert rows[0].y is not None
    n = rows[0].y.shape[1] // 2
    summary = PredictionErrors._make((0.0, 0.0, *np.zeros((8, n)), np.inf))
    for part in slices(rows, SLICE_ROWS):
        assert part.y is not None
        weight = np.ones(len(part.y)) if part.weight is None else part.weight
        counts = weight > 0
        if not counts.any():
            continue
        both, weight = part.y[counts], weight[counts]
        y, predicted = both[:, :n], both[:, n:]
        total = float(weight.sum())
        mean = weight @ y / total
        errors = y - predicted
        absolute = np.abs(errors)
        with np.errstate(invalid="ignore", divide="ignore"):
            relative = absolute / np.maximum(np.abs(y), np.finfo(np.float64).eps)
            logarithmic = np.square(np.log1p(y) - np.log1p(predicted))
        functions = (
            np.square(y - mean),
            errors,
            np.square(errors),
            absolute,
            relative,
            logarithmic,
        )
        sums = [weight @ values for values in functions]
        least = float(both.min())
        largest = absolute.max(axis=0)
        found = PredictionErrors._make((len(weight), total, mean, *sums, largest, least))
        summary = merge(summary, found)
    return summary


def merge(left: PredictionErrors, right: PredictionErrors) -> PredictionErrors:
    """Add up, moving the variation of the targets to the common mean."""
    if right.weight == 0 or left.weight == 0:
        return left if right.weight == 0 else right
    weight = left.weight + right.weight
    step = right.mean - left.mean
    between = left.weight * (right.weight / weight) * step**2
    return PredictionErrors(
        left.rows + right.rows,
        weight,
        left.mean + step * (right.weight / weight),
        left.total + right.total + between,
        left.bias + right.bias,
        left.squares + right.squares,
        left.absolute + right.absolute,
        left.relative + right.relative,
        left.logarithmic + right.logarithmic,
        np.maximum(left.largest, right.largest),
        min(left.least, right.least),
    )


def finite(summary: PredictionErrors) -> bool:
    """Tell whether targets and predictions were finite."""
    return bool(np.isfinite(summary.squares).all() and np.isfinite(summary.total).all())


PREDICTION_ERRORS = Fold(summarise, merge, finite=finite)
