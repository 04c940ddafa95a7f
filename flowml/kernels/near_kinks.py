"""A loss of straight lines: what bends close to a point is gathered, the rest is summed up."""

from typing import NamedTuple

import numpy as np

from flowml.kernels.fold import Fold
from flowml.kernels.linear_loss import Point, predictor, slice_rows
from flowml.kernels.rows import Array, Matrix, Rows, Slice, slices
from flowml.losses.kinked import KinkedLoss, Kinks


class KinkAsk(NamedTuple):
    """Where the loss is asked for, and which kinks are near.

    Attributes
    ----------
    point : Point
        Its loss is a `KinkedLoss`.
    width : float
        A kink is near where the predictor is at most so far from it.
    limit : int
        Most near kinks: of more, the nearest.
    """

    point: Point
    width: float
    limit: int


class NearKinks(NamedTuple):
    r"""Sums over rows, with :math:`z_i = [x_i - c, 1]`, and the kinks that are near.

    Attributes
    ----------
    weight : float
    value : float
        :math:`\sum_i w_i \ell_i`
    slope : ndarray of shape (n_features + 1,)
        Of the kinks that are not near: :math:`\sum w_i \ell'_i z_i`.
    Z : ndarray of shape (n_near, n_features + 1)
        The rows of the near kinks, in the order of the data.
    gap : ndarray of shape (n_near,)
        How far the predictor is below the kink.
    below, above : ndarray of shape (n_near,)
        How fast the loss rises on each side, times the row's weight.
    n_far : float
        Kinks that are not near.
    limit : int
        Most near kinks.
    broken : int
        Slices that hold a NaN or infinity.
    """

    weight: float
    value: float
    slope: Array
    Z: Array
    gap: Array
    below: Array
    above: Array
    n_far: float
    limit: int
    broken: int


def summarise(ask: KinkAsk, rows: Rows) -> NearKinks:
    """Tell near kinks from far ones, slice by slice."""
    summary = nothing(len(ask.point.center) + 1, ask.limit)
    parts = [summary]
    for part in slices(rows, slice_rows(rows)):
        parts.append(_slice_summary(ask, part))
    return _cut(_joined(parts))


def merge(left: NearKinks, right: NearKinks) -> NearKinks:
    """Put the right kinks behind the left ones, as many as are wanted."""
    return _cut(_joined([left, right]))


def finite(summary: NearKinks) -> bool:
    """Tell whether the rows were finite."""
    return summary.broken == 0


NEAR_KINKS = Fold(summarise, merge, finite=finite)


def nothing(n_columns: int, limit: int) -> NearKinks:
    """Return the summary of no rows."""
    none = np.zeros(0)
    return NearKinks(
        0.0, 0.0, np.zeros(n_columns), np.zeros((0, n_columns)), none, none, none, 0.0, limit, 0
    )


def _slice_summary(ask: KinkAsk, part: Slice) -> NearKinks:
    loss, center = ask.point.loss, ask.point.center
    assert isinstance(loss, KinkedLoss)
    X, (y, weight) = ask.point.columns(part.X), ask.point.target.read(part)
    eta = predictor(ask.point, X, part)
    position, below, above = _weighted(loss.kinks(y), weight)
    gap = position - eta
    near = (np.abs(gap) <= ask.width) & (weight[:, np.newaxis] > 0)
    rising = np.where(gap > 0, -below, above)
    slope = (rising * ~near).sum(axis=1, keepdims=True)
    total = float(slope.sum())
    row, kink = np.nonzero(near)
    return NearKinks(
        float(weight.sum()),
        float(-np.vdot(rising, gap)),
        np.append((X.T @ slope)[:, 0] - total * center, total),
        _columns(X, row, center),
        gap[row, kink],
        below[row, kink],
        above[row, kink],
        float(np.count_nonzero(weight) * position.shape[1] - len(row)),
        ask.limit,
        int(not np.isfinite(eta.sum() + weight.sum() + y.sum())),
    )


def _weighted(kinks: Kinks, weight: Array) -> Kinks:
    factor = weight[:, np.newaxis]
    return Kinks(kinks.position, kinks.below * factor, kinks.above * factor)


def _columns(X: Matrix, rows: Array, center: Array) -> Array:
    """Return rows, dense, centred and with a one behind."""
    chosen = X[rows]
    Z = np.empty((len(rows), len(center) + 1))
    np.subtract(chosen if isinstance(X, np.ndarray) else chosen.toarray(), center, out=Z[:, :-1])
    Z[:, -1] = 1.0
    return Z


def _joined(parts: list[NearKinks]) -> NearKinks:
    """Add up what is far, and line up what is near."""
    return NearKinks(
        sum(part.weight for part in parts),
        sum(part.value for part in parts),
        np.sum([part.slope for part in parts], axis=0),
        np.concatenate([part.Z for part in parts]),
        np.concatenate([part.gap for part in parts]),
        np.concatenate([part.below for part in parts]),
        np.concatenate([part.above for part in parts]),
        sum(part.n_far for part in parts),
        parts[0].limit,
        sum(part.broken for part in parts),
    )


def _cut(kinks: NearKinks) -> NearKinks:
    """Keep the nearest; the others become part of the sums."""
    if len(kinks.gap) <= kinks.limit:
        return kinks
    order = np.argsort(np.abs(kinks.gap), kind="stable")
    kept, far = np.sort(order[: kinks.limit]), order[kinks.limit :]
    rising = np.where(kinks.gap[far] > 0, -kinks.below[far], kinks.above[far])
    return kinks._replace(
        slope=kinks.slope + rising @ kinks.Z[far],
        Z=kinks.Z[kept],
        gap=kinks.gap[kept],
        below=kinks.below[kept],
        above=kinks.above[kept],
        n_far=kinks.n_far + len(far),
    )
