"""Each leaf's own fit near a common point, with its dual variables beside its rows."""

from typing import NamedTuple

import numpy as np
from scipy import linalg

from flowml.kernels.fold import Fold, Memory
from flowml.kernels.linear_loss import Point, summarise_curvature
from flowml.kernels.rows import Array, Rows

MEMORY = "local fit"
MOST_STEPS = 20
ROUNDING = 1e-13


class LocalAsk(NamedTuple):
    """What the leaves have been asked since the round began, and how to fit.

    Attributes
    ----------
    point : Point
        Loss, target and center; its coefficients don't matter.
    scale : ndarray of shape (n_features,)
        Parameters are coefficients times this, and the predictor at the center.
    free : ndarray of shape (n_outputs, n_features + 1), bool
        Parameters that may differ from zero.
    points : ndarray of shape (n_points, n_outputs, n_features + 1)
        The common points of the round in order; the last is the newest.
    stiffness : float
        Price of a squared distance from the common point: :math:`\\rho`.
    tolerance : float
        Largest slope that a local fit may leave.
    """

    point: Point
    scale: Array
    free: Array
    points: Array
    stiffness: float
    tolerance: float


class LocalSums(NamedTuple):
    r"""What the leaves propose, summed by their weight.

    Attributes
    ----------
    weight : float
    proposed : ndarray of shape (n_outputs, n_features + 1)
        :math:`\sum_i W_i (x_i + u_i)`
    apart : float
        :math:`\sum_i W_i |x_i - z|^2`
    moved : float
        :math:`\sum_i W_i |z - z_i|^2`, with :math:`z_i` the point that the leaf saw before.
    """

    weight: float
    proposed: Array
    apart: float
    moved: float


class Local(NamedTuple):
    """What a leaf remembers: where its round stands.

    Attributes
    ----------
    weight : float
    points : ndarray of shape (n_points, n_outputs, n_features + 1)
        Those that it has answered to.
    stiffness : float
    fit, dual : ndarray of shape (n_outputs, n_features + 1)
        :math:`x_i` and :math:`u_i`.
    """

    weight: float
    points: Array
    stiffness: float
    fit: Array
    dual: Array


class _Slope(NamedTuple):
    """A leaf's mean loss at a point, with its derivatives by the free parameters."""

    weight: float
    value: float
    gradient: Array
    curvature: Array


def summarise(ask: LocalAsk, rows: Rows, memory: Memory) -> LocalSums:
    """Answer to the newest point; what an empty memory has forgotten is gone through again.

    A round begins with the dual variables that belong to its first point, so the answer depends on
    the points alone.
    """
    known: Local | None = memory.get(MEMORY)
    if known is None or not _belongs(known, ask):
        start = _slope(ask, rows, ask.points[0])
        if start is None:
            return LocalSums(0.0, np.zeros(ask.points.shape[1:]), 0.0, 0.0)
        dual = _spread_out(ask, -start.gradient / ask.stiffness)
        weight = start.weight
        known = Local(weight, ask.points[:1], ask.stiffness, ask.points[0], dual)
    for number in range(len(known.points), len(ask.points)):
        newest = ask.points[number]
        dual = known.dual + known.fit - newest
        fit = _fit(ask, rows, newest - dual, known.fit)
        known = known._replace(points=ask.points[: number + 1], fit=fit, dual=dual)
    memory[MEMORY] = known
    apart, moved = known.fit - ask.points[-1], ask.points[-1] - ask.points[-2]
    return LocalSums(
        known.weight,
        known.weight * (known.fit + known.dual),
        known.weight * float(np.vdot(apart, apart)),
        known.weight * float(np.vdot(moved, moved)),
    )


def merge(left: LocalSums, right: LocalSums) -> LocalSums:
    """Add two up."""
    return LocalSums(
        left.weight + right.weight,
        left.proposed + right.proposed,
        left.apart + right.apart,
        left.moved + right.moved,
    )


LOCAL_FIT = Fold(summarise, merge, uses_memory=True, additive=True)


def _belongs(known: Local, ask: LocalAsk) -> bool:
    """Tell whether a leaf has answered to the first of these points, in this round."""
    n_known = len(known.points)
    same = n_known <= len(ask.points) and known.stiffness == ask.stiffness
    return same and np.array_equal(known.points, ask.points[:n_known])


def _fit(ask: LocalAsk, rows: Rows, near: Array, start: Array) -> Array:
    r"""Minimise the leaf's loss and :math:`\tfrac{\rho}{2} |x - near|^2` by Newton's method."""
    x, step, share, best = start, np.zeros_like(start), 1.0, np.inf
    for _ in range(MOST_STEPS):
        tried = x + share * step
        found, away = _slope(ask, rows, tried), tried - near
        assert found is not None
        value = found.value + 0.5 * ask.stiffness * float(np.vdot(away, away))
        if not value <= best + ROUNDING * abs(best):
            share /= 2
            continue
        x, best, share = tried, value, 1.0
        slope = found.gradient + ask.stiffness * away[ask.free]
        if np.abs(slope).max(initial=0.0) <= ask.tolerance:
            break
        bend = found.curvature + ask.stiffness * np.eye(len(slope))
        step = _spread_out(ask, -linalg.solve(bend, slope, assume_a="pos"))
    return x


def _slope(ask: LocalAsk, rows: Rows, theta: Array) -> _Slope | None:
    """Evaluate a leaf's mean loss; None where there is nothing, or something that isn't finite."""
    coef = theta[:, :-1] / ask.scale
    intercept = theta[:, -1] - coef @ ask.point.center
    sums = summarise_curvature(ask.point._replace(coef=coef, intercept=intercept), rows)
    if sums.weight == 0.0 or sums.broken:
        return None
    free = ask.free.ravel()
    units = np.tile(np.append(ask.scale, 1.0), len(theta))[free]
    gradient = sums.gradient.ravel()[free] / (sums.weight * units)
    assert sums.curvature is not None
    curvature = sums.curvature[np.ix_(free, free)] / (sums.weight * units[:, np.newaxis] * units)
    value = sums.value / sums.weight
    return _Slope(sums.weight, value if np.isfinite(value) else np.inf, gradient, curvature)


def _spread_out(ask: LocalAsk, values: Array) -> Array:
    """Lay out the free parameters among zeros."""
    theta = np.zeros(ask.free.shape)
    theta[ask.free] = values
    return theta
