"""The confusion matrix: the weight of each pair of a true and a predicted label."""

from typing import NamedTuple

import numpy as np

from flowml.kernels.fold import Fold
from flowml.kernels.labels import numbered
from flowml.kernels.rows import Array, Rows

MOST_LABELS = 5000


class Confusion(NamedTuple):
    """Sums over rows of a weight above zero; y holds the true and the predicted label of each.

    Attributes
    ----------
    labels : ndarray of shape (n_labels,)
        Sorted; found as a true or as a predicted one.
    weights : ndarray of shape (n_labels, n_labels)
        By true label, then by predicted one.
    """

    labels: Array
    weights: Array


def summarise(ask: None, rows: Rows) -> Confusion:
    """Sum block by block."""
    summary = Confusion(np.empty(0), np.empty((0, 0)))
    for block in rows:
        assert block.y is not None
        y, weight = block.y, block.weight
        if weight is not None:
            y, weight = y[weight > 0], weight[weight > 0]
        if not len(y):
            continue
        (truths, true), (guesses, predicted) = numbered(y[:, 0]), numbered(y[:, 1])
        labels, mine, theirs = join_labels(truths, guesses)
        check_number(labels)
        true, predicted = mine[true], theirs[predicted]
        n = len(labels)
        sums = np.bincount(true * n + predicted, weights=weight, minlength=n * n)
        summary = merge(summary, Confusion(labels, sums.astype(np.float64).reshape(n, n)))
    return summary


def merge(left: Confusion, right: Confusion) -> Confusion:
    """Add up by label."""
    if np.array_equal(left.labels, right.labels):
        return Confusion(left.labels, left.weights + right.weights)
    labels, mine, theirs = join_labels(left.labels, right.labels)
    check_number(labels)
    weights = np.zeros((len(labels), len(labels)))
    weights[np.ix_(mine, mine)] += left.weights
    weights[np.ix_(theirs, theirs)] += right.weights
    return Confusion(labels, weights)


def finite(summary: "Confusion | Confusions") -> bool:
    """Tell whether no label is NaN."""
    numeric = np.issubdtype(summary.labels.dtype, np.number)
    return not numeric or bool(np.isfinite(summary.labels).all())


CONFUSION = Fold(summarise, merge, finite=finite)


class Confusions(NamedTuple):
    """The same for several predictions of each row; y holds the true label, then the predicted.

    Attributes
    ----------
    labels : ndarray of shape (n_labels,)
    weights : ndarray of shape (n_predictions, n_labels, n_labels)
    """

    labels: Array
    weights: Array

    @property
    def members(self) -> list[Confusion]:
        """The confusion of each."""
        return [Confusion(self.labels, weights) for weights in self.weights]


def summarise_several(ask: None, rows: Rows) -> Confusions:
    """Sum block by block."""
    assert rows[0].y is not None
    n_predictions = rows[0].y.shape[1] - 1
    summary = Confusions(np.empty(0), np.empty((n_predictions, 0, 0)))
    for block in rows:
        assert block.y is not None
        y, weight = block.y, block.weight
        if weight is not None:
            y, weight = y[weight > 0], weight[weight > 0]
        if not len(y):
            continue
        labels, code = numbered(y.ravel())
        check_number(labels)
        n, code = len(labels), code.reshape(y.shape)
        sums = [
            np.bincount(code[:, 0] * n + one, weights=weight, minlength=n * n) for one in code.T[1:]
        ]
        weights = np.array(sums, dtype=np.float64).reshape(n_predictions, n, n)
        summary = merge_several(summary, Confusions(labels, weights))
    return summary


def merge_several(left: Confusions, right: Confusions) -> Confusions:
    """Add up by label."""
    labels, mine, theirs = join_labels(left.labels, right.labels)
    check_number(labels)
    weights = np.zeros((len(left.weights), len(labels), len(labels)))
    weights[:, mine[:, np.newaxis], mine] += left.weights
    weights[:, theirs[:, np.newaxis], theirs] += right.weights
    return Confusions(labels, weights)


CONFUSIONS = Fold(summarise_several, merge_several, finite=finite)


def join_labels(left: Array, right: Array) -> tuple[Array, Array, Array]:
    """Return the labels of both, and the places of each one's among them.

    Examples
    --------
    >>> join_labels(np.array([1, 3]), np.array([2, 3]))
    (array([1, 2, 3]), array([0, 2]), array([1, 2]))
    """
    if np.array_equal(left, right):
        return left, np.arange(len(left)), np.arange(len(left))
    if len(left) == 0 or len(right) == 0:
        labels = right if len(left) == 0 else left
    else:
        labels = np.union1d(left, right)
    return labels, np.searchsorted(labels, left), np.searchsorted(labels, right)


def check_number(labels: Array) -> None:
    """Refuse targets that are no labels.

    Raises
    ------
    ValueError
        If there are too many of them.
    """
    if len(labels) > MOST_LABELS:
        raise ValueError(
            f"more than {MOST_LABELS:,} labels: this looks like a continuous target, for which "
            "there are the metrics of regression"
        )
