"""Targets and absolute errors in their order: what medians need."""

from typing import NamedTuple

import numpy as np

from flowml.kernels.fold import Fold
from flowml.kernels.ordered_weights import OrderedWeights, order
from flowml.kernels.ordered_weights import merge as merge_ordered
from flowml.kernels.rows import Rows


class PredictionValues(NamedTuple):
    """Ordered values, for each output; y holds the targets, then the predictions.

    Attributes
    ----------
    targets, errors : tuple of OrderedWeights
        Of the targets, and of absolute errors.
    broken : int
        Blocks with a NaN or infinity.
    """

    targets: tuple[OrderedWeights, ...]
    errors: tuple[OrderedWeights, ...]
    broken: int


def summarise(ask: int, rows: Rows) -> PredictionValues:
    """Order the values; `ask` is how many to keep apart at most."""
    assert rows[0].y is not None
    n = rows[0].y.shape[1] // 2
    nothing = (order(np.empty(0), np.empty((0, 1))),) * n
    summary = PredictionValues(nothing, nothing, 0)
    for block in rows:
        assert block.y is not None
        weight = np.ones(len(block.y)) if block.weight is None else block.weight
        counts = weight > 0
        y, column = block.y[counts], weight[counts, np.newaxis]
        errors = np.abs(y[:, :n] - y[:, n:])
        found = PredictionValues(
            tuple(order(y[:, j], column, ask) for j in range(n)),
            tuple(order(errors[:, j], column, ask) for j in range(n)),
            int(not np.isfinite(y).all()),
        )
        summary = merge(summary, found)
    return summary


def merge(left: PredictionValues, right: PredictionValues) -> PredictionValues:
    """Join two."""
    return PredictionValues(
        tuple(map(merge_ordered, left.targets, right.targets)),
        tuple(map(merge_ordered, left.errors, right.errors)),
        left.broken + right.broken,
    )


def finite(summary: PredictionValues) -> bool:
    """Tell whether targets and predictions were finite."""
    return summary.broken == 0


PREDICTION_VALUES = Fold(summarise, merge, finite=finite)
