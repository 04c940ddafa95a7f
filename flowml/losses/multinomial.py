"""The logistic loss of three classes or more."""

from dataclasses import dataclass

import numpy as np

from flowml.losses.loss import Array, Derivatives

SMALLEST_SHARE = 1e-12


@dataclass(frozen=True)
class MultinomialLoss:
    r""":math:`\ell(y, \eta) = \log \sum_k e^{\eta_k} - \eta_y`, for y of 0, 1, …, n_classes − 1.

    Minus the log-likelihood of the probabilities :math:`p_k = e^{\eta_k} / \sum_j e^{\eta_j}`. The
    gradient is :math:`p - e_y` and the curvature :math:`\mathrm{diag}(p) - p p^\top`.

    Parameters
    ----------
    n_outputs : int
        Number of classes.

    Examples
    --------
    >>> MultinomialLoss(3).derivatives(np.array([2.0]), np.zeros((1, 3))).gradient.round(3)
    array([[ 0.333,  0.333, -0.667]])
    """

    n_outputs: int
    n_constants = 0
    shift_invariant = True
    separation = 0.5
    expected_curvature = False

    def derivatives(self, y: Array, eta: Array) -> Derivatives:
        """Return value, gradient and curvature."""
        rows, code = np.arange(len(eta)), y.astype(np.intp)
        top = eta.max(axis=1)
        probability = np.exp(eta - top[:, np.newaxis])
        total = probability.sum(axis=1)
        probability /= total[:, np.newaxis]
        value = np.log(total) + top - eta[rows, code]
        curvature = -probability[:, :, np.newaxis] * probability[:, np.newaxis, :]
        diagonal = np.arange(self.n_outputs)
        curvature[:, diagonal, diagonal] += probability
        gradient = probability
        gradient[rows, code] -= 1.0
        return Derivatives(value, gradient, curvature)

    def constant(self, y: Array, weight: Array) -> Array:
        """Return the logarithms of the classes' shares, about their mean."""
        counts = np.bincount(y.astype(np.intp), weights=weight, minlength=self.n_outputs)
        logs = np.log(np.maximum(counts / counts.sum(), SMALLEST_SHARE))
        centred: Array = logs - logs.mean()
        return centred
