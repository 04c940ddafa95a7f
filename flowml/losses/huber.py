"""Huber's loss, with the scale of the errors fitted beside the predictor, or given."""

from dataclasses import dataclass

import numpy as np

from flowml.losses.loss import Array, Derivatives

NORMAL = 1.4826
"""A normal distribution's standard deviation, in units of its median distance from the median."""


@dataclass(frozen=True)
class HuberLoss:
    r""":math:`\ell(y, \eta, \sigma) = \sigma + \sigma H((y - \eta) / \sigma)`, with
    :math:`\sigma > 0`.

    :math:`H(z) = z^2` for :math:`|z| < \epsilon`, and :math:`2 \epsilon |z| - \epsilon^2` beyond.
    The second output is the scale σ, a number that is the same for all rows. The loss is convex in
    both outputs together.

    P. J. Huber & E. M. Ronchetti 2009, "Robust Statistics", section 7.7; A. B. Owen 2007, "A robust
    hybrid of lasso and ridge regression".

    Parameters
    ----------
    epsilon : float
        At least 1.
    least : float
        Above 0. A smaller σ counts as this: where y is met exactly, the infimum is at none.

    Examples
    --------
    >>> HuberLoss(1.5, 1e-9).derivatives(np.array([1.0]), np.array([[3.0, 2.0]])).value
    array([4.])
    """

    epsilon: float
    least: float
    n_outputs = 2
    n_constants = 1
    shift_invariant = False
    expected_curvature = False
    separation = 0.0
    tail = 0.0

    def derivatives(self, y: Array, eta: Array) -> Derivatives:
        """Return value, gradient and curvature."""
        scale = np.maximum(eta[:, 1], self.least)
        above = eta[:, 1] >= self.least
        z = (eta[:, 0] - y) / scale
        inner = np.clip(z, -self.epsilon, self.epsilon)
        value = scale * (1.0 + inner * (2.0 * z - inner))
        gradient = np.stack([2.0 * inner, above * (1.0 - inner * inner)], axis=1)
        bend = np.where(inner == z, 2.0 / scale, 0.0)
        curvature = np.empty((len(z), 2, 2))
        curvature[:, 0, 0] = bend
        curvature[:, 0, 1] = curvature[:, 1, 0] = -bend * inner * above
        curvature[:, 1, 1] = bend * inner * inner * above
        return Derivatives(value, gradient, curvature)

    def constant(self, y: Array, weight: Array) -> Array:
        """Return median and scale."""
        middle = weighted_quantile(y, weight, 0.5)
        return np.array([middle, spread(y, weight)])


@dataclass(frozen=True)
class FixedHuberLoss:
    r""":math:`\ell(y, \eta) = \tfrac{1}{2} (y - \eta)^2` up to an error of ε, and straight beyond.

    :math:`\epsilon |y - \eta| - \tfrac{1}{2} \epsilon^2` there.

    P. J. Huber 1964, "Robust estimation of a location parameter".

    Parameters
    ----------
    epsilon : float
        Above 0.

    Examples
    --------
    >>> FixedHuberLoss(0.5).derivatives(np.array([0.0, 0.0]), np.array([0.2, 2.0])).gradient
    array([0.2, 0.5])
    """

    epsilon: float
    n_outputs = 1
    n_constants = 0
    shift_invariant = False
    expected_curvature = False
    separation = 0.0
    tail = 0.0

    def derivatives(self, y: Array, eta: Array) -> Derivatives:
        """Return value, gradient and curvature."""
        error = eta - y
        inner = np.clip(error, -self.epsilon, self.epsilon)
        return Derivatives(inner * (error - 0.5 * inner), inner, 1.0 * (inner == error))

    def constant(self, y: Array, weight: Array) -> Array:
        """Return the median."""
        return np.array([weighted_quantile(y, weight, 0.5)])


def spread(values: Array, weight: Array) -> float:
    """Return a robust standard deviation, above zero."""
    middle = weighted_quantile(values, weight, 0.5)
    scale = NORMAL * weighted_quantile(np.abs(values - middle), weight, 0.5)
    if scale == 0.0:
        scale = float(np.sqrt(np.average((values - middle) ** 2, weights=weight)))
    return scale or 1.0


def weighted_quantile(values: Array, weight: Array, share: float) -> float:
    """Return the smallest value with at least a share of the weight up to it.

    Examples
    --------
    >>> weighted_quantile(np.array([3.0, 1.0, 2.0]), np.ones(3), 0.5)
    2.0
    """
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weight[order])
    place = np.searchsorted(reached, share * reached[-1])
    return float(values[order[min(place, len(order) - 1)]])
