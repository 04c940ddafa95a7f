"""Half the squared error."""

from dataclasses import dataclass

import numpy as np

from flowml.losses.loss import Array, Derivatives


@dataclass(frozen=True)
class SquaredLoss:
    r""":math:`\ell(y, \eta) = \tfrac{1}{2} (\eta - y)^2`.

    Examples
    --------
    >>> SquaredLoss().derivatives(np.array([1.0]), np.array([3.0]))
    Derivatives(value=array([2.]), gradient=array([2.]), curvature=array([1.]))
    """

    n_outputs = 1
    n_constants = 0
    shift_invariant = False
    separation = 0.0
    tail = 0.0
    expected_curvature = False

    def derivatives(self, y: Array, eta: Array) -> Derivatives:
        """Return value, gradient and curvature."""
        error = eta - y
        return Derivatives(0.5 * error * error, error, np.ones_like(error))

    def constant(self, y: Array, weight: Array) -> Array:
        """Return the mean."""
        return np.array([np.average(y, weights=weight)])
