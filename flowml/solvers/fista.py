"""FISTA: accelerated proximal gradients, for penalties with kinks on many parameters."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from flowml.kernels.fold import Fold
from flowml.kernels.linear_loss import LOSS_GRADIENT, LossSums
from flowml.kernels.rows import Array
from flowml.kernels.several import Asks, Summaries, several
from flowml.solvers.descent import LEAST_LENGTH, ROUNDING, Place, bend_between
from flowml.solvers.objective import Evaluation, Objective, Start
from flowml.solvers.solver import Progress

SHORTER = 0.95
"""Share of the longest step that the last curvature allows."""
LONGER = 1.2

PAIR = several([LOSS_GRADIENT] * 2)


class FistaState(NamedTuple):
    """Where the iteration stands.

    Attributes
    ----------
    best : Place
        The last accepted point.
    base : Place
        Where the last proximal step started: `best`, carried on by momentum.
    tried : ndarray of shape (n_outputs, n_features + 1)
        Where it ended; the next pass looks there.
    momentum : float
        Its number t of the paper; 1 without.
    length : float
        Of the steps.
    value, violation : float
        At `best`; infinite before the first pass.
    n_iter : int
        Accepted steps.
    n_passes : int
    converged, stuck, separated : bool
    """

    best: Place
    base: Place
    tried: Array
    momentum: float
    length: float
    value: float = np.inf
    violation: float = np.inf
    n_iter: int = 0
    n_passes: int = 0
    converged: bool = False
    stuck: bool = False
    separated: bool = False

    @property
    def theta(self) -> Array:
        """The best point so far."""
        return self.best.theta


@dataclass(frozen=True, eq=False)
class Fista:
    r"""Proximal gradient steps :math:`\mathrm{prox}_{tP}(\theta - t g)` from a point ahead.

    The momentum is dropped where it leads upwards. A pass looks at two points, at the end of the
    step and ahead of it, so that a step that turns out too long, or a restart, costs one pass like
    any other step. The length follows the curvature that was met.

    A. Beck & M. Teboulle 2009, "A fast iterative shrinkage-thresholding algorithm for linear
    inverse problems"; restarts by B. O'Donoghue & E. Candès 2015, "Adaptive restart for
    accelerated gradient schemes"; lengths as S. Becker, E. Candès & M. Grant 2011, "Templates for
    convex cone problems".

    Parameters
    ----------
    objective : Objective
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
        """Value and gradient at two points."""
        return PAIR

    def init(self) -> FistaState:
        """Look at the start first."""
        theta, learned = self.start.theta, self.start.learned
        length = learned.length if isinstance(learned, FistaState) else 1.0
        nowhere = Place(theta, np.zeros_like(theta), np.inf)
        return FistaState(nowhere, nowhere, theta, 1.0, length)

    def ask(self, state: FistaState) -> Asks:
        """Return the point to be tried, and the one ahead where that is another."""
        alone = state.momentum == 1.0
        thetas = [state.tried] if alone else [state.tried, _carried_on(state)]
        return Asks(tuple(range(len(thetas))), tuple(map(self.objective.point, thetas)))

    def step(self, state: FistaState, summary: Summaries) -> FistaState:
        """Accept the tried point and step on from ahead, or step again, shorter or without."""
        sums = summary.members[0]
        evaluation = self.objective.evaluate(sums, state.tried)
        tried = Place(state.tried, evaluation.gradient, sums.value / sums.weight)
        state = state._replace(n_passes=state.n_passes + 1)
        if not np.isfinite(state.value):
            return self._begin(state, tried, evaluation)
        bend = bend_between(state.base, tried)
        if not bend * state.length <= 1.0:
            return self._shorten(state, bend)
        if evaluation.value > state.value + ROUNDING * abs(state.value):
            upwards = state._replace(stuck=state.momentum == 1.0)
            return self._proceed(upwards, state.best, 1.0)
        room = SHORTER / (bend * state.length) if bend > 0.0 else LONGER
        accepted = self._accept(state, tried, evaluation)
        accepted = accepted._replace(length=state.length * max(1.0, min(LONGER, room)))
        backwards = np.vdot(state.base.theta - tried.theta, tried.theta - state.theta) > 0.0
        ahead = (tried, 1.0) if backwards else self._ahead(state, tried, summary.members[1])
        return self._proceed(accepted, *ahead)

    def done(self, state: FistaState) -> bool:
        """Stop at the tolerance, at the limit, or where no step helps any more."""
        return state.converged or state.stuck or state.n_passes >= self.max_passes

    def progress(self, state: FistaState) -> Progress:
        """Report the objective, and the violation that the tolerance is about."""
        return Progress(state.value, state.violation)

    def _begin(self, state: FistaState, tried: Place, evaluation: Evaluation) -> FistaState:
        if state.n_passes == 1 and self.start.misleads(evaluation.value):
            return state._replace(tried=self.start.otherwise)
        return self._proceed(self._accept(state, tried, evaluation), tried, 1.0)

    def _shorten(self, state: FistaState, bend: float) -> FistaState:
        """Take the step again, as short as the curvature along it asks for."""
        length = min(state.length / 2, SHORTER / bend) if np.isfinite(bend) else state.length / 8
        shorter = state._replace(length=length, stuck=length < LEAST_LENGTH)
        return self._proceed(shorter, state.base, state.momentum)

    def _accept(self, state: FistaState, tried: Place, evaluation: Evaluation) -> FistaState:
        violation = self.objective.violation(tried.theta, evaluation)
        separated = evaluation.separated and not self.objective.is_penalised
        return state._replace(
            best=tried,
            value=evaluation.value,
            violation=violation,
            n_iter=state.n_iter + 1,
            converged=violation <= self.tol and not separated,
            stuck=separated,
            separated=separated,
        )

    def _ahead(self, state: FistaState, tried: Place, sums: LossSums | None) -> tuple[Place, float]:
        """Return what the pass has found ahead of the tried point, and the momentum from there.

        The first step ends in the place ahead of it: the momentum begins with it.
        """
        if sums is None:
            return tried, _next(state.momentum)
        if not np.isfinite(sums.value):
            return tried, 1.0
        theta = _carried_on(state)
        gradient = self.objective.evaluate(sums, theta).gradient
        return Place(theta, gradient, sums.value / sums.weight), _next(state.momentum)

    def _proceed(self, state: FistaState, base: Place, momentum: float) -> FistaState:
        """Take the proximal step from a base."""
        tried = base.theta - state.length * base.gradient
        tried[:, :-1] = self.objective.price.prox(tried[:, :-1], state.length)
        return state._replace(base=base, tried=tried, momentum=momentum)


def _next(momentum: float) -> float:
    return float(0.5 + np.sqrt(0.25 + momentum**2))


def _carried_on(state: FistaState) -> Array:
    """Return the point ahead of the tried one."""
    share = (state.momentum - 1.0) / _next(state.momentum)
    ahead: Array = state.tried + share * (state.tried - state.theta)
    return ahead
