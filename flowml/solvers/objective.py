"""What a linear model minimises: a mean loss and a penalty, over columns in comparable units."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from flowml.kernels.linear_loss import LossSums, Point, Target
from flowml.kernels.one_hot import Encoding
from flowml.kernels.rows import Array
from flowml.losses.loss import Loss
from flowml.penalties.penalty import Penalty

EXACT = 1e-13
"""Share of the predictor that its rounding comes to, generously."""


class Evaluation(NamedTuple):
    r"""The objective at a point, from the sums over the rows.

    Attributes
    ----------
    value : float
        Mean loss plus penalty; infinite where the loss overflows.
    gradient : ndarray of shape (n_outputs, n_features + 1)
        Of the mean loss alone.
    curvature : ndarray of shape (n_parameters, n_parameters) or None
        Of the mean loss alone.
    noise : float
        Root of the mean squared gradient of a row's loss: the unit of `Objective.violation`.
    separated : bool
        Whether every row is on the right side: without a penalty there is no minimum then.
    """

    value: float
    gradient: Array
    curvature: Array | None
    noise: float
    separated: bool


class Start(NamedTuple):
    """Where an iteration starts.

    Attributes
    ----------
    theta : ndarray of shape (n_outputs, n_features + 1)
    otherwise : ndarray of that shape
        Where it starts if the objective at `theta` turns out to be above the ceiling.
    ceiling : float
    learned : the last state of a solver on a sample, or None
        From which a solver of the same kind takes what it has learned of the curvature.
    rows : int
        Of that sample, where it tells the curvature of each column: 0 where columns may be rare.
    margins : callable ``theta -> Margins or None``, or None
        Tells about what the curvature is at a point, for solvers that make none.
    """

    theta: Array
    otherwise: Array
    ceiling: float
    learned: Any = None
    rows: int = 0
    margins: Callable[[Array], Any] | None = None

    def misleads(self, value: float) -> bool:
        """Tell from the objective at `theta` whether to start otherwise."""
        return not np.isfinite(value) or value > self.ceiling


@dataclass(frozen=True, eq=False)
class Objective:
    r"""Mean loss plus penalty, as a function of parameters in units of the columns' spread.

    .. math:: F(\theta) = \frac{1}{W} \sum_i w_i\, \ell(y_i, x_i b + a) + P(b)

    with :math:`\theta_j = s_j b_j` and, in the last place of each output, the predictor at the
    columns' center :math:`a + c^\top b`. Center and scale change how fast solvers get there, not
    where.

    Parameters
    ----------
    loss : Loss
    penalty : Penalty
        On the coefficients b, beside the mean loss; not on intercepts.
    target : Target
    center, scale : ndarray of shape (n_features,)
    fit_intercept : bool
        Without, `center` must be zero.
    encoding : Encoding or None
        What categorical columns mean, where there are any.
    """

    loss: Loss
    penalty: Penalty
    target: Target
    center: Array
    scale: Array
    fit_intercept: bool = True
    encoding: Encoding | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """The parameters' shape: (n_outputs, n_features + 1)."""
        return self.loss.n_outputs, len(self.center) + 1

    @cached_property
    def free(self) -> Array:
        """Which parameters may differ from zero."""
        free = np.ones(self.shape, dtype=bool)
        features = self.loss.n_outputs - self.loss.n_constants
        free[features:, :-1] = False
        free[:features, -1] = self.fit_intercept
        return free

    def point(self, theta: Array) -> Point:
        """Return what travels to the rows."""
        coef, intercept = self.coefficients(theta)
        return Point(self.loss, self.target, coef, intercept, self.center, self.encoding)

    def coefficients(self, theta: Array) -> tuple[Array, Array]:
        """Return coefficients and intercepts in the columns' own units."""
        coef = theta[:, :-1] / self.scale
        return coef, theta[:, -1] - coef @ self.center

    def parameters(self, coef: Array, intercept: Array) -> Array:
        """Return the parameters of coefficients and intercepts."""
        return np.column_stack([coef * self.scale, intercept + coef @ self.center])

    @property
    def is_penalised(self) -> bool:
        """Whether there is a penalty on every coefficient."""
        return bool(np.all(self.penalty.prox(np.ones(self.shape)[:, :-1], 1.0) < 1.0))

    @cached_property
    def price(self) -> Penalty:
        """The penalty, on parameters."""
        return self.penalty.in_units(self.scale)

    def evaluate(self, sums: LossSums, theta: Array) -> Evaluation:
        """Return value and derivatives at the point that the sums were asked for.

        Raises
        ------
        ValueError
            If the columns are so large that their squares overflow.
        """
        curvature = None
        if sums.curvature is not None:
            every = np.tile(np.append(self.scale, 1.0), self.loss.n_outputs)
            curvature = sums.curvature / (sums.weight * every[:, np.newaxis] * every)
        value = self.value(sums, self.price.value(theta[:, :-1]))
        if curvature is not None and np.isfinite(value) and not np.isfinite(curvature).all():
            raise ValueError(
                "the sums over the rows overflow float64: scale the columns down first"
            )
        return Evaluation(
            value,
            self.gradient(sums),
            curvature,
            noise(sums),
            sums.largest < self.loss.separation,
        )

    def value(self, sums: LossSums, price: float) -> float:
        """Return mean loss plus penalty, of which the latter is given; infinite on overflow."""
        value = sums.value / sums.weight + price
        return value if np.isfinite(value) else np.inf

    def gradient(self, sums: LossSums) -> Array:
        """Return the gradient of the mean loss by the parameters that may differ from zero."""
        gradient = sums.gradient / (sums.weight * np.append(self.scale, 1.0))
        gradient[~self.free] = 0.0
        return gradient

    def violation(self, theta: Array, evaluation: Evaluation) -> float:
        r"""Return how far a point is from the minimum: the steepest way down, without unit.

        .. math:: \max_j |\partial F / \partial \theta_j| \Big/
                  \sqrt{\textstyle\sum_i w_i \ell'_i{}^2 / W}

        Without a penalty that is the largest correlation, about the center, of a column with the
        loss's derivative: it means the same for every loss, solver, unit and number of rows.
        """
        steepest = self.steepest(theta, evaluation.gradient)
        return without_unit(steepest, evaluation.noise, _rounding(theta, evaluation))

    def steepest(self, theta: Array, gradient: Array) -> float:
        """Return the steepest way down from a point, by its gradient of the mean loss."""
        falls = self.price.violation(theta[:, :-1], gradient[:, :-1])
        return float(max(np.max(falls, initial=0.0), np.abs(gradient[:, -1]).max()))


def noise(sums: LossSums) -> float:
    """Return the root of the mean squared gradient of a row's loss."""
    return float(np.sqrt(sums.spread / sums.weight))


def without_unit(steepest: float, noise: float, rounding: float = 0.0) -> float:
    """Return a violation, from the steepest way down; 0 where both are nothing but rounding."""
    if max(noise, steepest) <= rounding:
        return 0.0
    return steepest / noise if noise > 0 else np.inf


def _rounding(theta: Array, evaluation: Evaluation) -> float:
    """Return how large slopes are of nothing but rounding: those left where every row is met."""
    if evaluation.curvature is None:
        return 0.0
    return float(EXACT * np.abs(evaluation.curvature).max() * np.abs(theta).max())


def in_order(theta: Array, values: Any, otherwise: float) -> Array:
    """Lay out a penalty's numbers for every parameter, with another for the intercepts."""
    laid = np.full(theta.shape, otherwise)
    laid[:, :-1] = values
    return laid.ravel()
