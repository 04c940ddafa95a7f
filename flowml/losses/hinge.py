"""The losses of support vector classifiers."""

from dataclasses import dataclass

import numpy as np

from flowml.losses.kinked import KinkedLoss, Kinks
from flowml.losses.loss import Array, Derivatives


@dataclass(frozen=True)
class HingeLoss(KinkedLoss):
    r""":math:`\ell(y, \eta) = (1 - s \eta)_+`, with s = 1 for the positive class and −1 for others.

    C. Cortes & V. Vapnik 1995, "Support-vector networks".

    Parameters
    ----------
    positive : float, default=1.0
        The number of the positive class.

    Examples
    --------
    >>> HingeLoss().derivatives(np.array([1.0, 0.0]), np.array([0.5, 0.5])).value
    array([0.5, 1.5])
    """

    positive: float = 1.0

    def kinks(self, y: Array) -> Kinks:
        """Return where the margin is one."""
        own = (y == self.positive).astype(np.float64)[:, np.newaxis]
        return Kinks(2.0 * own - 1.0, own, 1.0 - own)


@dataclass(frozen=True)
class SquaredHingeLoss:
    r""":math:`\ell(y, \eta) = (1 - s \eta)_+^2`, with s = 1 for the positive class, −1 for others.

    O. L. Mangasarian 2002, "A finite Newton method for classification".

    Parameters
    ----------
    positive : float, default=1.0
        The number of the positive class.

    Examples
    --------
    >>> SquaredHingeLoss().derivatives(np.array([1.0, 0.0]), np.array([0.5, 0.5])).value
    array([0.25, 2.25])
    """

    positive: float = 1.0
    n_outputs = 1
    n_constants = 0
    shift_invariant = False
    expected_curvature = False
    separation = 0.0
    tail = 0.0

    def derivatives(self, y: Array, eta: Array) -> Derivatives:
        """Return value, gradient and curvature."""
        side = np.where(y == self.positive, 1.0, -1.0)
        lacking = np.maximum(1.0 - side * eta, 0.0)
        return Derivatives(lacking * lacking, -2.0 * side * lacking, 2.0 * (lacking > 0))

    def constant(self, y: Array, weight: Array) -> Array:
        """Return the mean of the classes' signs."""
        return np.array([2.0 * np.average(y == self.positive, weights=weight) - 1.0])


@dataclass(frozen=True)
class ModifiedHuberLoss:
    r""":math:`\ell(y, \eta) = (1 - s \eta)_+^2` for :math:`s \eta > -1`, else :math:`-4 s \eta`.

    s is 1 for the positive class, −1 for others.

    T. Zhang 2004, "Solving large scale linear prediction problems using stochastic gradient descent
    algorithms".

    Examples
    --------
    >>> ModifiedHuberLoss().derivatives(np.array([1.0, 0.0]), np.array([0.5, 2.0])).value
    array([0.25, 8.  ])
    """

    n_outputs = 1
    n_constants = 0
    shift_invariant = False
    expected_curvature = False
    separation = 0.0
    tail = 0.0

    def derivatives(self, y: Array, eta: Array) -> Derivatives:
        """Return value, gradient and curvature."""
        side = np.where(y == 1.0, 1.0, -1.0)
        lacking = np.maximum(1.0 - side * eta, 0.0)
        inner = np.minimum(lacking, 2.0)
        bend = 2.0 * ((lacking > 0) & (lacking < 2.0))
        return Derivatives(inner * (2.0 * lacking - inner), -2.0 * side * inner, bend)

    def constant(self, y: Array, weight: Array) -> Array:
        """Return the mean of the classes' signs."""
        return np.array([2.0 * np.average(y == 1.0, weights=weight) - 1.0])
