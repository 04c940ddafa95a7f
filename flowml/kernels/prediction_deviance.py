"""The deviance of predicted means from targets, and of the targets' own mean from them."""

from functools import partial
from typing import NamedTuple

import numpy as np

from flowml.kernels.deviance import about_common_mean
from flowml.kernels.fold import Fold
from flowml.kernels.rows import Rows, slices
from flowml.losses.families import Family

SLICE_ROWS = 1 << 14


class PredictionDeviance(NamedTuple):
    """Sums over rows; y holds the target, then the prediction.

    Attributes
    ----------
    weight : float
    mean : float
        Of the targets.
    total : float
        The unit deviances of the targets from their mean.
    left : float
        The unit deviances of the targets from the predictions.
    least_target, least_prediction : float
    """

    weight: float
    mean: float
    total: float
    left: float
    least_target: float
    least_prediction: float


def prediction_deviance(family: Family) -> Fold:
    """Return the fold for a family, whose ask is None."""
    return Fold(partial(_summarise, family), partial(_merge, family), finite=_finite)


def _summarise(family: Family, ask: None, rows: Rows) -> PredictionDeviance:
    summary = PredictionDeviance(0.0, 0.0, 0.0, 0.0, np.inf, np.inf)
    for part in slices(rows, SLICE_ROWS):
        assert part.y is not None
        weight = np.ones(len(part.y)) if part.weight is None else part.weight
        counts = weight > 0
        if not counts.any():
            continue
        (y, predicted), weight = part.y[counts].T, weight[counts]
        mean = float(weight @ y / weight.sum())
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            own = family.unit_deviance(y, np.full_like(y, mean))
            left = family.unit_deviance(y, predicted)
        found = PredictionDeviance(
            float(weight.sum()),
            mean,
            float(weight @ own),
            float(weight @ left),
            float(y.min()),
            float(predicted.min()),
        )
        summary = _merge(family, summary, found)
    return summary


def _merge(
    family: Family, left: PredictionDeviance, right: PredictionDeviance
) -> PredictionDeviance:
    """Add up, and move to the common mean."""
    if right.weight == 0 or left.weight == 0:
        return left if right.weight == 0 else right
    mean, between = about_common_mean(family, left[:2], right[:2])
    return PredictionDeviance(
        left.weight + right.weight,
        mean,
        left.total + right.total + between,
        left.left + right.left,
        min(left.least_target, right.least_target),
        min(left.least_prediction, right.least_prediction),
    )


def _finite(summary: PredictionDeviance) -> bool:
    """Tell whether the targets were finite."""
    return bool(np.isfinite(summary.mean))
