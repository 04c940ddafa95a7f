"""Stochastic gradient descent with averaging: an epoch is a pass."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from flowml.kernels.fold import Fold
from flowml.kernels.linear_loss import LOSS_GRADIENT, LossSums, Point
from flowml.kernels.rows import Array, Block
from flowml.kernels.several import Asks, Summaries, several
from flowml.kernels.sparse_epoch import Lean
from flowml.kernels.stochastic import BATCH_ROWS, EPOCH, EpochAsk, EpochSums, Lengths
from flowml.solvers.column_totals import Totals, block_sums
from flowml.solvers.objective import Objective, noise, without_unit
from flowml.solvers.solver import Progress

RUNAWAY = 2.0
"""Times the objective at the start: where steps that are too long have led."""
SHORTER = 5.0
SHORTEST = 1e-6
MOST_RESTARTS = 9
"""With steps that much shorter each time."""
POWER_STEPS = 20

ALONG_COLUMNS = frozenset(
    {"coef", "center", "scale", "free", "start", "l1", "l2", "lower", "upper", "share", "slant"}
    | {"gradient", "move", "mean", "theta", "last"}
)
"""Fields of asks, summaries, states and the solver with a number for each column."""
FOLD = several([LOSS_GRADIENT, EPOCH])


class Schedule(NamedTuple):
    """How the steps' lengths go, and when to stop.

    Attributes
    ----------
    first : float
    power : float
        By which lengths fall with the epochs.
    adaptive : bool
        Whether they are cut where an epoch doesn't help, instead of stopping.
    patience : int
        Epochs in turn that may fail to help.
    average : bool
        Whether the result is the mean of the steps rather than the last.
    seed : int or None
        Shuffles the rows; None leaves them in order.
    begun : int
        Epochs that lie behind.
    local : int or None
        Epochs that a leaf goes through between two averages; None for all there are to be.
    """

    first: float
    power: float
    adaptive: bool
    patience: int
    average: bool
    seed: int | None
    begun: int = 0
    local: int | None = 1


class SgdState(NamedTuple):
    """Where the descent stands.

    Attributes
    ----------
    theta : ndarray of shape (n_outputs, n_features + 1)
        The result so far; the next pass looks at it.
    last : ndarray of that shape
        Where the next epoch starts.
    at_theta, at_last, at_start : ndarray of shape (n_outputs,)
        What all columns of these, and of where the first epoch starts, add to the predictor at
        their center.
    square : float
        Sum of the squares of all columns' center over their scale.
    length : float
        Share of the schedule's lengths.
    first, best : float
        The objective at the start, and the lowest so far.
    idle : int
        Epochs in turn without a lower one.
    value, violation : float
        At the result before; infinite at first.
    n_iter, n_passes : int
    converged, stuck, separated : bool
    """

    theta: Array
    last: Array
    at_theta: Array
    at_last: Array
    at_start: Array
    square: float
    length: float = 1.0
    first: float = np.inf
    best: float = np.inf
    idle: int = 0
    value: float = np.inf
    violation: float = np.inf
    n_iter: int = 0
    n_passes: int = 0
    converged: bool = False
    stuck: bool = False
    separated: bool = False


@dataclass(frozen=True, eq=False)
class Sgd:
    r"""Each leaf steps down the gradients of a few rows at a time; leaves are averaged by weight.

    .. math:: \theta \leftarrow \mathrm{prox}_{tP}\Big(\theta - \frac{t}{m} \sum_{i \in batch}
              \frac{w_i}{\bar w} \nabla \ell_i(\theta)\Big)

    An epoch starts from the same point on every leaf and ends in the leaves' mean along the merge
    tree, so the result depends on the leaves but not on who holds them. Several epochs between two
    means, in one pass, are local SGD. The result is the mean of all steps, later epochs counting
    more. The pass of an epoch looks at the result of those before on the way: it stops at the
    tolerance, or where the objective has not fallen by such a share for a few passes in turn.
    Where there is one mean only, each leaf goes on until an epoch moves its own result by no more
    than the tolerance, and a second pass looks at their mean.

    B. T. Polyak & A. B. Juditsky 1992, "Acceleration of stochastic approximation by averaging";
    M. Zinkevich, M. Weimer, A. Smola & L. Li 2010, "Parallelized stochastic gradient descent";
    S. U. Stich 2019, "Local SGD converges fast and communicates little"; for a single mean
    Y. Zhang, J. C. Duchi & M. J. Wainwright 2013, "Communication-efficient algorithms for
    statistical optimization".

    Parameters
    ----------
    objective : Objective
    start : ndarray of shape (n_outputs, n_features + 1)
    tol : float
        Stop at a violation of at most this, or a fall of the objective by a share of less.
    max_epochs : int
    schedule : Schedule
    share : ndarray of shape (n_features,), or None
        For CSR rows, by weight, that of the rows which store a column: steps move those columns.
    """

    objective: Objective
    start: Array
    tol: float
    max_epochs: int
    schedule: Schedule
    share: Array | None = None

    @property
    def max_passes(self) -> int:
        """A few epochs each; for a single mean one pass, and one that looks at it.

        The former may have to begin again with shorter steps.
        """
        return 2 + MOST_RESTARTS if self._is_single else -(-self.max_epochs // self.n_local)

    @property
    def n_local(self) -> int:
        """Most epochs of a pass."""
        return self.max_epochs if self.schedule.local is None else self.schedule.local

    takes_estimates = True

    @property
    def along_columns(self) -> frozenset[str]:
        """What CSR rows need for the columns that they store only, and how the state is cut."""
        return frozenset() if self.share is None or self._is_single else ALONG_COLUMNS

    @property
    def n_columns(self) -> int:
        """Coefficients of an output."""
        return len(self.objective.center)

    @property
    def fold(self) -> Fold:
        """Value and gradient at the result so far, and an epoch."""
        return FOLD

    def init(self) -> SgdState:
        """Start."""
        slant = self._slant
        with np.errstate(over="ignore", invalid="ignore"):  # the first pass names such columns
            at_start = block_sums(self.start[:, :-1] * slant).sum(axis=-1)
            square = float(block_sums(slant * slant).sum())
        return SgdState(self.start, self.start, at_start, at_start, at_start, square)

    def ask(self, state: SgdState) -> Asks:
        """Return the result so far, and where the next epoch starts."""
        point = self._point(state)
        if self._is_single and state.n_iter > 0:
            return Asks((0,), (point,))
        epoch = EpochAsk(
            point,
            self.objective.scale,
            self.objective.free,
            state.last,
            self.objective.price,
            Lengths(
                state.length * self.schedule.first,
                self.epochs(state),
                self.schedule.power,
            ),
            self.schedule.seed,
            self.n_local,
            self.tol if self._is_single else 0.0,
            self._lean(state),
        )
        return Asks((0, 1), (point, epoch))

    def step(self, state: SgdState, summary: Summaries) -> SgdState:
        """Judge the result so far, and add the epoch to it."""
        return self.step_with(state, summary, self.totals(state, summary))

    def totals(self, state: SgdState, summary: Summaries) -> Totals:
        """Return what a step must know of all columns, for those that are here.

        Sums of the penalty, and of what the next result and start add to the predictor at the
        columns' center; the steepest way down from the result so far, and the largest parameter.
        """
        sums, epoch = summary.members
        price, slant = self.objective.price, self._slant
        with np.errstate(over="ignore", invalid="ignore"):  # of steps that are too long
            gradient = self.objective.gradient(self._centred(sums))
            steepest = self.objective.steepest(state.theta, gradient)
            theta, last = (state.theta, state.last) if epoch is None else self._led(state, epoch)
            each = (price.prices(state.theta[:, :-1]), theta[:, :-1] * slant, last[:, :-1] * slant)
            return Totals(block_sums(np.stack(each)), np.array([steepest, np.abs(last).max()]))

    def step_with(self, state: SgdState, summary: Summaries, totals: Totals) -> SgdState:
        """Step the columns that are here, with the totals of all."""
        sums, epoch = summary.members
        with np.errstate(over="ignore", invalid="ignore"):
            prices, at_theta, at_last = totals.sums.sum(axis=-1)
            value = self.objective.value(sums, float(prices.sum()))
        steepest, largest = totals.largest.tolist()
        violation = without_unit(steepest, noise(sums))
        first = min(state.first, value) if state.n_iter == 0 else state.first
        if value > RUNAWAY * first or not np.isfinite(largest):
            return self._shorten(state, first)
        if epoch is None:
            return state._replace(
                value=value, violation=violation, n_passes=state.n_passes + 1, converged=True
            )
        theta, last = self._led(state, epoch)
        if violation <= self.tol:
            theta, at_theta = state.theta, state.at_theta
        idle = 0 if value < state.best - self.tol * abs(state.best) else state.idle + 1
        tired = idle >= self.schedule.patience
        length = state.length
        if tired and self.schedule.adaptive and length > SHORTEST:
            tired, idle, length = False, 0, length / SHORTER
        return state._replace(
            theta=theta,
            last=last,
            at_theta=at_theta,
            at_last=at_last,
            length=length,
            first=first,
            best=min(state.best, value),
            idle=idle,
            value=value,
            violation=violation,
            n_iter=state.n_iter + 1,
            n_passes=state.n_passes + 1,
            converged=violation <= self.tol or tired,
        )

    def done(self, state: SgdState) -> bool:
        """Stop at the tolerance, at the limit, or where no step is short enough."""
        return state.converged or state.stuck or state.n_passes >= self.max_passes

    def mixes(self, state: SgdState) -> bool:
        """Epochs from different points lead as far as those from one, but for those that led away.

        Q. Ho et al. 2013: additive updates.
        """
        return state.n_iter > 0 and not self._is_single

    def follow(self, before: Summaries, now: Summaries) -> Summaries:
        """Add up how far the same rows have led since the state moved."""
        moved, (sums, epoch) = before.members[1].move, now.members
        return Summaries((sums, epoch._replace(move=moved + epoch.move)))

    def taken(self, summary: Summaries) -> Summaries:
        """Leave no more of an epoch than where it has been, once the state has moved with it."""
        sums, epoch = summary.members
        return Summaries((sums, epoch._replace(move=np.zeros_like(epoch.move))))

    def progress(self, state: SgdState) -> Progress:
        """Report the objective, and the violation that the tolerance is about."""
        return Progress(state.value, state.violation)

    @property
    def _is_single(self) -> bool:
        return self.schedule.local is None

    def epochs(self, state: SgdState) -> int:
        """Count the epochs so far; with several means, those that led away too."""
        n_rounds = state.n_iter if self._is_single else state.n_passes
        return self.schedule.begun + self.n_local * n_rounds

    def _led(self, state: SgdState, epoch: EpochSums) -> tuple[Array, Array]:
        """Return the result that an epoch leads to, and where the next one starts."""
        last, mean = self._ends(state, epoch)
        if not self.schedule.average:
            return last, last
        before = self.epochs(state)
        after = before + self.n_local  # epoch k counts k + 1 times
        share = 1.0 - before * (before + 1) / (after * (after + 1))
        return state.theta + share * (mean - state.theta), last

    def _ends(self, state: SgdState, epoch: EpochSums) -> tuple[Array, Array]:
        """Return the mean of where the leaves' epochs ended, and of their own means."""
        move, mean = epoch.move / epoch.weight, epoch.mean / epoch.weight
        if self.share is None:
            return state.last + move, mean
        slant = np.append(self._slant, 0.0)
        led = (one[:, :-1] + one[:, -1:] * slant for one in (move, mean))
        last, mean = (state.last + one for one in led)
        return last, mean

    @property
    def _slant(self) -> Array:
        slant: Array = self.objective.center / self.objective.scale
        return slant

    def _point(self, state: SgdState) -> Point:
        """Return where the loss is asked for."""
        objective, coef = self.objective, state.theta[:, :-1] / self.objective.scale
        center = objective.center
        if self.share is not None:  # sums about zero are those of the stored columns
            center = np.zeros_like(center)
        intercept = state.theta[:, -1] - state.at_theta
        return Point(objective.loss, objective.target, coef, intercept, center, objective.encoding)

    def _lean(self, state: SgdState) -> Lean | None:
        """Return what epochs over CSR rows must know."""
        if self.share is None:
            return None
        return Lean(self.share, self._slant, state.square, state.at_last)

    def _centred(self, sums: LossSums) -> LossSums:
        """Return sums about the columns' center."""
        if self.share is None:
            return sums
        gradient = sums.gradient.copy()
        gradient[:, :-1] -= gradient[:, -1:] * self.objective.center
        return sums._replace(gradient=gradient)

    def _shorten(self, state: SgdState, first: float) -> SgdState:
        """Start again with shorter steps: these have led away."""
        length = state.length / SHORTER
        return SgdState(
            self.start,
            self.start,
            state.at_start,
            state.at_start,
            state.at_start,
            state.square,
            length,
            first,
            n_passes=state.n_passes + 1,
            stuck=length < SHORTEST,
        )


def state_bytes(n_outputs: int, n_columns: int) -> int:
    """Return what the arrays of a state take that run along the columns."""
    return 2 * 8 * n_outputs * n_columns


def longest_step(objective: Objective, sample: Block, theta: Array) -> float:
    r"""Return the longest step that is safe: one over the curvature that a few rows may have.

    That is :math:`h (\lambda + r^2 / m)`, with h the loss's curvature, λ the largest eigenvalue of
    the columns' covariance (by power iteration), r² the mean square of a row, and m rows a step.

    Parameters
    ----------
    objective : Objective
    sample : Block
    theta : ndarray of shape (n_outputs, n_features + 1)
        Where the loss's curvature is taken, and at zero.
    """
    point = objective.point(theta)
    X, (y, weight) = point.columns(sample.X), point.target.read(sample)
    share, center, scale = weight / weight.sum(), objective.center, objective.scale
    v = np.ones(len(center)) / np.sqrt(len(center))
    largest = 1.0
    for _ in range(POWER_STEPS):
        step = (v / scale)[:, np.newaxis]
        eta = X @ step - center @ step
        weighted = share[:, np.newaxis] * eta
        with np.errstate(over="ignore", invalid="ignore"):  # the next pass names what isn't finite
            v = ((X.T @ weighted)[:, 0] - center * weighted.sum()) / scale
        length = float(np.linalg.norm(v))
        if length == 0.0:
            break
        largest, v = max(1.0, length), v / length
    bend = max(
        _mean_curvature(objective, y, share, eta) for eta in (theta[:, -1], 0 * theta[:, -1])
    )
    return 1.0 / (bend * (largest + (len(center) + 1) / BATCH_ROWS))


def _mean_curvature(objective: Objective, y: Array, share: Array, eta: Array) -> float:
    """Return the loss's mean curvature at a predictor that is the same for all rows; 1 for none."""
    outputs = objective.loss.n_outputs
    everywhere = np.tile(eta, (len(y), 1))
    curvature = objective.loss.derivatives(y, everywhere if outputs > 1 else everywhere[:, 0])[2]
    bends = np.einsum("ijj->ij", curvature) if outputs > 1 else curvature[:, np.newaxis]
    largest = float((share @ bends).max())
    return largest if largest > 0.0 else 1.0
