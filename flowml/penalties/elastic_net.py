"""The elastic net, of which ridge, lasso and bounds are special cases."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from flowml.penalties.penalty import Array


@dataclass(frozen=True)
class ElasticNet:
    r""":math:`P(b) = \sum_j l^{(1)}_j |b_j| + \tfrac{1}{2} l^{(2)}_j b_j^2`, within bounds.

    H. Zou & T. Hastie 2005, "Regularization and variable selection via the elastic net".

    Parameters
    ----------
    l1, l2 : float or ndarray broadcasting to (n_outputs, n_features), default=0
        At least 0.
    lower, upper : float or ndarray of that kind
        Bounds of the coefficients, with :math:`lower \le 0 \le upper` where `l1` is above 0.

    Examples
    --------
    >>> ElasticNet(l1=1.0).prox(np.array([3.0, -0.5]), 2.0)
    array([ 1., -0.])
    """

    l1: Any = 0.0
    l2: Any = 0.0
    lower: Any = -np.inf
    upper: Any = np.inf

    @cached_property
    def is_smooth(self) -> bool:
        """Whether there are neither absolute values nor bounds."""
        bounded = np.isfinite(self.lower).any() or np.isfinite(self.upper).any()
        return not (np.any(self.l1) or bounded)

    @property
    def quadratic(self) -> Any:
        """The factors of the squares."""
        return self.l2

    def value(self, coef: Array) -> float:
        """Return P, without regard to the bounds."""
        return float(np.sum(self.prices(coef)))

    def prices(self, coef: Array) -> Array:
        """Return each coefficient's part of P, without regard to the bounds."""
        prices: Array = self.l1 * np.abs(coef) + 0.5 * self.l2 * coef * coef
        return prices

    def prox(self, coef: Array, step: Any) -> Array:
        """Shrink towards zero, then into the bounds."""
        shrunken = np.sign(coef) * np.maximum(np.abs(coef) - step * self.l1, 0.0)
        return np.clip(shrunken / (1.0 + step * self.l2), self.lower, self.upper)

    def violation(self, coef: Array, gradient: Array) -> Array:
        """Return how fast the sum falls along each coordinate, in the better direction."""
        slope = gradient + self.l2 * coef
        if self.is_smooth:
            return np.abs(slope)
        falls_up = -(slope + np.where(coef < 0, -self.l1, self.l1))
        falls_down = slope + np.where(coef > 0, self.l1, -self.l1)
        falls_up = np.where(coef >= self.upper, 0.0, falls_up)
        falls_down = np.where(coef <= self.lower, 0.0, falls_down)
        falls: Array = np.maximum(np.maximum(falls_up, falls_down), 0.0)
        return falls

    def in_units(self, scale: Array) -> "ElasticNet":
        """Return the same price on coefficients multiplied by a scale."""
        return ElasticNet(
            self.l1 / scale, self.l2 / scale**2, self.lower * scale, self.upper * scale
        )

    def times(self, factor: float) -> "ElasticNet":
        """Return the price times a factor; the bounds stay."""
        return ElasticNet(self.l1 * factor, self.l2 * factor, self.lower, self.upper)
