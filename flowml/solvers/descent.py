"""When a step down is good enough: what the solvers with trial steps share."""

import numpy as np

from flowml.kernels.rows import Array
from flowml.solvers.objective import Evaluation, Objective, in_order

SUFFICIENT = 1e-4
"""Share of the promised fall that a step has to reach (L. Armijo 1966)."""
LEAST_SHARE = 2.0**-30
ROUNDING = 1e-13
"""Differences between two values below this share of them are noise."""


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
