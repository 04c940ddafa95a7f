"""Families: how a target varies about its mean, and which values it can take."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from scipy import special

from flowml.losses.links import Link, Log, Logit, Power
from flowml.losses.loss import Array

TINY = 1e-300
MOST_COUNTS = 10_000
"""Up to here a function of whole numbers is looked up in a table."""


class Interval(NamedTuple):
    """The numbers from `low` to `high`.

    Attributes
    ----------
    low, high : float
    low_counts : bool
        Whether `low` itself is one of them; `high` is.
    """

    low: float = -np.inf
    high: float = np.inf
    low_counts: bool = True

    def holds(self, values: Array) -> Array:
        """Tell which values are inside."""
        above = values >= self.low if self.low_counts else values > self.low
        inside: Array = above & (values <= self.high)
        return inside

    def __str__(self) -> str:
        """Say what a number has to be."""
        if self.high < np.inf:
            return f"between {self.low:g} and {self.high:g}"
        return f"at least {self.low:g}" if self.low_counts else f"above {self.low:g}"


ANY, NOT_NEGATIVE = Interval(), Interval(0.0)
POSITIVE, SHARE = Interval(0.0, low_counts=False), Interval(0.0, 1.0)


class Totals(NamedTuple):
    """What a log-likelihood needs to know of all rows.

    Attributes
    ----------
    weight : float
    deviance : float
        The weighted sum of unit deviances.
    constant : float
        The weighted sum of `Family.constant`.
    """

    weight: float
    deviance: float
    constant: float


class Family(Protocol):
    r"""A distribution of the target about a mean μ, as a frozen dataclass.

    The variance is :math:`\phi V(\mu)`, with the dispersion φ; the unit deviance is
    :math:`d(y, \mu) = 2 \int_\mu^y (y - t) / V(t)\, dt`.
    """

    @property
    def targets(self) -> Interval:
        """The values that y may have."""

    @property
    def means(self) -> Interval:
        """The values that μ may have, without the ends."""

    @property
    def canonical(self) -> Link | None:
        r"""The link with which half the deviance has the derivative :math:`\mu - y` by η.

        Up to a factor; the curvature is then its own expectation. None if it isn't among `LINKS`.
        """

    @property
    def usual(self) -> Link:
        """The link that is taken where none is given."""

    @property
    def dispersion(self) -> float | None:
        """The dispersion where it is known, else None."""

    def variance(self, mean: Array) -> Array:
        """Return V(μ)."""

    def unit_deviance(self, y: Array, mean: Array) -> Array:
        """Return d(y, μ), 0 where they are equal."""

    def constant(self, y: Array) -> Array:
        """Return what a row adds to the log-likelihood, whatever its mean and the dispersion."""

    def log_likelihood(self, totals: Totals, dispersion: float) -> float:
        """Return the log-likelihood of all rows, a row of weight 2 being two; NaN if unknown."""


@dataclass(frozen=True)
class Gaussian:
    r""":math:`V(\mu) = 1` and :math:`d(y, \mu) = (y - \mu)^2`: the normal distribution.

    Examples
    --------
    >>> Gaussian().unit_deviance(np.array([3.0]), np.array([1.0]))
    array([4.])
    """

    power = 0.0
    targets = means = ANY
    canonical = usual = Power(1.0)
    dispersion = None

    def variance(self, mean: Array) -> Array:
        """Return one."""
        return np.ones_like(mean)

    def unit_deviance(self, y: Array, mean: Array) -> Array:
        """Return the squared error."""
        return np.square(y - mean)

    def constant(self, y: Array) -> Array:
        """Return zero."""
        return np.zeros_like(y)

    def log_likelihood(self, totals: Totals, dispersion: float) -> float:
        """Return the normal log-likelihood."""
        scatter = totals.weight * np.log(2 * np.pi * dispersion)
        return float(-0.5 * (totals.deviance / dispersion + scatter))


@dataclass(frozen=True)
class Poisson:
    r""":math:`V(\mu) = \mu` and :math:`d(y, \mu) = 2 (y \log (y / \mu) - y + \mu)`: counts.

    Examples
    --------
    >>> Poisson().unit_deviance(np.array([0.0]), np.array([1.5]))
    array([3.])
    """

    power = 1.0
    targets, means = NOT_NEGATIVE, POSITIVE
    canonical = usual = Log()
    dispersion = 1.0

    def variance(self, mean: Array) -> Array:
        """Return the mean."""
        return mean

    def unit_deviance(self, y: Array, mean: Array) -> Array:
        """Return d."""
        return 2.0 * (_y_log_ratio(y, mean) - y + mean)

    def constant(self, y: Array) -> Array:
        """Return the log-likelihood of a mean of y."""
        return of_counts(lambda y: special.xlogy(y, y) - y - special.gammaln(y + 1.0), y)

    def log_likelihood(self, totals: Totals, dispersion: float) -> float:
        """Return Poisson's log-likelihood."""
        return totals.constant - 0.5 * totals.deviance


@dataclass(frozen=True)
class Gamma:
    r""":math:`V(\mu) = \mu^2` and :math:`d(y, \mu) = 2 (y / \mu - 1 - \log (y / \mu))`.

    Examples
    --------
    >>> Gamma().unit_deviance(np.array([1.0]), np.array([2.0])).round(3)
    array([0.386])
    """

    power = 2.0
    targets = means = POSITIVE
    canonical, usual = Power(-1.0), Log()
    dispersion = None

    def variance(self, mean: Array) -> Array:
        """Return the mean's square."""
        return np.square(mean)

    def unit_deviance(self, y: Array, mean: Array) -> Array:
        """Return d."""
        ratio = y / mean
        deviance: Array = 2.0 * (ratio - 1.0 - np.log(ratio))
        return deviance

    def constant(self, y: Array) -> Array:
        """Return minus the logarithm of y."""
        return -np.log(y)

    def log_likelihood(self, totals: Totals, dispersion: float) -> float:
        """Return the gamma distribution's log-likelihood."""
        shape = 1.0 / dispersion
        each = shape * np.log(shape) - shape - special.gammaln(shape)
        return float(totals.constant - 0.5 * shape * totals.deviance + totals.weight * each)


@dataclass(frozen=True)
class InverseGaussian:
    r""":math:`V(\mu) = \mu^3` and :math:`d(y, \mu) = (y - \mu)^2 / (y \mu^2)`.

    Examples
    --------
    >>> InverseGaussian().unit_deviance(np.array([1.0]), np.array([2.0]))
    array([0.25])
    """

    power = 3.0
    targets = means = POSITIVE
    canonical, usual = Power(-2.0), Log()
    dispersion = None

    def variance(self, mean: Array) -> Array:
        """Return the mean's cube."""
        return np.power(mean, 3)

    def unit_deviance(self, y: Array, mean: Array) -> Array:
        """Return d."""
        deviance: Array = np.square(y / mean - 1.0) / y
        return deviance

    def constant(self, y: Array) -> Array:
        """Return what depends on y alone."""
        own: Array = -1.5 * np.log(y)
        return own

    def log_likelihood(self, totals: Totals, dispersion: float) -> float:
        """Return the inverse Gaussian distribution's log-likelihood."""
        scatter = totals.weight * np.log(2 * np.pi * dispersion)
        return float(totals.constant - 0.5 * (totals.deviance / dispersion + scatter))


@dataclass(frozen=True)
class Tweedie:
    r""":math:`V(\mu) = \mu^p`: sums of a random number of gamma variables where 1 < p < 2.

    .. math:: d(y, \mu) = 2 \Big(\frac{\max(y, 0)^{2 - p}}{(1 - p)(2 - p)}
              - \frac{y \mu^{1 - p}}{1 - p} + \frac{\mu^{2 - p}}{2 - p}\Big)

    B. Jørgensen 1987, "Exponential dispersion models". Powers of 0, 1, 2 and 3 are other families:
    `family_of_power` finds them.

    Parameters
    ----------
    power : float
        Below 0, or above 1.

    Examples
    --------
    >>> Tweedie(1.5).unit_deviance(np.array([0.0]), np.array([4.0]))
    array([8.])
    """

    power: float
    dispersion = None

    @property
    def targets(self) -> Interval:
        """Zero is possible below a power of 2, and what is below zero only for negative powers."""
        if self.power < 0:
            return ANY
        return NOT_NEGATIVE if self.power < 2 else POSITIVE

    @property
    def means(self) -> Interval:
        """Numbers above zero."""
        return POSITIVE

    @property
    def canonical(self) -> Link:
        """A power."""
        return Power(1.0 - self.power)

    @property
    def usual(self) -> Link:
        """The identity for negative powers, else the logarithm."""
        return Power(1.0) if self.power < 0 else Log()

    def variance(self, mean: Array) -> Array:
        """Return a power of the mean."""
        return np.power(mean, self.power)

    def unit_deviance(self, y: Array, mean: Array) -> Array:
        """Return d."""
        one, two = 1.0 - self.power, 2.0 - self.power
        own = np.power(np.maximum(y, 0.0), two) / (one * two)
        deviance = 2.0 * (own - y * np.power(mean, one) / one + np.power(mean, two) / two)
        return np.where(y == mean, 0.0, deviance)

    def constant(self, y: Array) -> Array:
        """Return NaN: it has no closed form."""
        return np.full_like(y, np.nan)

    def log_likelihood(self, totals: Totals, dispersion: float) -> float:
        """Return NaN: it has no closed form."""
        return float("nan")


@dataclass(frozen=True)
class Binomial:
    r""":math:`V(\mu) = \mu (1 - \mu)`: shares of successes; the weights are numbers of trials.

    .. math:: d(y, \mu) = 2 \Big(y \log \frac{y}{\mu} + (1 - y) \log \frac{1 - y}{1 - \mu}\Big)

    Examples
    --------
    >>> Binomial().unit_deviance(np.array([1.0]), np.array([0.5])).round(3)
    array([1.386])
    """

    targets = means = SHARE
    canonical = usual = Logit()
    dispersion = 1.0

    def variance(self, mean: Array) -> Array:
        """Return the variance of a success."""
        return mean * (1.0 - mean)

    def unit_deviance(self, y: Array, mean: Array) -> Array:
        """Return d."""
        return 2.0 * (_y_log_ratio(y, mean) + _y_log_ratio(1.0 - y, 1.0 - mean))

    def constant(self, y: Array) -> Array:
        """Return the log-likelihood of a mean of y, for one trial."""
        arrangements = special.gammaln(y + 1.0) + special.gammaln(2.0 - y)
        own: Array = special.xlogy(y, y) + special.xlogy(1.0 - y, 1.0 - y) - arrangements
        return own

    def log_likelihood(self, totals: Totals, dispersion: float) -> float:
        """Return the binomial log-likelihood."""
        return totals.constant - 0.5 * totals.deviance


@dataclass(frozen=True)
class NegativeBinomial:
    r""":math:`V(\mu) = \mu + \alpha \mu^2`: counts that vary more than Poisson's.

    .. math:: d(y, \mu) = 2 \Big(y \log \frac{y}{\mu}
              - (y + 1/\alpha) \log \frac{1 + \alpha y}{1 + \alpha \mu}\Big)

    J. M. Hilbe 2011, "Negative Binomial Regression".

    Parameters
    ----------
    alpha : float, default=1.0
        Above 0; towards 0 it becomes `Poisson`.

    Examples
    --------
    >>> NegativeBinomial(0.5).variance(np.array([2.0]))
    array([4.])
    """

    alpha: float = 1.0
    targets, means = NOT_NEGATIVE, POSITIVE
    canonical, usual = None, Log()
    dispersion = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.alpha < np.inf:
            raise ValueError(f"NegativeBinomial(alpha={self.alpha!r}): alpha must be above 0")

    def variance(self, mean: Array) -> Array:
        """Return V."""
        return mean + self.alpha * mean * mean

    def unit_deviance(self, y: Array, mean: Array) -> Array:
        """Return d."""
        ratio = np.log1p(self.alpha * y) - np.log1p(self.alpha * mean)
        deviance: Array = 2.0 * (_y_log_ratio(y, mean) - (y + 1.0 / self.alpha) * ratio)
        return deviance

    def constant(self, y: Array) -> Array:
        """Return the log-likelihood of a mean of y."""
        return of_counts(self._own, y)

    def _own(self, y: Array) -> Array:
        size = 1.0 / self.alpha
        arrangements = special.gammaln(y + size) - special.gammaln(size) - special.gammaln(y + 1.0)
        spread = (y + size) * np.log1p(self.alpha * y)
        own: Array = arrangements + special.xlogy(y, self.alpha * y) - spread
        return own

    def log_likelihood(self, totals: Totals, dispersion: float) -> float:
        """Return the negative binomial log-likelihood."""
        return totals.constant - 0.5 * totals.deviance


FAMILIES: dict[str, Family] = {
    "gaussian": Gaussian(),
    "binomial": Binomial(),
    "poisson": Poisson(),
    "gamma": Gamma(),
    "inverse_gaussian": InverseGaussian(),
    "negative_binomial": NegativeBinomial(),
}
OF_POWER: dict[float, Family] = {0: Gaussian(), 1: Poisson(), 2: Gamma(), 3: InverseGaussian()}


def family_of_power(power: float) -> Family:
    r"""Return the family whose variance is :math:`\mu^p`.

    Raises
    ------
    ValueError
        If there is none: for powers between 0 and 1.

    Examples
    --------
    >>> family_of_power(1.0), family_of_power(1.5)
    (Poisson(), Tweedie(power=1.5))
    """
    if 0 < power < 1:
        raise ValueError(f"power={power}: there is no such distribution between 0 and 1")
    return OF_POWER.get(power) or Tweedie(power)


def of_counts(function: Callable[[Array], Array], y: Array) -> Array:
    """Return a slow function of y; where these are small whole numbers, from a table.

    Examples
    --------
    >>> of_counts(special.gammaln, np.array([3.0, 1.0])).round(3)
    array([0.693, 0.   ])
    """
    if len(y) == 0 or not 0 <= y.max() < min(MOST_COUNTS, len(y)):
        return function(y)
    whole = y.astype(np.intp)
    if (whole != y).any() or whole.min() < 0:
        return function(y)
    return function(np.arange(whole.max() + 1.0))[whole]


def _y_log_ratio(y: Array, mean: Array) -> Array:
    """Return y log(y / mean), 0 where y is."""
    ratio: Array = y * (np.log(np.maximum(y, TINY)) - np.log(np.maximum(mean, TINY)))
    return ratio
