"""Links: how the mean of a target depends on the linear predictor."""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from scipy import special

from flowml.losses.loss import Array

HUGE = 1e300
"""Instead of infinity where it would be multiplied by zero."""


class Link(Protocol):
    r"""A monotone function of the mean, :math:`\eta = g(\mu)`, as a frozen dataclass."""

    def link(self, mean: Array) -> Array:
        """Return η of a mean."""

    def inverse(self, eta: Array) -> Array:
        """Return the mean of η."""

    def slope(self, eta: Array) -> Array:
        r"""Return :math:`d\mu / d\eta`."""


class Tails(NamedTuple):
    r"""A probability μ of η, with the digits that μ near 0 or 1 would have lost.

    Attributes
    ----------
    log_yes, log_no : ndarray of shape (n_rows,)
        :math:`\log \mu` and :math:`\log (1 - \mu)`
    rise, fall : ndarray of shape (n_rows,)
        Derivatives of :math:`\log \mu` and of :math:`-\log (1 - \mu)` by η, both positive.
    """

    log_yes: Array
    log_no: Array
    rise: Array
    fall: Array


class ProbabilityLink(Link, Protocol):
    """A link to the numbers between 0 and 1."""

    def tails(self, eta: Array) -> Tails:
        """Return logarithms of probabilities, and their derivatives."""


@dataclass(frozen=True)
class Power:
    r""":math:`\eta = \mu^{p}`; p = 1 is the identity, −1 the inverse, ½ the square root.

    Parameters
    ----------
    exponent : float
        Not zero: that would be the logarithm.

    Examples
    --------
    >>> Power(0.5).inverse(np.array([3.0]))
    array([9.])
    """

    exponent: float = 1.0

    def __post_init__(self) -> None:
        if self.exponent == 0 or not np.isfinite(self.exponent):
            raise ValueError(
                f"Power(exponent={self.exponent!r}): give a number other than 0, or the link Log()"
            )

    def link(self, mean: Array) -> Array:
        """Return a power of the mean."""
        return np.power(mean, self.exponent)

    def inverse(self, eta: Array) -> Array:
        """Return a root of η, NaN where there is none."""
        return np.power(eta, 1.0 / self.exponent)

    def slope(self, eta: Array) -> Array:
        """Return the root's derivative."""
        return np.power(eta, 1.0 / self.exponent - 1.0) / self.exponent


@dataclass(frozen=True)
class Log:
    r""":math:`\eta = \log \mu`.

    Examples
    --------
    >>> Log().inverse(np.array([0.0]))
    array([1.])
    """

    def link(self, mean: Array) -> Array:
        """Return the mean's logarithm."""
        return np.log(mean)

    def inverse(self, eta: Array) -> Array:
        """Return the exponential of η."""
        return np.exp(eta)

    def slope(self, eta: Array) -> Array:
        """Return the exponential of η, its own derivative."""
        return np.exp(eta)


@dataclass(frozen=True)
class Logit:
    r""":math:`\eta = \log (\mu / (1 - \mu))`.

    Examples
    --------
    >>> Logit().inverse(np.array([0.0]))
    array([0.5])
    """

    def link(self, mean: Array) -> Array:
        """Return the logarithm of the odds."""
        odds: Array = special.logit(mean)
        return odds

    def inverse(self, eta: Array) -> Array:
        """Return the probability."""
        probability: Array = special.expit(eta)
        return probability

    def slope(self, eta: Array) -> Array:
        """Return the probability times that of the opposite."""
        both: Array = special.expit(eta) * special.expit(-eta)
        return both

    def tails(self, eta: Array) -> Tails:
        """Return logarithms of probabilities, and their derivatives."""
        return Tails(
            special.log_expit(eta), special.log_expit(-eta), special.expit(-eta), special.expit(eta)
        )


@dataclass(frozen=True)
class Probit:
    r""":math:`\eta = \Phi^{-1}(\mu)`, with the normal distribution's Φ.

    Examples
    --------
    >>> Probit().inverse(np.array([0.0]))
    array([0.5])
    """

    def link(self, mean: Array) -> Array:
        """Return the normal quantile."""
        quantile: Array = special.ndtri(mean)
        return quantile

    def inverse(self, eta: Array) -> Array:
        """Return the normal probability."""
        probability: Array = special.ndtr(eta)
        return probability

    def slope(self, eta: Array) -> Array:
        """Return the normal density."""
        return np.exp(_log_normal_density(eta))

    def tails(self, eta: Array) -> Tails:
        """Return logarithms of probabilities, and their derivatives."""
        density, yes, no = _log_normal_density(eta), special.log_ndtr(eta), special.log_ndtr(-eta)
        return Tails(yes, no, np.exp(density - yes), np.exp(density - no))


@dataclass(frozen=True)
class Cloglog:
    r""":math:`\eta = \log (-\log (1 - \mu))`, the complementary log-log.

    Examples
    --------
    >>> Cloglog().inverse(np.array([0.0])).round(3)
    array([0.632])
    """

    def link(self, mean: Array) -> Array:
        """Return the logarithm of minus the logarithm of the opposite's probability."""
        return np.log(-np.log1p(-mean))

    def inverse(self, eta: Array) -> Array:
        """Return the probability."""
        return -np.expm1(-np.exp(eta))

    def slope(self, eta: Array) -> Array:
        """Return the derivative of the probability."""
        hazard = np.minimum(np.exp(eta), HUGE)
        return hazard * np.exp(-hazard)

    def tails(self, eta: Array) -> Tails:
        """Return logarithms of probabilities, and their derivatives."""
        hazard = np.minimum(np.exp(eta), HUGE)
        small, large = np.minimum(hazard, 1.0), np.maximum(hazard, 1.0)
        low, high = eta - small + np.log(special.exprel(small)), np.log1p(-np.exp(-large))
        yes = np.where(hazard < 1.0, low, high)
        ratio = 1.0 / special.exprel(hazard)
        return Tails(yes, -hazard, ratio, hazard)


LINKS: dict[str, Link] = {
    "identity": Power(1.0),
    "log": Log(),
    "logit": Logit(),
    "probit": Probit(),
    "cloglog": Cloglog(),
    "inverse": Power(-1.0),
    "inverse_squared": Power(-2.0),
    "sqrt": Power(0.5),
}


def _log_normal_density(eta: Array) -> Array:
    density: Array = -0.5 * eta * eta - 0.5 * np.log(2 * np.pi)
    return density
