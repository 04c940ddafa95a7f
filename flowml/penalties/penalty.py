"""The penalty: what every price on coefficients looks like to the solvers."""

from typing import Any, Protocol, Self, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray[Any, Any]


class Penalty(Protocol):
    r"""A convex price P on coefficients, the sum of one for each, as data.

    A penalty's own parameters are numbers or arrays that broadcast to the coefficients' shape
    (n_outputs, n_features). Laws, held for every penalty by ``tests/test_penalties.py``: the
    proximal operator minimises what it says; `violation` is zero just where the coefficients
    minimise :math:`g^\top b + P(b)` to first order.
    """

    @property
    def is_smooth(self) -> bool:
        """Whether it is :math:`\\tfrac{1}{2} \\sum_j l_j b_j^2` and nothing else."""

    @property
    def quadratic(self) -> Any:
        r"""The factors :math:`l_j` of its smooth part, a number or an array."""

    def value(self, coef: Array) -> float:
        """Return P(coef)."""

    def prices(self, coef: Array) -> Array:
        """Return what each coefficient adds to P."""

    def prox(self, coef: Array, step: Any) -> Array:
        r"""Return :math:`\arg\min_b P(b) + \sum_j (b_j - c_j)^2 / (2 t_j)`."""

    def violation(self, coef: Array, gradient: Array) -> Array:
        r"""Return how fast :math:`g^\top b + P(b)` falls along each coordinate, 0 where optimal."""

    def in_units(self, scale: Array) -> Self:
        r"""Return the same price on coefficients :math:`s_j b_j`."""

    def times(self, factor: float) -> Self:
        """Return the price times a factor."""
