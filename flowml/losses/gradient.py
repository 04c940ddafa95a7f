"""The gradient of a loss alone, for several predictors of the same rows."""

import numba
import numpy as np

from flowml.losses.logistic import LogisticLoss
from flowml.losses.loss import Array, Loss


def gradients(loss: Loss, y: Array, eta: Array) -> Array:
    """Return the gradients at several predictors, which may be overwritten.

    Parameters
    ----------
    loss : Loss
    y : ndarray of shape (n_rows,)
    eta : ndarray of shape (n_predictors, n_outputs, n_rows)

    Returns
    -------
    ndarray of that shape

    Examples
    --------
    >>> gradients(LogisticLoss(), np.array([1.0]), np.zeros((2, 1, 1))).ravel()
    array([-0.5, -0.5])
    """
    if isinstance(loss, LogisticLoss):
        flat = eta[:, 0]
        with np.errstate(over="ignore"):
            np.exp(np.negative(flat, out=flat), out=flat)
        _subtract(y, flat)
        return eta
    for one in eta:
        found = loss.derivatives(y, one[0] if len(one) == 1 else np.ascontiguousarray(one.T))
        one[...] = found.gradient.reshape(len(y), -1).T
    return eta


@numba.njit(nogil=True, cache=True)
def _subtract(y: Array, inverse_odds: Array) -> None:
    """Replace the inverse odds of class 1 by its probability less y."""
    for k in range(len(inverse_odds)):
        one = inverse_odds[k]
        for i in range(len(y)):
            one[i] = 1.0 / (1.0 + one[i]) - y[i]
