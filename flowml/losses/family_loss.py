"""A family and a link make one loss: half the unit deviance."""

from dataclasses import dataclass

import numba
import numpy as np
from scipy import special

from flowml.losses.elementary import exponential, logarithm
from flowml.losses.families import (
    Binomial,
    Family,
    Gamma,
    Gaussian,
    InverseGaussian,
    NegativeBinomial,
    Poisson,
    Tweedie,
)
from flowml.losses.links import Cloglog, Link, Log, Logit, Power, ProbabilityLink, Probit
from flowml.losses.logistic import LogisticLoss
from flowml.losses.loss import EXPONENTIAL, Array, Derivatives, contiguous

TINY = float(np.finfo(float).tiny)
EDGE = 1e-10
"""A constant prediction that is no mean, as all y are zero, is moved inside by this."""


@dataclass(frozen=True)
class FamilyLoss:
    r""":math:`\ell(y, \eta) = \tfrac{1}{2} d(y, \mu)` with :math:`\mu = g^{-1}(\eta)`.

    The gradient is :math:`(\mu - y)\, \mu' / V(\mu)` and the curvature Fisher's expected one,
    :math:`\mu'^2 / V(\mu)`. Where the family has no such mean the value is infinite.
    `family_loss` returns forms of it that can't overflow where there are any.

    P. McCullagh & J. A. Nelder 1989, "Generalized Linear Models".

    Parameters
    ----------
    family : Family
    link : Link

    Examples
    --------
    >>> from flowml.losses.links import Power
    >>> loss = FamilyLoss(Poisson(), Power(1.0))
    >>> loss.derivatives(np.array([2.0]), np.array([1.0])).gradient
    array([-1.])
    """

    family: Family
    link: Link
    n_outputs = 1
    n_constants = 0
    shift_invariant = False

    @property
    def separation(self) -> float:
        """There are no sides."""
        return 0.0

    @property
    def tail(self) -> float:
        """None that is known."""
        return 0.0

    @property
    def expected_curvature(self) -> bool:
        """Whether the link isn't the canonical one."""
        return self.link != self.family.canonical

    @property
    def takes_any_predictor(self) -> bool:
        """Whether every η has a mean that the family allows."""
        return type(self) is not FamilyLoss

    @property
    def nets_offsets(self) -> bool:
        """Whether `net_of` can take an offset out."""
        return isinstance(self.family, Gaussian) and self.link == Power(1.0)

    def net_of(self, y: Array, weight: Array, offset: Array) -> tuple[Array, Array]:
        """Return targets and weights with which a constant has the deviance that it has here.

        As `derivatives` of the constant plus the offset say it.
        """
        return (y - offset, weight) if self.nets_offsets else (y, weight)

    def derivatives(self, y: Array, eta: Array) -> Derivatives:
        """Return value, gradient and curvature."""
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            mean, slope = self.link.inverse(eta), self.link.slope(eta)
            low, high, _ = self.family.means
            half = 0.5 * self.family.unit_deviance(y, mean)
            value = np.where((mean > low) & (mean < high), half, np.inf)
            ratio = slope / self.family.variance(mean)
            return Derivatives(value, (mean - y) * ratio, slope * ratio)

    def constant(self, y: Array, weight: Array) -> Array:
        """Return the link of the mean."""
        return np.array([self.link.link(self._mean(y, weight))])

    def predictors(self, y: Array, weight: Array) -> Array:
        """Return predictors of means halfway between each row's target and that of all rows."""
        return self.link.link(0.5 * (y + self._mean(y, weight)))

    def _mean(self, y: Array, weight: Array) -> Array:
        low, high, _ = self.family.means
        mean = np.average(y, weights=weight)
        return np.asarray(mean if low < mean < high else np.clip(mean, low + EDGE, high - EDGE))


@dataclass(frozen=True)
class PowerLogLoss(FamilyLoss):
    r""":math:`V(\mu) = \mu^p` and :math:`\mu = e^\eta`: no power of μ itself is ever divided by.

    The gradient is :math:`e^{(2 - p) \eta} - y e^{(1 - p) \eta}`, the curvature the first of these.

    Parameters
    ----------
    family : Gaussian, Poisson, Gamma, InverseGaussian or Tweedie
    link : Log

    Examples
    --------
    >>> loss = PowerLogLoss(Gamma(), Log())
    >>> loss.derivatives(np.array([2.0]), np.array([800.0])).gradient
    array([1.])
    """

    family: Gaussian | Poisson | Gamma | InverseGaussian | Tweedie
    nets_offsets = True

    @property
    def tail(self) -> float:
        r"""That of :math:`e^{(2 - p) \eta}`, which targets of zero leave alone."""
        power = self.family.power
        return float(np.exp(power - 2.0)) if 1.0 <= power < 2.0 else 0.0

    def net_of(self, y: Array, weight: Array, offset: Array) -> tuple[Array, Array]:
        r"""Return :math:`y / e^o` and the weights times :math:`e^{(2 - p) o}`."""
        return y * np.exp(-offset), weight * np.exp((2.0 - self.family.power) * offset)

    def derivatives(self, y: Array, eta: Array) -> Derivatives:
        """Return value, gradient and curvature."""
        power = self.family.power
        if power == 1:
            found = Derivatives(*np.empty((3, len(eta))))
            derive_poisson(contiguous(y), contiguous(eta), *found)
            return found
        if power == 2:
            ratio = y * np.exp(-eta)
            return Derivatives(ratio - 1.0 + eta - np.log(y), 1.0 - ratio, np.ones_like(eta))
        one, two = 1.0 - power, 2.0 - power
        missed, mean_power = y * np.exp(one * eta), np.exp(two * eta)
        own = np.power(y if power == 0 else np.maximum(y, 0.0), two) / (one * two)
        value = own - missed / one + mean_power / two
        return Derivatives(value, mean_power - missed, mean_power)


@numba.njit(nogil=True, cache=True)
def derive_poisson(y: Array, eta: Array, value: Array, slope: Array, bend: Array) -> None:
    """Write value, gradient and curvature of a Poisson loss with the logarithm as link."""
    for i in range(len(eta)):
        mean = exponential(eta[i])
        value[i] = mean - y[i] - y[i] * (eta[i] - logarithm(max(y[i], TINY)))
        slope[i] = mean - y[i]
        bend[i] = mean


@dataclass(frozen=True)
class BinomialLoss(FamilyLoss):
    r""":math:`\ell(y, \eta) = -y \log \mu - (1 - y) \log (1 - \mu)`, less its least value.

    From logarithms of both probabilities, which keep their digits where μ is almost 0 or 1.

    Parameters
    ----------
    family : Binomial
    link : Logit, Probit or Cloglog
    labels : bool, default=False
        Whether no target is between 0 and 1, so that a predictor may make no mistake.

    Examples
    --------
    >>> BinomialLoss(Binomial(), Logit()).derivatives(np.array([1.0]), np.array([-800.0])).value
    array([800.])
    """

    family: Binomial
    link: ProbabilityLink
    labels: bool = False

    @property
    def tail(self) -> float:
        """That of either label's logarithm."""
        return EXPONENTIAL

    @property
    def separation(self) -> float:
        """The slope where both labels are as likely."""
        if not self.labels:
            return 0.0
        even = self.link.link(np.array([0.5]))
        return float(self.derivatives(np.zeros(1), even).gradient[0])

    def derivatives(self, y: Array, eta: Array) -> Derivatives:
        """Return value, gradient and curvature."""
        least = special.xlogy(y, y) + special.xlogy(1.0 - y, 1.0 - y)
        if isinstance(self.link, Logit):
            value, gradient, curvature = LogisticLoss().derivatives(y, eta)
            return Derivatives(value + least, gradient, curvature)
        log_yes, log_no, rise, fall = self.link.tails(eta)
        value = least - y * log_yes - (1.0 - y) * log_no
        return Derivatives(value, (1.0 - y) * fall - y * rise, rise * fall)


@dataclass(frozen=True)
class NegativeBinomialLogLoss(FamilyLoss):
    r""":math:`V(\mu) = \mu + \alpha \mu^2` and :math:`\mu = e^\eta`, from shares.

    With :math:`s = \alpha \mu / (1 + \alpha \mu)` the gradient is :math:`s / \alpha - y (1 - s)`
    and the curvature :math:`s / \alpha`.

    Parameters
    ----------
    family : NegativeBinomial
    link : Log

    Examples
    --------
    >>> loss = NegativeBinomialLogLoss(NegativeBinomial(0.5), Log())
    >>> loss.derivatives(np.array([3.0]), np.array([800.0])).gradient
    array([2.])
    """

    family: NegativeBinomial

    @property
    def tail(self) -> float:
        """That of zeros."""
        return EXPONENTIAL

    def derivatives(self, y: Array, eta: Array) -> Derivatives:
        """Return value, gradient and curvature."""
        alpha = self.family.alpha
        size, shifted = 1.0 / alpha, eta + np.log(alpha)
        share, rest = special.expit(shifted), special.expit(-shifted)
        own = special.xlogy(y, alpha * y) - (y + size) * np.log1p(alpha * y)
        value = own - (y + size) * special.log_expit(-shifted) - y * shifted
        return Derivatives(value, size * share - y * rest, size * share)


def family_loss(family: Family, link: Link) -> FamilyLoss:
    """Return the loss of a family and a link, in the form that is best to compute.

    Parameters
    ----------
    family : Family
    link : Link

    Examples
    --------
    >>> type(family_loss(Poisson(), Log())).__name__
    'PowerLogLoss'
    """
    powers = Gaussian | Poisson | Gamma | InverseGaussian | Tweedie
    if isinstance(link, Log) and isinstance(family, powers):
        return PowerLogLoss(family, link)
    if isinstance(link, Log) and isinstance(family, NegativeBinomial):
        return NegativeBinomialLogLoss(family, link)
    if isinstance(family, Binomial) and isinstance(link, Logit | Probit | Cloglog):
        return BinomialLoss(family, link)
    return FamilyLoss(family, link)
