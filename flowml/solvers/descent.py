"""When a step down is good enough: what the solvers with trial steps share."""

from typing import NamedTuple

import numpy as np

from flowml.kernels.rows import Array
from flowml.solvers.objective import Evaluation, Objective, in_order

SUFFICIENT = 1e-4
"""Share of the promised fall that a step has to reach (L. Armijo 1966)."""
LEAST_SHARE = 2.0**-30
ROUNDING = 1e-13
"""Differences between two values below this share of them are noise."""
LEAST_LENGTH = 1e-30
"""Of a step along a gradient."""
VISIBLE = 1e-6
"""A fall below this share of the value is told from the gradients, which lose fewer digits."""


class Place(NamedTuple):
    """A point with what is known there.

    Attributes
    ----------
    theta, gradient : ndarray of shape (n_outputs, n_features + 1)
        The gradient is that of the mean loss.
    loss : float
        The mean loss.
    """

    theta: Array
    gradient: Array
    loss: float


def falls_enough(before: float, after: float, promise: float) -> bool:
    """Tell whether the objective falls by a share of what was promised, a number below zero.

    Examples
    --------
    >>> falls_enough(1.0, 0.9, -0.2), falls_enough(1.0, 1.1, -0.2), falls_enough(np.inf, 5.0, 0.0)
    (True, False, True)
    """
    if not np.isfinite(before):
        return bool(np.isfinite(after))
    return after <= before + SUFFICIENT * promise + ROUNDING * abs(before)


def smooth_gradient(objective: Objective, theta: Array, evaluation: Evaluation) -> Array:
    """Return the gradient of the mean loss and of the penalty's squares."""
    squares = in_order(theta, objective.price.quadratic, 0.0).reshape(theta.shape)
    gradient: Array = evaluation.gradient + squares * theta
    return gradient


def bend_between(base: Place, tried: Place) -> float:
    """Return the curvature of the loss along a step, such that a step of its inverse is safe.

    Where slopes are missing at its end (NaN), values tell it alone.
    """
    step = tried.theta - base.theta
    square = float(np.vdot(step, step))
    if square == 0.0:
        return 0.0
    excess = tried.loss - base.loss - float(np.vdot(base.gradient, step))
    if abs(excess) < VISIBLE * abs(base.loss) and np.isfinite(tried.gradient).all():
        return max(0.0, float(np.vdot(tried.gradient - base.gradient, step)) / square)
    return 2.0 * excess / square
