"""Losses of regression for two classes."""

from dataclasses import dataclass

from flowml.losses.loss import Array, Derivatives, Loss


@dataclass(frozen=True)
class SidesLoss:
    r""":math:`\ell(s, \eta)` of another loss, with s = 1 for the positive class, −1 for the other.

    Parameters
    ----------
    loss : Loss
        With one output.

    Examples
    --------
    >>> import numpy as np
    >>> from flowml.losses.squared import SquaredLoss
    >>> SidesLoss(SquaredLoss()).derivatives(np.array([1.0, 0.0]), np.zeros(2)).gradient
    array([-1.,  1.])
    """

    loss: Loss
    n_outputs = 1
    n_constants = 0
    shift_invariant = False
    separation = 0.0
    tail = 0.0

    @property
    def expected_curvature(self) -> bool:
        """As the other loss has it."""
        return self.loss.expected_curvature

    def derivatives(self, y: Array, eta: Array) -> Derivatives:
        """Return value, gradient and curvature."""
        return self.loss.derivatives(2.0 * y - 1.0, eta)

    def constant(self, y: Array, weight: Array) -> Array:
        """Return the best predictor without features."""
        return self.loss.constant(2.0 * y - 1.0, weight)
