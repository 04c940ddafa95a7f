"""The logistic loss of two classes."""

from dataclasses import dataclass

import numba
import numpy as np

from flowml.losses.elementary import exponential, logarithm_of_one_plus
from flowml.losses.loss import EXPONENTIAL, Array, Derivatives, contiguous


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
    tail = EXPONENTIAL
    expected_curvature = False

    def derivatives(self, y: Array, eta: Array) -> Derivatives:
        """Return value, gradient and curvature."""
        found = Derivatives(*np.empty((3, len(eta))))
        derive_logistic(contiguous(y), contiguous(eta), *found)
        return found

    def constant(self, y: Array, weight: Array) -> Array:
        """Return the logarithm of the odds of class 1."""
        share = np.clip(np.average(y, weights=weight), 1e-12, 1 - 1e-12)
        return np.array([np.log(share / (1 - share))])


@numba.njit(nogil=True, cache=True, error_model="numpy")
def derive_logistic(y: Array, eta: Array, value: Array, slope: Array, bend: Array) -> None:
    """Write value, gradient and curvature."""
    for i in range(len(eta)):
        small = exponential(-abs(eta[i]))
        inverse = 1.0 / (1.0 + small)
        probability = inverse if eta[i] >= 0.0 else small * inverse
        value[i] = max(eta[i], 0.0) + logarithm_of_one_plus(small) - y[i] * eta[i]
        slope[i] = probability - y[i]
        bend[i] = small * inverse * inverse
