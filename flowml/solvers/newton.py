"""Newton's method with step control; with an elastic net, proximal Newton."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy import linalg

from flowml.kernels.fold import Fold
from flowml.kernels.linear_loss import LOSS_CURVATURE, LossSums, Point
from flowml.kernels.rows import Array
from flowml.penalties.elastic_net import ElasticNet
from flowml.penalties.penalty import Penalty
from flowml.solvers.coordinate_descent import minimise_quadratic
from flowml.solvers.descent import LEAST_SHARE, ROUNDING, falls_enough
from flowml.solvers.objective import Evaluation, Objective, Start, in_order
from flowml.solvers.separation import falls_for_ever, growing_columns, is_tail, slowing_of
from flowml.solvers.solver import Progress

SAFE_LAST_STEP = 1e-2
"""Violation from which Newton's method converges quadratically for certain."""
STILL_FALLING = 0.5
"""Share of the last violation below which steps help, though the value is flat to rounding."""
CAUTION = 0.1
"""What is foreseen may be wrong by a factor of ten."""
ROWS_PER_PARAMETER = 50
"""Of a sample: its curvature is then right to some 15 percent in every direction."""
MOST_BORROWED = 3
"""Passes that step with a sample's curvature: one that sums it up costs as much as two or three."""
SCALE_BEND = 1e-8
"""Relative curvature by which even a scale that only falls gets a step, if a large one."""
DOUBTFUL = 0.2
"""Fall of the slope along a step from which on that may be the tail, or still become one."""
COLLINEAR = 1e-12
"""Share of the largest eigenvalue below which a direction is taken to be flat."""


class NewtonState(NamedTuple):
    """Where the iteration stands.

    Attributes
    ----------
    theta : ndarray of shape (n_outputs, n_features + 1)
        The best point so far.
    step : ndarray of that shape
        From there to the point that the next pass looks at, in full length.
    share : float
        The share of the step to be tried.
    promise : float
        How much the objective falls at first along the full step, below zero.
    value : float
        At `theta`; infinite before the first pass.
    violation : float
        At `theta`, see `Objective.violation`.
    n_iter : int
        Accepted steps.
    n_passes : int
    converged, stuck : bool
    separated : bool
        Whether the steps would go on for ever, as there is no minimum.
    slowing : float
        The slope along the last step at its end, as a share of that at its beginning: near a
        minimum about 0, in the tail of a loss that falls for ever `Loss.tail`.
    growing : ndarray of shape (n_features,), bool, or None
        Columns whose coefficients grow for ever, where they separate some of the rows only.
    bends : bool
        Whether the next pass sums up the curvature.
    rate : float
        The violation, as a share of the one before; 0 where the step came from no curvature of all
        rows.
    seen : ndarray of the shape of `theta`, or None
        The last accepted point that a pass looked at.
    sums : LossSums or None
        What it saw there.
    """

    theta: Array
    step: Array
    share: float
    promise: float
    value: float
    violation: float
    n_iter: int
    n_passes: int
    converged: bool
    stuck: bool
    separated: bool = False
    slowing: float = 0.0
    growing: Array | None = None
    bends: bool = True
    rate: float = 0.0
    seen: Array | None = None
    sums: LossSums | None = None


@dataclass(frozen=True, eq=False)
class Newton:
    r"""Minimise the objective's second-order model, look whether the objective agrees, repeat.

    The step d minimises :math:`g^\top d + \tfrac{1}{2} d^\top H d + P(\theta + d)`, by Cholesky's
    factor where P is a sum of squares and else by coordinate descent. It is shortened until
    the objective falls by enough; every trial is a pass. For generalised linear models with their
    expected curvature this is iteratively reweighted least squares.

    A fit that comes from a sample large enough has the curvature near its first point already, to
    a few percent: that pass sums up the gradient alone, and its step is never the last. With
    `close` one or two more do so, where that brings the next foreseeably so close to the minimum
    that the curvature there is, but for little, that of the minimum.

    P. McCullagh & J. A. Nelder 1989, "Generalized Linear Models"; J. D. Lee, Y. Sun & M. A.
    Saunders 2014, "Proximal Newton-type methods for minimizing composite functions".

    Parameters
    ----------
    objective : Objective
    start : Start
    tol : float
        Stop at a violation of at most this.
    max_passes : int
    close : float, default=inf
        Violation at which a pass is close enough to the minimum for its curvature to count.
    """

    objective: Objective
    start: Start
    tol: float
    max_passes: int
    close: float = np.inf

    @property
    def fold(self) -> Fold:
        """Value, gradient and curvature."""
        return LOSS_CURVATURE

    def init(self) -> NewtonState:
        """Look at the start first."""
        theta = self.start.theta
        return NewtonState(
            theta,
            np.zeros_like(theta),
            1.0,
            0.0,
            np.inf,
            np.inf,
            0,
            0,
            converged=False,
            stuck=False,
            bends=self._borrowed is None,
        )

    def ask(self, state: NewtonState) -> Point:
        """Return the point to be tried."""
        point = self.objective.point(state.theta + state.share * state.step)
        return point._replace(bends=state.bends)

    def step(self, state: NewtonState, summary: LossSums) -> NewtonState:
        """Take the tried step and find the next, or try a shorter one."""
        if summary.weight == 0:
            raise ValueError("there is nothing to fit: no row, or none of a weight above zero")
        tried = state.theta + state.share * state.step
        evaluation = self.objective.evaluate(summary, tried)
        state = state._replace(n_passes=state.n_passes + 1)
        if state.n_passes == 1 and self.start.misleads(evaluation.value):
            return state._replace(theta=self.start.otherwise, bends=True)
        if not falls_enough(state.value, evaluation.value, state.share * state.promise):
            borrowed = state.sums is not None and state.sums.curvature is None
            if borrowed and state.share > 0.0:  # look at the best point again, for its own
                return state._replace(share=0.0, bends=True)
            # where half of a step is too long, so is most of it
            share = state.share / (2 if state.share == 1.0 else 8)
            nowhere = not np.isfinite(state.value)  # it is the start that was tried
            return state._replace(share=share, stuck=nowhere or share < LEAST_SHARE)
        violation = self.objective.violation(tried, evaluation)
        bends = evaluation.curvature is not None
        if not bends:
            evaluation = evaluation._replace(curvature=self._borrowed)
        step = model_step(self.objective, evaluation, tried, self.tol)
        promise = _promise(evaluation, self.objective.price, tried, step)
        separated = evaluation.separated and not self.objective.is_penalised
        # a last step that is sure to be good is taken without another pass to look at it
        bent = self._bent(state, tried, evaluation) if bends else violation
        after = _next_violation(state, violation, bent, self.objective.loss.expected_curvature)
        converged = bends and not separated and min(violation, after / CAUTION) <= self.tol
        slowing, growing = self._slowing(state, evaluation, step), None
        if converged and slowing > DOUBTFUL:
            loss = self.objective.loss
            converged, separated = False, is_tail(loss, state.slowing) and is_tail(loss, slowing)
            growing = growing_columns(state.step) if separated else None
        theta = tried + step if converged and violation <= SAFE_LAST_STEP else tried
        # values can't tell such points apart any more, but as long as gradients can it goes on
        hopeless = -promise <= ROUNDING * abs(evaluation.value)
        hopeless &= violation > STILL_FALLING * state.violation
        return NewtonState(
            theta,
            step,
            1.0,
            promise,
            evaluation.value,
            violation,
            state.n_iter + 1,
            state.n_passes,
            converged,
            stuck=separated or (not converged and hopeless),
            separated=separated,
            slowing=slowing,
            growing=growing,
            bends=bends or self._is_time_to_bend(state, violation),
            rate=violation / state.violation if _was_bent(state) else 0.0,
            seen=tried,
            sums=summary,
        )

    def done(self, state: NewtonState) -> bool:
        """Stop at the tolerance, at the limit, or where no step helps any more."""
        return state.converged or state.stuck or state.n_passes >= self.max_passes

    def progress(self, state: NewtonState) -> Progress:
        """Report the objective, and the violation that the tolerance is about."""
        return Progress(state.value, state.violation)

    @cached_property
    def _borrowed(self) -> Array | None:
        """The mean loss's curvature on the sample, where it is good enough for a step."""
        learned, theta = self.start.learned, self.start.theta
        if not isinstance(learned, NewtonState) or learned.sums is None:
            return None
        if self.start.rows < ROWS_PER_PARAMETER * theta.size:
            return None
        return self.objective.evaluate(learned.sums, theta).curvature

    def _is_time_to_bend(self, state: NewtonState, violation: float) -> bool:
        """Tell after a pass for the gradient whether the next is to sum up the curvature.

        Not yet where that is foreseen to be close after one more. The first step leaves about the
        root of the parameters' share of the sample's rows; each further one twice the share that
        the first has left, as what is left lies where the borrowed curvature is most wrong.
        """
        if state.n_passes == 1:
            rate = float(np.sqrt(self.start.theta.size / max(self.start.rows, 1)))
            next_ = rate * violation
        else:
            rate = violation / state.violation
            next_ = 2 * rate * violation
        return state.n_passes >= MOST_BORROWED or not 2 * rate * next_ <= self.close < next_

    def _bent(self, state: NewtonState, tried: Array, evaluation: Evaluation) -> float:
        """Return what of the violation comes from a curvature that changes along the last step.

        All of it where the step was made with the curvature at its beginning. Where it was made
        with another, by how much the gradient differs from what the curvature here makes of it.
        """
        violation = self.objective.violation(tried, evaluation)
        if state.sums is None or state.seen is None or state.sums.curvature is not None:
            return violation
        before = self.objective.evaluate(state.sums, state.seen).gradient
        straight = before.ravel() + evaluation.curvature @ (tried - state.seen).ravel()
        missed = np.abs(evaluation.gradient.ravel() - straight)[self.objective.free.ravel()]
        return min(violation, float(missed.max(initial=0.0)) / evaluation.noise)

    def _slowing(self, state: NewtonState, evaluation: Evaluation, step: Array) -> float:
        """Return `NewtonState.slowing` where it tells of separation."""
        if not falls_for_ever(self.objective) or state.share < 1.0 or state.promise == 0.0:
            return 0.0
        return slowing_of(evaluation, state.step, state.promise, step)


def _was_bent(state: NewtonState) -> bool:
    """Tell whether the step is made of a curvature of all rows."""
    return state.sums is not None and state.sums.curvature is not None and state.violation > 0


def _next_violation(
    state: NewtonState, violation: float, bent: float, expected_curvature: bool
) -> float:
    """Foresee the violation after one more step, from how quickly the last one has lowered it.

    Near the minimum what the curvature of one point misses grows with the square of the step; with
    a stand-in for the curvature the violation falls by the same factor each time.
    """
    if not np.isfinite(state.violation) or state.share < 1.0 or violation > SAFE_LAST_STEP:
        return np.inf
    factor = violation / state.violation
    return float(violation * factor if expected_curvature else bent * factor**2)


def model_step(objective: Objective, evaluation: Evaluation, theta: Array, tol: float) -> Array:
    """Return the step to the minimum of the second-order model."""
    H, g, penalty = evaluation.curvature, evaluation.gradient, objective.price
    assert H is not None
    kept = objective.free.ravel()
    if penalty.is_smooth:
        squares = in_order(theta, penalty.quadratic, 0.0)
        if objective.loss.shift_invariant:
            H = H + _gauge(H, squares.reshape(theta.shape))
        slope = (g.ravel() + squares * theta.ravel())[kept]
        bend = H[np.ix_(kept, kept)] + np.diag(squares[kept])
        step = np.zeros(theta.size)
        if objective.loss.n_constants:
            step[kept] = -_solve_with_scale(bend, slope, theta[-1, -1])
        else:
            step[kept] = -_solve(bend, slope)
        return step.reshape(theta.shape)
    if not isinstance(penalty, ElasticNet):
        raise TypeError(
            f"Newton's method takes elastic nets, not a {type(penalty).__name__}: "
            "use solver='fista'"
        )
    target = H @ theta.ravel() - g.ravel()
    prices = _prices(penalty, theta, kept)
    inner = 0.01 * tol * evaluation.noise
    best = minimise_quadratic(H, target, theta.ravel(), prices, inner)
    return best.reshape(theta.shape) - theta


def _promise(evaluation: Evaluation, penalty: Penalty, theta: Array, step: Array) -> float:
    """Return the fall of the model's first-order part and of the penalty along a step."""
    before, after = penalty.value(theta[:, :-1]), penalty.value((theta + step)[:, :-1])
    return float(np.vdot(evaluation.gradient, step) + after - before)


def _prices(penalty: ElasticNet, theta: Array, kept: Array) -> tuple[Array, Array, Array, Array]:
    """Lay out an elastic net for coordinate descent; a parameter that isn't free stays."""
    lower = in_order(theta, penalty.lower, -np.inf)
    upper = in_order(theta, penalty.upper, np.inf)
    fixed = theta.ravel()
    lower, upper = np.where(kept, lower, fixed), np.where(kept, upper, fixed)
    return in_order(theta, penalty.l1, 0.0), in_order(theta, penalty.l2, 0.0), lower, upper


def _gauge(H: Array, squares: Array) -> Array:
    """Bend the directions in which all outputs of a row shift together and that cost nothing."""
    n_outputs = len(squares)
    together = np.full((n_outputs, n_outputs), 1.0 / n_outputs)
    flat = np.diag((squares == 0.0).all(axis=0).astype(np.float64))
    return np.kron(together, flat) * (np.trace(H) / len(H))


def _solve(A: Array, b: Array) -> Array:
    """Solve a positive semidefinite system; of least norm where it is singular."""
    scale = np.sqrt(np.where(np.diag(A) > 0, np.diag(A), 1.0))
    scaled = A / scale / scale[:, np.newaxis]
    try:
        factor = linalg.cho_factor(scaled, lower=True)
        if np.diag(factor[0]).min() ** 2 > COLLINEAR * len(A):
            x: Array = linalg.cho_solve(factor, b / scale) / scale
            return x
    except linalg.LinAlgError:
        pass
    values, vectors = np.linalg.eigh(scaled)
    kept = values > COLLINEAR * len(A) * values[-1]
    return vectors[:, kept] @ (vectors[:, kept].T @ (b / scale) / values[kept]) / scale


def _solve_with_scale(A: Array, b: Array, scale: float) -> Array:
    """Solve, but let the last unknown change a scale by a factor of two at most.

    A loss that is fitted with its scale is linear along a ray where errors and scale shrink alike:
    without a limit the step would end at no scale at all, or, least norm, not move.
    """
    A = A.copy()
    A[-1, -1] *= 1.0 + SCALE_BEND
    x = _solve(A, b)
    held = float(np.clip(x[-1], -scale, 0.5 * scale))
    if held != x[-1]:
        x = np.append(_solve(A[:-1, :-1], b[:-1] - A[:-1, -1] * held), held)
    return x
