"""Proximal block coordinate descent: a step along those parts of the gradient that came."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from flowml.kernels.fold import Fold
from flowml.kernels.linear_loss import LOSS_GRADIENT, LossSums, Point
from flowml.kernels.rows import Array
from flowml.solvers.descent import LEAST_LENGTH, Place, bend_between
from flowml.solvers.objective import Evaluation, Objective, Start
from flowml.solvers.solver import Progress

LONGEST = 1.9
"""Most of a step's length times the curvature along it: from 2 on the objective may rise."""
SHORTER = 0.95
"""Of the length that is best for the last curvature."""
LONGER = 10.0
"""Times its length that the next step may have."""
BARELY = 2e-10
"""Share of the loss that a step has to promise, for values alone to tell whether it was good."""
MOST_UNSEEN = 4
"""Points in a row at which a coordinate's slope may be missing."""


class BlockDescentState(NamedTuple):
    """Where the descent stands.

    Attributes
    ----------
    best : Place
        The last accepted point, with the slopes that were last seen.
    unseen : int ndarray of shape (n_outputs, n_features + 1)
        At how many points in a row, up to this one, a slope was missing: it is moved along where
        that is 0.
    tried : ndarray of shape (n_outputs, n_features + 1)
        Where the step from there ends; the next pass looks there.
    length : float
        Of the step.
    value : float
        At `best`; infinite before the first pass.
    violation : float
        There, with slopes from before where they are missing.
    n_iter : int
        Accepted steps.
    n_passes : int
    converged, stuck, separated : bool
    """

    best: Place
    unseen: Array
    tried: Array
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
class BlockDescent:
    r"""Proximal gradient steps of the coordinates whose derivatives came; the others stay.

    .. math:: \theta_J \leftarrow \mathrm{prox}_{tP}(\theta_J - t\, g_J)

    with J those that aren't NaN in the gradient, which only a coded pass leaves out: with all of
    them it is proximal gradient descent. A step counts if :math:`t h \le 1.9`, with h the loss's
    curvature along it, as two values and the slopes in J tell: the objective then falls by
    :math:`(1 / t - h / 2) \|s\|^2` at least, whatever is missing. Else the next pass looks at a
    shorter one. The next length is about 1 / h. Where a coordinate was missing a few times in a
    row, and where the tolerance seems to be reached, the next pass is to be whole; it stops on
    none that isn't.

    Notes
    -----
    *From papers*: descent along random blocks, each with a step length of its own that a bound of
    its curvature allows (P. Richtárik & M. Takáč 2014, "Iteration complexity of randomized
    block-coordinate descent methods for minimizing a composite function"); along any blocks, by
    lengths that are tried, where none is left out for ever (P. Tseng & S. Yun 2009, "A coordinate
    gradient descent method for nonsmooth separable minimization"); the next length from the last
    curvature (J. Barzilai & J. M. Borwein 1988, "Two-point step size gradient methods").

    *Ours*: one length for all blocks of a step, whose curvature along the step counts for what
    they do to each other; when a pass is to be whole.

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
        """Value and gradient."""
        return LOSS_GRADIENT

    def init(self) -> BlockDescentState:
        """Look at the start first."""
        theta, learned = self.start.theta, self.start.learned
        length = learned.length if isinstance(learned, BlockDescentState) else 1.0
        nowhere = Place(theta, np.zeros_like(theta), np.inf)
        return BlockDescentState(nowhere, np.zeros(theta.shape, dtype=np.intp), theta, length)

    def ask(self, state: BlockDescentState) -> Point:
        """Return the point to be tried."""
        return self.objective.point(state.tried)

    def takes_missing(self, state: BlockDescentState) -> bool:
        """Neither at first, nor where it might stop, nor where something was missing too often.

        Nor where the step is so short that only a whole gradient tells what it has done.
        """
        step = state.tried - state.theta
        promise = float(np.vdot(step, step)) / state.length
        begun = np.isfinite(state.value) and promise > BARELY * abs(state.best.loss)
        return bool(begun and state.violation > self.tol and state.unseen.max() < MOST_UNSEEN)

    def step(self, state: BlockDescentState, summary: LossSums) -> BlockDescentState:
        """Accept the tried point and step on, or step again, shorter."""
        evaluation = self.objective.evaluate(summary, state.tried)
        tried = Place(state.tried, evaluation.gradient, summary.value / summary.weight)
        state = state._replace(n_passes=state.n_passes + 1)
        if not np.isfinite(state.value):
            if state.n_passes == 1 and self.start.misleads(evaluation.value):
                return state._replace(tried=self.start.otherwise)
            return self._accept(state, tried, evaluation)
        bend = bend_between(state.best, tried)
        if not bend * state.length <= LONGEST:
            length = min(state.length / 2, SHORTER / bend) if np.isfinite(bend) else 0.0
            length = max(length, state.length / 8)
            return self._proceed(state._replace(length=length, stuck=length < LEAST_LENGTH))
        if bend > 0.0:
            length = min(LONGER * state.length, SHORTER / bend)
            state = state._replace(length=length)
        return self._accept(state, tried, evaluation)

    def done(self, state: BlockDescentState) -> bool:
        """Stop at the tolerance, at the limit, or where no step helps any more."""
        return state.converged or state.stuck or state.n_passes >= self.max_passes

    def progress(self, state: BlockDescentState) -> Progress:
        """Report the objective, and the violation that the tolerance is about."""
        return Progress(state.value, state.violation)

    def _accept(
        self, state: BlockDescentState, tried: Place, evaluation: Evaluation
    ) -> BlockDescentState:
        """Go to the tried point, keeping the slopes from before where it has none."""
        seen = np.isfinite(tried.gradient)
        gradient = np.where(seen, tried.gradient, state.best.gradient)
        violation = self.objective.violation(tried.theta, evaluation._replace(gradient=gradient))
        separated = evaluation.separated and not self.objective.is_penalised
        whole = bool(seen.all())
        accepted = state._replace(
            best=tried._replace(gradient=gradient),
            unseen=np.where(seen, 0, state.unseen + 1),
            value=evaluation.value,
            violation=violation,
            n_iter=state.n_iter + 1,
            converged=whole and violation <= self.tol and not separated,
            separated=separated,
        )
        ahead = self._proceed(accepted)
        moves = (ahead.tried != ahead.theta).any()
        return ahead._replace(stuck=separated or (whole and not moves and not ahead.converged))

    def _proceed(self, state: BlockDescentState) -> BlockDescentState:
        """Take the proximal step of what was seen."""
        (theta, gradient, _), length = state.best, state.length
        tried = theta - length * gradient
        tried[:, :-1] = self.objective.price.prox(tried[:, :-1], length)
        return state._replace(tried=np.where(state.unseen == 0, tried, theta))
