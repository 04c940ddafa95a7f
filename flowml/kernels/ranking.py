"""Scores in their order, with the weights of each true label: what ROC and precision need."""

from typing import NamedTuple

import numpy as np

from flowml.kernels.confusion import check_number, join_labels
from flowml.kernels.fold import Fold
from flowml.kernels.labels import numbered
from flowml.kernels.ordered_weights import MOST_VALUES, OrderedWeights, order
from flowml.kernels.ordered_weights import merge as merge_ordered
from flowml.kernels.rows import Array, Rows, is_sparse


class Ranking(NamedTuple):
    """What is known of the scores; y holds the true labels, X the scores.

    Attributes
    ----------
    labels : ndarray of shape (n_labels,)
        Sorted.
    columns : tuple of OrderedWeights
        For each column of scores; a column of weights for each label.
    most : int
        How many weights to keep apart.
    broken : int
        Blocks with a NaN or infinity.
    """

    labels: Array
    columns: tuple[OrderedWeights, ...]
    most: int
    broken: int


def summarise(ask: int, rows: Rows) -> Ranking:
    """Order the scores; `ask` is how many weights to keep apart at most."""
    n_columns = int(rows[0].X.shape[1])
    nothing = order(np.empty(0), np.empty((0, 0)))
    summary = Ranking(np.empty(0), (nothing,) * n_columns, ask, 0)
    for block in rows:
        assert block.y is not None
        X, y = block.X.toarray() if is_sparse(block.X) else block.X, block.y[:, 0]
        weight = np.ones(len(y)) if block.weight is None else block.weight
        counts = weight > 0
        X, y, weight = X[counts], y[counts], weight[counts]
        broken = int(not np.isfinite(X).all())
        labels, code = numbered(y)
        check_number(labels)
        weights = np.zeros((len(y), len(labels)))
        weights[np.arange(len(y)), code] = weight
        most = ask // max(len(labels), 1)
        columns = tuple(order(X[:, column], weights, most) for column in range(n_columns))
        summary = merge(summary, Ranking(labels, columns, ask, broken))
    return summary


def merge(left: Ranking, right: Ranking) -> Ranking:
    """Join two by label and score."""
    labels, mine, theirs = join_labels(left.labels, right.labels)
    check_number(labels)
    most = left.most // max(len(labels), 1)
    columns = tuple(
        merge_ordered(_spread(one, mine, len(labels)), _spread(other, theirs, len(labels)), most)
        for one, other in zip(left.columns, right.columns, strict=True)
    )
    return Ranking(labels, columns, left.most, left.broken + right.broken)


def finite(summary: Ranking) -> bool:
    """Tell whether the scores were finite."""
    return summary.broken == 0


MOST_WEIGHTS = 2 * MOST_VALUES
RANKING = Fold(summarise, merge, finite=finite)


def _spread(ordered: OrderedWeights, places: Array, n_labels: int) -> OrderedWeights:
    """Give the weights a column for each of more labels."""
    if len(places) == n_labels:
        return ordered
    weights = np.zeros((len(ordered.keys), n_labels))
    weights[:, places] = ordered.weights
    return ordered._replace(weights=weights)
