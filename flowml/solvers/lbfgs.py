"""L-BFGS: curvature from the last few steps, for smooth objectives of many parameters."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from flowml.kernels.fold import Fold
from flowml.kernels.linear_loss import LOSS_GRADIENT
from flowml.kernels.rows import Array
from flowml.kernels.several import Asks, Summaries, several
from flowml.solvers.descent import LEAST_SHARE, falls_enough, smooth_gradient
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

TRIALS = several([LOSS_GRADIENT] * len(FIRST_SHARES))


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
    steps, changes : ndarray of shape (n_kept, n_parameters)
        The last steps, and how the gradient changed along them.
    value, violation : float
        At `theta`; infinite before the first pass.
    n_iter : int
        Accepted steps.
    n_passes : int
    converged, stuck, separated : bool
    """

    theta: Array
    gradient: Array
    direction: Array
    shares: tuple[float, ...]
    steps: Array
    changes: Array
    value: float = np.inf
    violation: float = np.inf
    n_iter: int = 0
    n_passes: int = 0
    converged: bool = False
    stuck: bool = False
    separated: bool = False


@dataclass(frozen=True, eq=False)
class Lbfgs:
    r"""Step along :math:`-H g`, where H makes the last changes of the gradient of the last steps.

    A pass looks at the full step. Where its length is a guess, as there is nothing to remember or
    the full step was too long, a pass looks at several lengths at once and takes the best. A fit
    that comes from a sample brings its memory along, so that it seldom has to guess.

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
        theta, learned = self.start.theta, self.start.learned
        nothing, empty = np.zeros_like(theta), np.empty((0, theta.size))
        steps, changes = empty, empty
        if isinstance(learned, LbfgsState):
            steps, changes = learned.steps, learned.changes
        return LbfgsState(theta, nothing, nothing, (0.0,), steps, changes)

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
            empty = np.empty((0, state.theta.size))
            return state._replace(theta=self.start.otherwise, steps=empty, changes=empty)
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
        steps, changes = state.steps, state.changes
        if np.isfinite(state.value):
            new = (theta - state.theta).ravel(), (gradient - state.gradient).ravel()
            steps, changes = _remember(steps, changes, *new)
        direction = _direction(gradient.ravel(), steps, changes).reshape(theta.shape)
        promise = float(np.vdot(gradient, direction))
        violation = self.objective.violation(theta, evaluation)
        separated = evaluation.separated and not self.objective.is_penalised
        converged = violation <= self.tol and not separated
        return LbfgsState(
            theta,
            gradient,
            direction,
            (1.0,) if len(steps) else FIRST_SHARES,
            steps,
            changes,
            evaluation.value,
            violation,
            state.n_iter + 1,
            state.n_passes,
            converged,
            stuck=separated or (not converged and -promise <= FLAT * abs(evaluation.value)),
            separated=separated,
        )


def _trials(state: LbfgsState) -> list[Array]:
    return [state.theta + share * state.direction for share in state.shares]


def _value(tried: tuple[Evaluation, Any]) -> float:
    return tried[0].value


def _remember(steps: Array, changes: Array, step: Array, change: Array) -> tuple[Array, Array]:
    """Add a step that curves upwards, and forget the oldest of too many."""
    if step @ change <= STRAIGHT * np.sqrt((step @ step) * (change @ change)):
        return steps, changes
    return np.vstack([steps, step])[-KEPT:], np.vstack([changes, change])[-KEPT:]


def _direction(gradient: Array, steps: Array, changes: Array) -> Array:
    """Return minus the gradient times the inverse curvature, by the two loops of the paper."""
    direction = -gradient
    if len(steps) == 0:
        return direction
    bends = np.einsum("ij,ij->i", steps, changes)
    shares = np.zeros(len(steps))
    for i in reversed(range(len(steps))):
        shares[i] = steps[i] @ direction / bends[i]
        direction = direction - shares[i] * changes[i]
    direction = direction * (bends[-1] / (changes[-1] @ changes[-1]))
    for i in range(len(steps)):
        direction = direction + (shares[i] - changes[i] @ direction / bends[i]) * steps[i]
    return direction
