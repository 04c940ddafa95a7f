"""The logistic loss of three classes or more."""

from dataclasses import dataclass

import numba
import numpy as np

from flowml.losses.elementary import exponential, logarithm
from flowml.losses.loss import EXPONENTIAL, Array, Derivatives, contiguous

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
    tail = EXPONENTIAL
    expected_curvature = False

    def derivatives(self, y: Array, eta: Array) -> Derivatives:
        """Return value, gradient and curvature."""
        n_rows, n_outputs = eta.shape
        value, gradient = np.empty(n_rows), np.empty((n_outputs, n_rows))
        curvature = np.empty((n_outputs, n_outputs, n_rows))
        derive_multinomial(contiguous(y), contiguous(eta.T), value, gradient, curvature)
        return Derivatives(value, gradient.T, curvature.transpose(2, 0, 1))

    def constant(self, y: Array, weight: Array) -> Array:
        """Return the logarithms of the classes' shares, about their mean."""
        counts = np.bincount(y.astype(np.intp), weights=weight, minlength=self.n_outputs)
        logs = np.log(np.maximum(counts / counts.sum(), SMALLEST_SHARE))
        centred: Array = logs - logs.mean()
        return centred


@numba.njit(nogil=True, cache=True, error_model="numpy")
def derive_multinomial(y: Array, eta: Array, value: Array, slope: Array, bend: Array) -> None:
    """Write value, gradient and curvature, the outputs of all but the first before the rows."""
    n_outputs, n_rows = eta.shape
    top, total = np.empty(n_rows), np.zeros(n_rows)
    for i in range(n_rows):
        top[i] = eta[0, i]
    for k in range(1, n_outputs):
        for i in range(n_rows):
            top[i] = max(top[i], eta[k, i])
    for k in range(n_outputs):
        for i in range(n_rows):
            slope[k, i] = exponential(eta[k, i] - top[i])
            total[i] += slope[k, i]
    for i in range(n_rows):
        value[i] = logarithm(total[i]) + top[i] - eta[int(y[i]), i]
        total[i] = 1.0 / total[i]
    for k in range(n_outputs):
        for i in range(n_rows):
            slope[k, i] *= total[i]
    for j in range(n_outputs):
        for k in range(n_outputs):
            for i in range(n_rows):
                bend[j, k, i] = -slope[j, i] * slope[k, i]
        for i in range(n_rows):
            bend[j, j, i] += slope[j, i]
    for i in range(n_rows):
        slope[int(y[i]), i] -= 1.0
