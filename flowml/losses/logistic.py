"""The logistic loss of two classes."""

from dataclasses import dataclass

import numpy as np

from flowml.losses.loss import Array, Derivatives


@dataclass(frozen=True)
class LogisticLoss:
    r""":math:`\ell(y, \eta) = \log(1 + e^\eta) - y \eta`, for y of 0 or 1.

    Minus the log-likelihood of the probability :math:`1 / (1 + e^{-\eta})` of class 1. It is
    computed as :math:`\max(\eta, 0) + \log(1 + e^{-|\eta|}) - y \eta`, which doesn't overflow.

    Examples
    --------
    >>> LogisticLoss().derivatives(np.array([1.0]), np.array([0.0])).gradient
    array([-0.5])
    """

    n_outputs = 1
    n_constants = 0
    shift_invariant = False
    separation = 0.5
    expected_curvature = False

    def derivatives(self, y: Array, eta: Array) -> Derivatives:
        """Return value, gradient and curvature."""
        small = np.exp(-np.abs(eta))
        value = np.maximum(eta, 0.0) + np.log1p(small) - y * eta
        inverse = 1.0 / (1.0 + small)
        probability = np.where(eta >= 0, inverse, small * inverse)
        return Derivatives(value, probability - y, small * inverse * inverse)

    def constant(self, y: Array, weight: Array) -> Array:
        """Return the logarithm of the odds of class 1."""
        share = np.clip(np.average(y, weights=weight), 1e-12, 1 - 1e-12)
        return np.array([np.log(share / (1 - share))])
