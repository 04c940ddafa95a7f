"""Delays: how much a worker's time varies from pass to pass, as one of two distributions."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from flowml.kernels.rows import Array

SMALLEST = 1e-9
"""Times that differ by less than this share differ by this share."""


class Delays(Protocol):
    """A distribution of times."""

    @property
    def name(self) -> str:
        """What to call it in a log."""

    def log_likelihood(self, times: Array) -> float:
        """Return the logarithm of the density of all times together."""

    def quantiles(self, levels: Array) -> Array:
        """Return the times below which the given shares of all times are."""


@dataclass(frozen=True)
class ShiftedExponential:
    r"""What can't be hurried, and a delay: :math:`t = a + E`, E exponential.

    Parameters
    ----------
    least : float
        :math:`a`
    mean_delay : float

    Examples
    --------
    >>> ShiftedExponential.fitted(np.array([1.0, 1.5, 3.5]))
    ShiftedExponential(least=1.0, mean_delay=1.0)
    """

    least: float
    mean_delay: float
    name = "a shifted exponential"

    @classmethod
    def fitted(cls, times: Array) -> "ShiftedExponential":
        """Return the one of maximum likelihood."""
        least = float(times.min())
        return cls(least, max(float(times.mean()) - least, SMALLEST * least))

    def log_likelihood(self, times: Array) -> float:
        """Sum the logarithms of the density."""
        delays = (times - self.least) / self.mean_delay
        return float(-len(times) * np.log(self.mean_delay) - delays.sum())

    def quantiles(self, levels: Array) -> Array:
        """Invert the distribution function."""
        times: Array = self.least - self.mean_delay * np.log1p(-levels)
        return times


@dataclass(frozen=True)
class Pareto:
    r"""A heavy tail: :math:`P(T > t) = (a / t)^\alpha`.

    Parameters
    ----------
    least : float
        :math:`a`
    shape : float
        :math:`\alpha`; the smaller, the heavier.

    Examples
    --------
    >>> Pareto.fitted(np.exp([0.0, 0.0, 3.0]))
    Pareto(least=1.0, shape=1.0)
    """

    least: float
    shape: float
    name = "a Pareto distribution"

    @classmethod
    def fitted(cls, times: Array) -> "Pareto":
        """Return the one of maximum likelihood."""
        least = float(times.min())
        return cls(least, 1.0 / max(float(np.log(times / least).mean()), SMALLEST))

    def log_likelihood(self, times: Array) -> float:
        """Sum the logarithms of the density."""
        density = np.log(self.shape / self.least) - (self.shape + 1.0) * np.log(times / self.least)
        return float(density.sum())

    def quantiles(self, levels: Array) -> Array:
        """Invert the distribution function."""
        times: Array = self.least * (1.0 - levels) ** (-1.0 / self.shape)
        return times


def fitted(times: Array) -> Delays:
    """Return the more likely of a shifted exponential and a Pareto distribution.

    Parameters
    ----------
    times : ndarray of shape (n_times,)
        Above 0.

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> fitted(1.0 + random.exponential(0.1, 100)).name
    'a shifted exponential'
    >>> fitted(1.0 + random.pareto(1.5, 100)).name
    'a Pareto distribution'
    """
    both: tuple[Delays, ...] = (ShiftedExponential.fitted(times), Pareto.fitted(times))
    return max(both, key=lambda delays: delays.log_likelihood(times))
