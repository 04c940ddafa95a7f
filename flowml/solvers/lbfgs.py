"""L-BFGS: curvature from the last few steps, for smooth objectives of many parameters."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import blas

from flowml.kernels.fold import Fold
from flowml.kernels.linear_loss import LOSS_GRADIENT
from flowml.kernels.rows import Array
from flowml.kernels.several import Asks, Summaries, several
from flowml.solvers.descent import LEAST_SHARE, falls_enough, smooth_gradient
from flowml.solvers.margins import Margins
from flowml.solvers.objective import Evaluation, Objective, Start
from flowml.solvers.solver import Progress

KEPT = 20
"""Steps that are remembered."""
FIRST_SHARES = (4.0, 1.0, 0.25, 0.0625)
"""Of the gradient, while nothing is known of the curvature."""
SHORTER_SHARES = (0.5, 0.25, 0.125, 0.0625)
FLAT = 1e-18
"""A promised fall of this share of the value is less than gradients can tell."""
STRAIGHT = 1e-12
"""A step along which the gradient changes by less than this share teaches nothing."""
STEPS_BETWEEN = 5
"""Two looks at about what the curvature is."""

TRIALS = several([LOSS_GRADIENT] * len(FIRST_SHARES))


class Learned(NamedTuple):
    """A step, and what it tells of the curvature.

    Attributes
    ----------
    step, change : ndarray of shape (n_parameters,)
        How the gradient changed along the step.
    bend : float
        Their product, above zero.
    """

    step: Array
    change: Array
    bend: float


class LbfgsState(NamedTuple):
    """Where the iteration stands.

    Attributes
    ----------
    theta : ndarray of shape (n_outputs, n_features + 1)
        The best point so far.
    gradient : ndarray of that shape
        There, of the mean loss and the penalty.
    direction : ndarray of that shape
    shares : tuple of float
        Of the direction: the points that the next pass looks at.
    learned : tuple of Learned
        From the last steps, the oldest first.
    value, violation : float
        At `theta`; infinite before the first pass.
    n_iter : int
        Accepted steps.
    n_passes : int
    converged, stuck, separated : bool
    margins : Margins or None
        About the curvature, at one of the last few points.
    """

    theta: Array
    gradient: Array
    direction: Array
    shares: tuple[float, ...]
    learned: tuple[Learned, ...] = ()
    value: float = np.inf
    violation: float = np.inf
    n_iter: int = 0
    n_passes: int = 0
    converged: bool = False
    stuck: bool = False
    separated: bool = False
    margins: Margins | None = None


@dataclass(frozen=True, eq=False)
class Lbfgs:
    r"""Step along :math:`-H g`, where H makes the last changes of the gradient of the last steps.

    A pass looks at the full step. Where its length is a guess, as there is nothing to remember or
    the full step was too long, a pass looks at several lengths at once and takes the best. A fit
    that comes from a sample brings its memory along, so that it seldom has to guess. H begins with
    a number, or with the inverse of what the start tells about the curvature every few steps.

    D. C. Liu & J. Nocedal 1989, "On the limited memory BFGS method for large scale optimization",
    Mathematical Programming 45.

    Parameters
    ----------
    objective : Objective
        With a smooth penalty.
    start : Start
    tol : float
        Stop at a violation of at most this.
    max_passes : int
    """

    objective: Objective
    start: Start
    tol: float
    max_passes: int

    @property
    def fold(self) -> Fold:
        """Value and gradient, at one point or several."""
        return TRIALS

    def init(self) -> LbfgsState:
        """Look at the start first."""
        theta, before = self.start.theta, self.start.learned
        nothing = np.zeros_like(theta)
        learned = before.learned if isinstance(before, LbfgsState) else ()
        return LbfgsState(theta, nothing, nothing, (0.0,), learned)

    def ask(self, state: LbfgsState) -> Asks:
        """Return the points to be tried."""
        points = tuple(self.objective.point(tried) for tried in _trials(state))
        return Asks(tuple(range(len(points))), points)

    def step(self, state: LbfgsState, summary: Summaries) -> LbfgsState:
        """Take the best of the tried steps and find the next direction, or try shorter ones."""
        pairs = zip(summary.members, _trials(state), strict=False)
        tried = [(self.objective.evaluate(sums, theta), theta) for sums, theta in pairs]
        state = state._replace(n_passes=state.n_passes + 1)
        if state.n_passes == 1 and self.start.misleads(tried[0][0].value):
            return state._replace(theta=self.start.otherwise, learned=())
        slope = float(np.vdot(state.gradient, state.direction))
        good = [
            (evaluation, theta)
            for share, (evaluation, theta) in zip(state.shares, tried, strict=True)
            if falls_enough(state.value, evaluation.value, share * slope)
        ]
        if good:
            return self._accept(state, *min(good, key=_value))
        shares = tuple(state.shares[-1] * share for share in SHORTER_SHARES)
        return state._replace(shares=shares, stuck=shares[0] < LEAST_SHARE)

    def done(self, state: LbfgsState) -> bool:
        """Stop at the tolerance, at the limit, or where no step helps any more."""
        return state.converged or state.stuck or state.n_passes >= self.max_passes

    def progress(self, state: LbfgsState) -> Progress:
        """Report the objective, and the violation that the tolerance is about."""
        return Progress(state.value, state.violation)

    def _accept(self, state: LbfgsState, evaluation: Evaluation, theta: Array) -> LbfgsState:
        gradient = smooth_gradient(self.objective, theta, evaluation)
        learned = state.learned
        if np.isfinite(state.value):
            change = (gradient - state.gradient).ravel()
            learned = _remember(learned, (theta - state.theta).ravel(), change)
        margins = self._margins(state, theta)
        direction = _direction(gradient, learned, margins)
        promise = float(np.vdot(gradient, direction))
        violation = self.objective.violation(theta, evaluation)
        separated = evaluation.separated and not self.objective.is_penalised
        converged = violation <= self.tol and not separated
        return LbfgsState(
            theta,
            gradient,
            direction,
            (1.0,) if learned or margins else FIRST_SHARES,
            learned,
            evaluation.value,
            violation,
            state.n_iter + 1,
            state.n_passes,
            converged,
            stuck=separated or (not converged and -promise <= FLAT * abs(evaluation.value)),
            separated=separated,
            margins=margins,
        )

    def _margins(self, state: LbfgsState, theta: Array) -> Margins | None:
        """Look at about the curvature, first and every few steps."""
        if self.start.margins is None or state.n_iter % STEPS_BETWEEN > 0:
            return state.margins
        return self.start.margins(theta) or state.margins


def _trials(state: LbfgsState) -> list[Array]:
    return [state.theta + share * state.direction for share in state.shares]


def _value(tried: tuple[Evaluation, Any]) -> float:
    return tried[0].value


def _remember(learned: tuple[Learned, ...], step: Array, change: Array) -> tuple[Learned, ...]:
    """Add a step that curves upwards, and forget the oldest of too many."""
    bend = float(step @ change)
    if bend <= STRAIGHT * np.sqrt((step @ step) * (change @ change)):
        return learned
    return (*learned, Learned(step, change, bend))[-KEPT:]


def _direction(gradient: Array, learned: tuple[Learned, ...], margins: Margins | None) -> Array:
    """Return minus the gradient times the inverse curvature, by the two loops of the paper."""

    def first(flat: Array) -> Array:
        return flat if margins is None else margins.solve(flat.reshape(gradient.shape)).ravel()

    direction, shares = -gradient.ravel(), []
    for step, change, bend in reversed(learned):
        shares.append(float(step @ direction) / bend)
        direction = blas.daxpy(change, direction, a=-shares[-1])  # in place
    direction = first(direction)
    if learned:
        newest = learned[-1]
        direction *= newest.bend / float(newest.change @ first(newest.change))
    for step, change, bend in learned:
        share = shares.pop() - float(change @ direction) / bend
        direction = blas.daxpy(step, direction, a=share)
    return direction.reshape(gradient.shape)
