"""The loss of quantile regression."""

from dataclasses import dataclass

import numpy as np

from flowml.losses.kinked import KinkedLoss, Kinks
from flowml.losses.loss import Array


@dataclass(frozen=True)
class PinballLoss(KinkedLoss):
    r""":math:`\ell(y, \eta) = q (y - \eta)_+ + (1 - q) (\eta - y)_+`.

    Its mean is least where η is the quantile q of y.

    R. Koenker & G. Bassett 1978, "Regression quantiles".

    Parameters
    ----------
    quantile : float
        Between 0 and 1.

    Examples
    --------
    >>> PinballLoss(0.9).derivatives(np.array([1.0, 1.0]), np.array([0.0, 2.0])).value
    array([0.9, 0.1])
    """

    quantile: float

    def kinks(self, y: Array) -> Kinks:
        """Return the target itself as the kink."""
        position = y[:, np.newaxis]
        below = np.full(position.shape, self.quantile)
        return Kinks(position, below, 1.0 - below)
