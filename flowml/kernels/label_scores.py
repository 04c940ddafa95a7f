"""What log loss and Brier score need of predicted probabilities, by true label."""

from typing import NamedTuple

import numpy as np

from flowml.kernels.confusion import check_number, join_labels
from flowml.kernels.fold import Fold
from flowml.kernels.labels import numbered
from flowml.kernels.rows import Array, Rows, is_sparse, slices

SLICE_ROWS = 1 << 14


class LabelScores(NamedTuple):
    """Sums over rows; y holds the true labels, X the probabilities (of one column, for the second).

    Attributes
    ----------
    labels : ndarray of shape (n_labels,)
        Sorted.
    weights : ndarray of shape (n_labels,)
    probabilities : ndarray of shape (n_labels, n_columns)
        Sums of the probabilities of each column in rows of each label.
    logarithms : ndarray of that shape
        Of their logarithms.
    squares : float
        Sum of all columns' squares.
    least, most : float
        Of all probabilities.
    uneven : float
        The largest difference of a row's sum from one.
    """

    labels: Array
    weights: Array
    probabilities: Array
    logarithms: Array
    squares: float
    least: float
    most: float
    uneven: float


def summarise(ask: float, rows: Rows) -> LabelScores:
    """Sum up; `ask` is the least probability that counts in a logarithm."""
    width = max(int(rows[0].X.shape[1]), 2)
    none = np.empty((0, width))
    summary = LabelScores(np.empty(0), np.empty(0), none, none, 0.0, np.inf, -np.inf, 0.0)
    for part in slices(rows, SLICE_ROWS):
        assert part.y is not None
        P = part.X.toarray() if is_sparse(part.X) else part.X
        P, y = P.astype(np.float64, copy=False), part.y[:, 0]
        weight = np.ones(len(y)) if part.weight is None else part.weight
        counts = weight > 0
        P, y, weight = P[counts], y[counts], weight[counts]
        if len(y) == 0:
            continue
        if P.shape[1] == 1:
            P = np.column_stack([1.0 - P, P])
        labels, code = numbered(y)
        check_number(labels)
        with np.errstate(invalid="ignore", divide="ignore"):
            logarithms = np.log(np.clip(P, ask, 1.0 - ask))
        sums = np.zeros((2, len(labels), P.shape[1]))
        for number in range(len(labels)):
            mine = code == number
            sums[:, number] = weight[mine] @ P[mine], weight[mine] @ logarithms[mine]
        found = LabelScores(
            labels,
            np.bincount(code, weights=weight),
            sums[0],
            sums[1],
            float(weight @ np.square(P).sum(axis=1)),
            float(P.min()),
            float(P.max()),
            float(np.abs(P.sum(axis=1) - 1.0).max()),
        )
        summary = merge(summary, found)
    return summary


def merge(left: LabelScores, right: LabelScores) -> LabelScores:
    """Add up by label."""
    labels, mine, theirs = join_labels(left.labels, right.labels)
    check_number(labels)
    weights = np.zeros(len(labels))
    sums = np.zeros((2, len(labels), left.probabilities.shape[1]))
    for places, one in ((mine, left), (theirs, right)):
        weights[places] += one.weights
        sums[:, places] += one.probabilities, one.logarithms
    return LabelScores(
        labels,
        weights,
        sums[0],
        sums[1],
        left.squares + right.squares,
        min(left.least, right.least),
        max(left.most, right.most),
        max(left.uneven, right.uneven),
    )


def finite(summary: LabelScores) -> bool:
    """Tell whether the probabilities were finite."""
    return bool(np.isfinite(summary.probabilities).all() and np.isfinite(summary.squares))


LABEL_SCORES = Fold(summarise, merge, finite=finite)
