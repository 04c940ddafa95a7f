"""Which losses are minus a log-likelihood, and what it takes to say how large that is."""

from typing import Protocol

from flowml.losses.families import Totals
from flowml.losses.logistic import LogisticLoss
from flowml.losses.loss import Loss
from flowml.losses.multinomial import MultinomialLoss


class Likelihood(Protocol):
    """What a summary must know of a distribution; every `Family` does."""

    @property
    def dispersion(self) -> float | None:
        """The dispersion where it is known, else None."""

    def log_likelihood(self, totals: Totals, dispersion: float) -> float:
        """Return the log-likelihood of all rows, a row of weight 2 being two."""


class Categorical:
    r"""The distribution of a label: half the deviance is :math:`-\log p_y`."""

    dispersion = 1.0

    def log_likelihood(self, totals: Totals, dispersion: float) -> float:
        """Return minus half the deviance.

        Examples
        --------
        >>> Categorical().log_likelihood(Totals(10.0, 6.0, 0.0), 1.0)
        -3.0
        """
        return -0.5 * totals.deviance


def likelihood_of(loss: Loss) -> Likelihood | None:
    """Return the likelihood that a loss stands for, None if there is none.

    Examples
    --------
    >>> likelihood_of(LogisticLoss()).dispersion
    1.0
    """
    if isinstance(loss, LogisticLoss | MultinomialLoss):
        return Categorical()
    likelihood: Likelihood | None = getattr(loss, "family", None)
    return likelihood
