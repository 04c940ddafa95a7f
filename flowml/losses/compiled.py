"""Losses that compiled loops can call for a few rows at a time, without NumPy in between."""

import numba

from flowml.losses.families import Poisson
from flowml.losses.family_loss import PowerLogLoss, derive_poisson
from flowml.losses.logistic import LogisticLoss, derive_logistic
from flowml.losses.loss import Array, Loss
from flowml.losses.multinomial import MultinomialLoss, derive_multinomial

LOGISTIC, MULTINOMIAL, POISSON = range(3)


def form_of(loss: Loss) -> int | None:
    """Return the number by which `derive` knows a loss, None if it doesn't.

    Examples
    --------
    >>> form_of(LogisticLoss()) == LOGISTIC
    True
    """
    if isinstance(loss, LogisticLoss):
        return LOGISTIC
    if isinstance(loss, MultinomialLoss):
        return MULTINOMIAL
    if isinstance(loss, PowerLogLoss) and isinstance(loss.family, Poisson):
        return POISSON
    return None


@numba.njit(nogil=True, cache=True)
def derive(form: int, y: Array, eta: Array, value: Array, slope: Array, bend: Array) -> None:
    """Write what `Loss.derivatives` returns, outputs before rows.

    Parameters
    ----------
    form : int
    y : ndarray of shape (n_rows,)
    eta : ndarray of shape (n_outputs, n_rows)
    value : ndarray of shape (n_rows,)
    slope : ndarray of shape (n_outputs, n_rows)
    bend : ndarray of shape (n_outputs, n_outputs, n_rows)
    """
    if form == MULTINOMIAL:
        derive_multinomial(y, eta, value, slope, bend)
    elif form == POISSON:
        derive_poisson(y, eta[0], value, slope[0], bend[0, 0])
    else:
        derive_logistic(y, eta[0], value, slope[0], bend[0, 0])
