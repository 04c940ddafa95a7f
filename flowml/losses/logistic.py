"""The logistic loss of two classes."""

import math
from dataclasses import dataclass

import numba
import numpy as np

from flowml.losses.loss import Array, Derivatives, contiguous


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
        found = np.empty((3, len(eta)))
        _derive(contiguous(y), contiguous(eta), found)
        return Derivatives(*found)

    def constant(self, y: Array, weight: Array) -> Array:
        """Return the logarithm of the odds of class 1."""
        share = np.clip(np.average(y, weights=weight), 1e-12, 1 - 1e-12)
        return np.array([np.log(share / (1 - share))])


@numba.njit(nogil=True, cache=True)
def _derive(y: Array, eta: Array, found: Array) -> None:
    """Write value, gradient and curvature, in one call: threads don't wait for each other."""
    for i in range(len(eta)):
        small = math.exp(-abs(eta[i]))
        inverse = 1.0 / (1.0 + small)
        probability = inverse if eta[i] >= 0.0 else small * inverse
        found[0, i] = max(eta[i], 0.0) + math.log1p(small) - y[i] * eta[i]
        found[1, i] = probability - y[i]
        found[2, i] = small * inverse * inverse
