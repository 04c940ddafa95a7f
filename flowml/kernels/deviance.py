"""The deviance of predicted means, and that of the targets' own mean: what D² is made of."""

from functools import partial
from typing import NamedTuple

import numpy as np

from flowml.kernels.fold import Fold
from flowml.kernels.linear_loss import Point, predictor, slice_rows
from flowml.kernels.rows import Rows, slices
from flowml.losses.families import Family
from flowml.losses.links import Link


class Deviance(NamedTuple):
    """Weighted sums over rows.

    Attributes
    ----------
    weight : float
    mean : float
        Of y.
    total : float
        The unit deviances of y from its mean.
    left : float
        The unit deviances of y from the prediction.
    """

    weight: float
    mean: float
    total: float
    left: float


def deviance_fold(family: Family, link: Link) -> Fold:
    """Return the fold for a family and a link; it takes a `Point` and gives a `Deviance`."""
    return Fold(partial(_summarise, family, link), partial(_merge, family), finite=_finite)


def d_squared(summary: Deviance) -> float:
    """Return the share of the deviance that is explained; of a constant target 1 or 0.

    Raises
    ------
    ValueError
        If there is no row of a weight above zero.
    """
    if summary.weight == 0:
        raise ValueError("there is nothing to measure: no row, or none of a weight above zero")
    if summary.total == 0:
        return float(summary.left == 0)
    return 1.0 - summary.left / summary.total


def _summarise(family: Family, link: Link, ask: Point, rows: Rows) -> Deviance:
    summary = Deviance(0.0, 0.0, 0.0, 0.0)
    for part in slices(rows, slice_rows(rows)):
        X = part.X if ask.encoding is None else ask.encoding.known(part.X)
        y, weight = ask.target.read(part)
        counts = weight > 0
        if not counts.any():
            continue
        y, weight, eta = y[counts], weight[counts], predictor(ask, X, part)[counts, 0]
        total = float(weight.sum())
        mean = float(weight @ y / total)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            own = family.unit_deviance(y, np.full_like(y, mean))
            left = family.unit_deviance(y, link.inverse(eta))
        found = Deviance(total, mean, float(weight @ own), float(weight @ left))
        summary = _merge(family, summary, found)
    return summary


def _merge(family: Family, left: Deviance, right: Deviance) -> Deviance:
    """Add up, and move to the common mean."""
    if right.weight == 0 or left.weight == 0:
        return left if right.weight == 0 else right
    mean, between = about_common_mean(family, left[:2], right[:2])
    weight, total = left.weight + right.weight, left.total + right.total
    return Deviance(weight, mean, total + between, left.left + right.left)


def about_common_mean(
    family: Family, left: tuple[float, float], right: tuple[float, float]
) -> tuple[float, float]:
    """Return the common mean of two weights and means, and how much deviance lies between them.

    Deviances split as squares do: for any m, the sum of w d(y, m) is that of w d(y, ȳ) plus
    W d(ȳ, m).
    """
    weights, means = np.array([left, right]).T
    mean = means[0] + (means[1] - means[0]) * (weights[1] / weights.sum())
    with np.errstate(divide="ignore", invalid="ignore"):
        moved = family.unit_deviance(means, np.full(2, mean))
    return float(mean), float(weights @ moved)


def _finite(summary: Deviance) -> bool:
    """Tell whether the targets were finite."""
    return bool(np.isfinite(summary.mean))
