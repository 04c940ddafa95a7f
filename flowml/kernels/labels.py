"""The labels that a classification target holds, with their weights, and their numbers."""

from typing import NamedTuple

import numpy as np

from flowml.kernels.fold import Fold
from flowml.kernels.rows import Array, Rows

MOST_LABELS = 10_000


class LabelWeights(NamedTuple):
    """The labels of the rows with a weight above zero.

    Attributes
    ----------
    labels : ndarray of shape (n_labels,)
        Sorted; where there are more than `MOST_LABELS`, only the first of them.
    weights : ndarray of shape (n_labels,)
    rows : ndarray of shape (n_labels,)
    """

    labels: Array
    weights: Array
    rows: Array


def summarise(ask: None, rows: Rows) -> LabelWeights:
    """Count each block."""
    summary = LabelWeights(np.empty(0), np.empty(0), np.empty(0))
    for block in rows:
        assert block.y is not None
        weight = np.ones(len(block.y)) if block.weight is None else block.weight
        y = block.y[weight > 0]
        labels, code = numbered(y)
        weights = np.bincount(code, weights=weight[weight > 0], minlength=len(labels))
        counts = np.bincount(code, minlength=len(labels)).astype(np.float64)
        summary = merge(summary, LabelWeights(labels, weights, counts))
    return summary


def merge(left: LabelWeights, right: LabelWeights) -> LabelWeights:
    """Join the labels of both."""
    if len(left.labels) == 0 or len(right.labels) == 0:
        return left if len(right.labels) == 0 else right
    labels, code = np.unique(np.concatenate([left.labels, right.labels]), return_inverse=True)
    weights = np.bincount(code, weights=np.concatenate([left.weights, right.weights]))
    rows = np.bincount(code, weights=np.concatenate([left.rows, right.rows]))
    most = slice(MOST_LABELS + 1)
    return LabelWeights(labels[most], weights[most], rows[most])


def finite(summary: LabelWeights) -> bool:
    """Tell whether no label is NaN or infinite."""
    numeric = np.issubdtype(summary.labels.dtype, np.number)
    return not numeric or bool(np.isfinite(summary.labels).all())


LABEL_WEIGHTS = Fold(summarise, merge, finite=finite)


def encode(y: Array, classes: Array) -> Array:
    """Return the number of each label among the sorted classes, as float64.

    Examples
    --------
    >>> encode(np.array([3.0, 5.0, 3.0]), np.array([3.0, 5.0]))
    array([0., 1., 0.])
    """
    if len(classes) == 2:
        return np.asarray(y == classes[1], dtype=np.float64)
    return np.minimum(np.searchsorted(classes, y), len(classes) - 1).astype(np.float64)


def numbered(y: Array) -> tuple[Array, Array]:
    """Return the labels and each row's among them, without a sort where there are two at most."""
    if len(y) and np.issubdtype(y.dtype, np.number):
        least, most = y.min(), y.max()
        high = y == most
        if least == most:
            return np.array([least]), np.zeros(len(y), dtype=np.intp)
        if bool((high | (y == least)).all()):
            return np.array([least, most]), high.astype(np.intp)
    labels, code = np.unique(y, return_inverse=True)
    return labels, code.astype(np.intp)
