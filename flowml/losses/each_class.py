"""The loss of each class against all others."""

from dataclasses import dataclass

import numpy as np

from flowml.losses.loss import Array, Derivatives, Loss


@dataclass(frozen=True)
class EachClassLoss:
    r""":math:`\sum_k \ell([y = k], \eta_k)`: a loss of two classes for each class against the rest.

    Parameters
    ----------
    loss : Loss
        Of y of 0 or 1, with one output.
    n_outputs : int
        Number of classes.

    Examples
    --------
    >>> from flowml.losses.logistic import LogisticLoss
    >>> loss = EachClassLoss(LogisticLoss(), 3)
    >>> loss.derivatives(np.array([2.0]), np.zeros((1, 3))).gradient
    array([[ 0.5,  0.5, -0.5]])
    """

    loss: Loss
    n_outputs: int
    n_constants = 0
    shift_invariant = False
    separation = 0.0
    tail = 0.0

    @property
    def expected_curvature(self) -> bool:
        """As the loss of one class has it."""
        return self.loss.expected_curvature

    def derivatives(self, y: Array, eta: Array) -> Derivatives:
        """Return value, gradient and curvature."""
        pieces = [self.loss.derivatives(self._own(y, k), eta[:, k]) for k in range(self.n_outputs)]
        bends = np.stack([piece.curvature for piece in pieces], axis=1)
        return Derivatives(
            np.sum([piece.value for piece in pieces], axis=0),
            np.stack([piece.gradient for piece in pieces], axis=1),
            bends[:, :, np.newaxis] * np.eye(self.n_outputs),
        )

    def constant(self, y: Array, weight: Array) -> Array:
        """Return each class's best predictor without features."""
        found = [self.loss.constant(self._own(y, k), weight) for k in range(self.n_outputs)]
        return np.concatenate(found)

    def _own(self, y: Array, number: int) -> Array:
        return (y == number).astype(np.float64)
