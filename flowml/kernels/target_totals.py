"""What targets tell by themselves: the deviance of their mean, and their share of a likelihood."""

from functools import partial
from typing import NamedTuple

import numpy as np

from flowml.kernels.deviance import about_common_mean
from flowml.kernels.fold import Fold
from flowml.kernels.linear_loss import Target
from flowml.kernels.rows import Rows, slices
from flowml.losses.families import Family
from flowml.losses.family_loss import FamilyLoss

SLICE_ROWS = 1 << 14


class TargetTotals(NamedTuple):
    """Weighted sums over rows.

    Attributes
    ----------
    weight : float
    mean : float
        Of y.
    total : float
        The unit deviances of y from its mean; with an offset, from the best constant beside it,
        where the loss can tell (`FamilyLoss.nets_offsets`).
    constant : float
        What the rows add to a log-likelihood, whatever is predicted.
    """

    weight: float
    mean: float
    total: float
    constant: float


def totals_fold(loss: FamilyLoss) -> Fold:
    """Return the fold for a family and link; it takes a `Target` and gives `TargetTotals`."""
    return Fold(partial(_summarise, loss), partial(_merge, loss.family), finite=_finite)


def _summarise(loss: FamilyLoss, ask: Target, rows: Rows) -> TargetTotals:
    family = loss.family
    summary = TargetTotals(0.0, 0.0, 0.0, 0.0)
    for part in slices(rows, SLICE_ROWS):
        y, weight = ask.read(part)
        counts = weight > 0
        if not counts.any():
            continue
        y, weight = y[counts], weight[counts]
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            constant = float(weight @ family.constant(y))
            if ask.offset is not None:
                y, weight = loss.net_of(y, weight, np.ravel(ask.added(part))[counts])
            total = float(weight.sum())
            mean = float(weight @ y / total)
            own = float(weight @ family.unit_deviance(y, np.full_like(y, mean)))
        summary = _merge(family, summary, TargetTotals(total, mean, own, constant))
    return summary


def _merge(family: Family, left: TargetTotals, right: TargetTotals) -> TargetTotals:
    """Add up, and move to the common mean."""
    if right.weight == 0 or left.weight == 0:
        return left if right.weight == 0 else right
    mean, between = about_common_mean(family, left[:2], right[:2])
    return TargetTotals(
        left.weight + right.weight,
        mean,
        left.total + right.total + between,
        left.constant + right.constant,
    )


def _finite(summary: TargetTotals) -> bool:
    """Leave what isn't finite to the check of the targets and to the pass over every row."""
    return True
