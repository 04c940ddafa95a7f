"""The losses of support vector regression."""

from dataclasses import dataclass

import numpy as np

from flowml.losses.kinked import KinkedLoss, Kinks
from flowml.losses.loss import Array, Derivatives


@dataclass(frozen=True)
class EpsilonInsensitiveLoss(KinkedLoss):
    r""":math:`\ell(y, \eta) = (|y - \eta| - \epsilon)_+`.

    V. Vapnik 1995, "The Nature of Statistical Learning Theory", chapter 6.

    Parameters
    ----------
    epsilon : float
        At least 0.

    Examples
    --------
    >>> EpsilonInsensitiveLoss(0.5).derivatives(np.array([1.0, 1.0]), np.array([0.0, 1.2])).value
    array([0.5, 0. ])
    """

    epsilon: float

    def kinks(self, y: Array) -> Kinks:
        """Return the two ends of the band, or the target if there is none."""
        if self.epsilon == 0.0:
            return Kinks(y[:, np.newaxis], np.ones((len(y), 1)), np.ones((len(y), 1)))
        position = np.stack([y - self.epsilon, y + self.epsilon], axis=1)
        below = np.broadcast_to(np.array([1.0, 0.0]), position.shape)
        return Kinks(position, below, 1.0 - below)


@dataclass(frozen=True)
class SquaredEpsilonInsensitiveLoss:
    r""":math:`\ell(y, \eta) = (|y - \eta| - \epsilon)_+^2`.

    C.-H. Ho & C.-J. Lin 2012, "Large-scale linear support vector regression".

    Parameters
    ----------
    epsilon : float
        At least 0.

    Examples
    --------
    >>> loss = SquaredEpsilonInsensitiveLoss(0.5)
    >>> loss.derivatives(np.array([1.0, 1.0]), np.array([0.0, 1.2])).value
    array([0.25, 0.  ])
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
        beyond = error - np.clip(error, -self.epsilon, self.epsilon)
        return Derivatives(beyond * beyond, 2.0 * beyond, 2.0 * (np.abs(error) >= self.epsilon))

    def constant(self, y: Array, weight: Array) -> Array:
        """Return the mean."""
        return np.array([np.average(y, weights=weight)])
