"""Targets or absolute errors in their order: what medians need."""

from typing import NamedTuple

import numpy as np

from flowml.kernels.fold import Fold
from flowml.kernels.ordered_weights import MOST_VALUES, OrderedWeights, order
from flowml.kernels.ordered_weights import merge as merge_ordered
from flowml.kernels.rows import Rows


class ValuesAsk(NamedTuple):
    """Which values to order.

    Attributes
    ----------
    errors : bool
        Absolute errors, else targets.
    most : int
        How many to keep apart.
    """

    errors: bool
    most: int = MOST_VALUES


class PredictionValues(NamedTuple):
    """Ordered values, for each output; y holds the targets, then the predictions.

    Attributes
    ----------
    columns : tuple of OrderedWeights
    most : int
        How many values to keep apart.
    broken : int
        Blocks with a NaN or infinity.
    """

    columns: tuple[OrderedWeights, ...]
    most: int
    broken: int


def summarise(ask: ValuesAsk, rows: Rows) -> PredictionValues:
    """Order the values."""
    assert rows[0].y is not None
    n = rows[0].y.shape[1] // 2
    nothing = order(np.empty(0), np.empty((0, 1)))
    summary = PredictionValues((nothing,) * n, ask.most, 0)
    for block in rows:
        assert block.y is not None
        weight = np.ones(len(block.y)) if block.weight is None else block.weight
        counts = weight > 0
        y, column = block.y[counts], weight[counts, np.newaxis]
        values = np.abs(y[:, :n] - y[:, n:]) if ask.errors else y[:, :n]
        columns = tuple(order(values[:, j], column, ask.most) for j in range(n))
        broken = int(not np.isfinite(y).all())
        summary = merge(summary, PredictionValues(columns, ask.most, broken))
    return summary


def merge(left: PredictionValues, right: PredictionValues) -> PredictionValues:
    """Join two."""
    pairs = zip(left.columns, right.columns, strict=True)
    columns = tuple(merge_ordered(one, other, left.most) for one, other in pairs)
    return PredictionValues(columns, left.most, left.broken + right.broken)


def finite(summary: PredictionValues) -> bool:
    """Tell whether targets and predictions were finite."""
    return summary.broken == 0


PREDICTION_VALUES = Fold(summarise, merge, finite=finite)
