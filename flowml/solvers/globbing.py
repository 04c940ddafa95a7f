"""Losses of straight lines: rows near their kinks solved in memory, the others as one sum."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from flowml.kernels.fold import Fold
from flowml.kernels.near_kinks import NEAR_KINKS, KinkAsk, NearKinks
from flowml.kernels.rows import Array
from flowml.penalties.elastic_net import ElasticNet
from flowml.solvers.descent import LEAST_SHARE, falls_enough
from flowml.solvers.interior_point import GAP, KinkedProblem, minimise_kinks
from flowml.solvers.objective import Objective, in_order
from flowml.solvers.solver import Progress

NEAR_BYTES = 32 << 20
KINKS_PER_COLUMN = 4
"""Near kinks for each column at least: on so many as there are columns the minimum lies."""
MOST_COLUMNS = 4000
"""Beyond, the problem of the near rows is too large for memory."""
REACH = 8.0
"""How far a step may change a predictor, in widths."""
EDGE = 0.999
SHORTER = 0.5
"""What the next step is expected to be of this one, with a margin."""
TINY = float(np.finfo(np.float64).tiny)
DUST = 1e-12
"""Share of the largest parameter that is rounding."""
VANISHED = 1e-6
"""Share of the largest value below which a value is known to no more digits than that one."""
CONFIDENCE = 2.0
"""Standard errors within which a fit of all rows is expected from one of a sample."""


class GlobbingState(NamedTuple):
    """Where the iteration stands.

    Attributes
    ----------
    theta : ndarray of shape (1, n_features + 1)
        The best point so far.
    step : ndarray of that shape
        From there to the point that the next pass looks at, in full length.
    share : float
        The share of the step to be tried.
    promise : float
        How much the objective falls along the full step if no far kink is crossed; at most 0.
    value : float
        At `theta`; infinite before the first pass.
    bound : float
        The minimum is not below this.
    width : float
        How far from its kink a predictor counts as near.
    violation : float
        Value less bound, in units of the value.
    n_iter : int
        Accepted steps.
    n_passes : int
    converged, stuck, separated : bool
    largest : float
        The largest value so far.
    """

    theta: Array
    step: Array
    share: float
    promise: float
    value: float
    bound: float
    width: float
    violation: float
    n_iter: int
    n_passes: int
    converged: bool
    stuck: bool
    separated: bool = False
    largest: float = 0.0


@dataclass(frozen=True, eq=False)
class Globbing:
    r"""Minimise a mean of straight-lined losses and an elastic net to a duality gap.

    A pass gathers the kinks near the predictor. The loss of all others is taken to be straight, so
    that they are a single sum ("glob"); what is left is solved in memory, and the next pass looks
    whether a far kink was crossed. The straight lines lie below the loss, so the value that they
    promise is a lower bound of the minimum, and the gap between them says how good a point is.
    Usually the second pass finds it closed but for rounding.

    S. Portnoy & R. Koenker 1997, "The Gaussian hare and the Laplacian tortoise: computability of
    squared-error versus absolute-error estimators".

    Parameters
    ----------
    objective : Objective
        Its loss is a `KinkedLoss`, its penalty an `ElasticNet` without bounds.
    theta : ndarray of shape (1, n_features + 1)
        Where to start.
    width : float
        How far from its kink a predictor counts as near, at first; infinite for all that fit into
        memory.
    tol : float
        Stop at a gap of at most this share of the objective.
    max_passes : int
    precision : float
        Relative gap to which the problem of the near rows is solved.
    """

    objective: Objective
    theta: Array
    width: float
    tol: float
    max_passes: int
    precision: float = GAP

    @property
    def fold(self) -> Fold:
        """The value, and what is near."""
        return NEAR_KINKS

    def init(self) -> GlobbingState:
        """Look at the start first."""
        theta, nothing = self.theta, np.zeros_like(self.theta)
        return GlobbingState(
            theta, nothing, 1.0, 0.0, np.inf, -np.inf, self.width, np.inf, 0, 0, False, False
        )

    def ask(self, state: GlobbingState) -> KinkAsk:
        """Return the point to be tried."""
        point = self.objective.point(state.theta + state.share * state.step)
        return KinkAsk(point, state.width, most_near(self.objective))

    def step(self, state: GlobbingState, summary: NearKinks) -> GlobbingState:
        """Take the tried step and find the next, or try a shorter one and look farther."""
        if summary.weight == 0:
            raise ValueError("there is nothing to fit: no row, or none of a weight above zero")
        tried = state.theta + state.share * state.step
        price = self.objective.price.value(tried[:, :-1])
        value = summary.value / summary.weight + price
        state = state._replace(n_passes=state.n_passes + 1)
        if not falls_enough(state.value, value, state.share * state.promise):
            share = state.share / 2
            return state._replace(share=share, width=2.0 * state.width, stuck=share < LEAST_SHARE)
        largest = max(state.largest, abs(value))
        gap = relative_gap(value, state.bound, largest)
        if gap <= self.tol:
            return state._replace(theta=tried, value=value, violation=gap, converged=True)
        glob = _Glob(self.objective, tried, summary)
        step, fall, error = glob.minimise(self.precision)
        limited = glob.is_limited(step)
        bound = state.bound if limited else max(state.bound, value + fall - error)
        promise, is_lowest = fall, fall >= 0.0
        if summary.n_far == 0:  # no line was taken to be straight: this is the minimum
            tried, value = tried + step, value + fall
            step, promise = np.zeros_like(step), 0.0
        gap = relative_gap(value, bound, largest)
        return GlobbingState(
            tried,
            step,
            1.0,
            promise,
            value,
            bound,
            glob.next_width(step, state.width, limited),
            gap,
            state.n_iter + 1,
            state.n_passes,
            gap <= self.tol,
            is_lowest and gap > self.tol,
            largest=largest,
        )

    def done(self, state: GlobbingState) -> bool:
        """Stop at the tolerance, at the limit, or where no step helps any more."""
        return state.converged or state.stuck or state.n_passes >= self.max_passes

    def progress(self, state: GlobbingState) -> Progress:
        """Report the objective, and the gap that the tolerance is about."""
        return Progress(state.value, state.violation)


def most_near(objective: Objective) -> int:
    """Return how many kinks are gathered at most."""
    columns = objective.shape[1]
    return max(KINKS_PER_COLUMN * columns, NEAR_BYTES // (8 * columns))


def relative_gap(value: float, bound: float, largest: float) -> float:
    """Return how far a value can be above the minimum, in units of the value.

    A value that has all but vanished beside the largest counts as what rounding leaves of that.
    """
    return float(max(value - bound, 0.0) / max(abs(value), VANISHED * largest, TINY))


def width_around(objective: Objective, near: NearKinks) -> float:
    """Return how far off a sample's predictors may be: so near lie the kinks that may be crossed.

    With n rows and p columns an estimate by straight lines is off by as much as the kinks of a
    share :math:`\\sqrt{p / n}` of the rows, whatever the distribution.
    """
    share = CONFIDENCE * np.sqrt(np.count_nonzero(objective.free) / max(len(near.gap), 1))
    return float(np.quantile(np.abs(near.gap), min(share, 1.0))) if len(near.gap) else np.inf


@dataclass(frozen=True, eq=False)
class _Glob:
    """The objective around a point, with straight lines for the far kinks.

    Unknown is the step, in the objective's units.
    """

    objective: Objective
    theta: Array
    near: NearKinks

    def minimise(self, precision: float) -> tuple[Array, float, float]:
        """Return the step to the minimum, how much lower that is, and how well that is known."""
        problem = self._problem()
        x, error = minimise_kinks(problem, precision)
        step = np.zeros(self.theta.size)
        step[self._free] = self._without_dust(x)
        fall = problem.value(x) - problem.value(np.zeros_like(x))
        return step.reshape(self.theta.shape), fall, error

    def _without_dust(self, x: Array) -> Array:
        """Return a step to zero itself where a price on absolute values leads there."""
        theta, l1 = self.theta.ravel()[self._free], self._prices[0]
        end = theta + x
        dust = DUST * max(np.abs(theta).max(initial=0.0), np.abs(x).max(initial=0.0))
        return np.where((l1 > 0) & (np.abs(end) <= dust), -theta, x)

    def is_limited(self, step: Array) -> bool:
        """Tell whether the step goes as far as it is allowed to."""
        return bool(np.abs(step).max(initial=0.0) > EDGE * self._reach)

    def next_width(self, step: Array, width: float, limited: bool) -> float:
        """Return how far the next point's kinks count as near: steps get shorter quickly."""
        if limited:
            return 2.0 * width
        moved = self._columns @ step.ravel()[self._free]
        usual = float(np.sqrt(np.mean(moved * moved))) if len(moved) else 0.0
        return min(width, SHORTER * usual) or width

    @cached_property
    def _free(self) -> Array:
        return self.objective.free.ravel()

    @cached_property
    def _prices(self) -> tuple[Array, Array]:
        """The prices on absolute values and squares of the free parameters."""
        price = self.objective.price
        assert isinstance(price, ElasticNet)
        l1, l2 = (in_order(self.theta, part, 0.0)[self._free] for part in (price.l1, price.l2))
        return l1, l2

    @cached_property
    def _columns(self) -> Array:
        """The near rows, in the units of the parameters."""
        columns: Array = (self.near.Z / np.append(self.objective.scale, 1.0))[:, self._free]
        return columns

    @cached_property
    def _reach(self) -> float:
        """How far a parameter may move: without end where no line was taken to be straight."""
        if self.near.n_far == 0:
            return np.inf
        return REACH * float(np.abs(self.near.gap).max(initial=TINY))

    def _problem(self) -> KinkedProblem:
        """Lay out the near kinks, and those of the penalty and of the limits of the step."""
        near, theta, (l1, l2) = self.near, self.theta.ravel()[self._free], self._prices
        units = np.append(self.objective.scale, 1.0)
        slope = (near.slope / units)[self._free] / near.weight + l2 * theta
        below, above = near.below / near.weight, near.above / near.weight
        one, priced = np.eye(len(theta)), l1 > 0
        groups = [(self._columns, near.gap, below, above)]
        groups.append((one[priced], -theta[priced], l1[priced], l1[priced]))
        if np.isfinite(self._reach):
            steepest = (below + above) @ np.abs(self._columns) + np.abs(slope) + l1
            steep = 2.0 * (steepest + l2 * self._reach) + TINY
            none, edge = np.zeros_like(steep), np.full_like(steep, self._reach)
            groups += [(one, edge, none, steep), (one, -edge, steep, none)]
        return KinkedProblem(slope, l2, *map(np.concatenate, zip(*groups, strict=True)))
