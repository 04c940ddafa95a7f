"""Consensus ADMM: every leaf fits its own rows, and the fits are drawn together."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from flowml.kernels.fold import Fold
from flowml.kernels.linear_loss import LOSS_CURVATURE, LOSS_GRADIENT
from flowml.kernels.local_fit import LOCAL_FIT, LocalAsk, LocalSums
from flowml.kernels.rows import Array
from flowml.kernels.several import Asks, Summaries, several
from flowml.solvers.objective import Evaluation, Objective, Start
from flowml.solvers.solver import Progress

ROUND = 20
"""Passes after which leaves begin anew from a common point: as many as a lost memory costs."""
LOCAL_TOLERANCE = 0.1
"""Of the slope that the fit may end with: what a leaf's own may leave."""
STEADY = 4.0
"""Most by which the stiffness changes from round to round."""

FOLD = several([LOSS_CURVATURE, LOSS_GRADIENT, LOCAL_FIT])


class AdmmState(NamedTuple):
    """Where the iteration stands.

    Attributes
    ----------
    theta : ndarray of shape (n_outputs, n_features + 1)
        The last common point that a pass looked at.
    points : ndarray of shape (n_points, n_outputs, n_features + 1)
        The common points of this round; the next pass looks at the last.
    stiffness : float
    tolerance : float
        Of the leaves' own fits.
    value, violation : float
        At `theta`; infinite before the first pass.
    n_iter, n_passes : int
    converged, stuck, separated : bool
    """

    theta: Array
    points: Array
    stiffness: float = 0.0
    tolerance: float = 0.0
    value: float = np.inf
    violation: float = np.inf
    n_iter: int = 0
    n_passes: int = 0
    converged: bool = False
    stuck: bool = False
    separated: bool = False


@dataclass(frozen=True, eq=False)
class Admm:
    r"""Alternate between the leaves' fits :math:`x_i` and a common point z.

    .. math:: u_i \leftarrow u_i + x_i - z, \quad
              x_i \leftarrow \arg\min_x \ell_i(x) + \tfrac{\rho}{2} |x - z + u_i|^2, \quad
              z \leftarrow \mathrm{prox}_{P / \rho}\Big(\sum_i \tfrac{W_i}{W} (x_i + u_i)\Big)

    with :math:`\ell_i` the mean loss of leaf i, of weight :math:`W_i`. The dual variables
    :math:`u_i` stay beside the rows. They depend on the common points so far, so these travel
    along: a leaf whose memory is lost goes through them again and answers with the same bits.
    Every few passes a new round begins at the last point with the dual variables that belong to
    it, :math:`u_i = -\nabla \ell_i(z) / \rho`, and an adjusted stiffness. At the minimum these
    are the right ones: a warm start there stays there. Leaves may be at different common points
    within a round: then z is made of the last :math:`x_i + u_i` of each.

    S. Boyd, N. Parikh, E. Chu, B. Peleato & J. Eckstein 2011, "Distributed optimization and
    statistical learning via the alternating direction method of multipliers", sections 3.4.1 and
    7.1.1; for leaves that come late R. Zhang & J. Kwok 2014, "Asynchronous distributed ADMM for
    consensus optimization".

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
        """Curvature at the start; then value and gradient at the common point, and the fits."""
        return FOLD

    def init(self) -> AdmmState:
        """Look at the start first."""
        return AdmmState(self.start.theta, self.start.theta[np.newaxis])

    def ask(self, state: AdmmState) -> Asks:
        """Return the newest common point, and those before it of this round."""
        point = self.objective.point(state.points[-1])
        if not np.isfinite(state.value):
            return Asks((0,), (point,))
        local = LocalAsk(
            point,
            self.objective.scale,
            self.objective.free,
            state.points,
            state.stiffness,
            state.tolerance,
        )
        return Asks((1, 2), (point, local))

    def ask_after(self, state: AdmmState, asked: Asks) -> Asks:
        """Return the newest common point, and those before it that these very leaves have seen."""
        ask = self.ask(state)
        if len(state.points) <= 2:  # all begin
            return ask
        (point, local), (_, before) = ask.asks, asked.asks
        points = np.concatenate([before.points, local.points[-1:]])
        return Asks(ask.live, (point, local._replace(points=points)))

    def mixes(self, state: AdmmState) -> bool:
        """Leaves may come late to a common point, or never, but begin and end rounds together."""
        return 2 < len(state.points) <= ROUND

    def late(self, state: AdmmState) -> AdmmState:
        """Return a state at the end of a round, whose ask is the longest, for its size alone."""
        points = np.repeat(state.points[-1:], ROUND + 1, axis=0)
        return state._replace(points=points, value=0.0, stiffness=1.0)

    def step(self, state: AdmmState, summary: Summaries) -> AdmmState:
        """Judge the common point and make the next one."""
        curvature, gradient, local = summary.members
        theta = state.points[-1]
        evaluation = self.objective.evaluate(gradient if curvature is None else curvature, theta)
        state = state._replace(n_passes=state.n_passes + 1)
        if state.n_passes == 1 and self.start.misleads(evaluation.value):
            return state._replace(theta=self.start.otherwise, points=self.start.otherwise[None])
        violation = self.objective.violation(theta, evaluation)
        separated = evaluation.separated and not self.objective.is_penalised
        judged = state._replace(
            theta=theta,
            value=evaluation.value,
            violation=violation,
            n_iter=state.n_iter + 1,
            converged=violation <= self.tol and not separated,
            stuck=separated or not np.isfinite(evaluation.value),
            separated=separated,
        )
        if evaluation.curvature is not None:
            bends = np.diag(evaluation.curvature)[self.objective.free.ravel()]
            stiffness = float(bends.mean())
            return self._begin(judged, evaluation, max(stiffness, np.finfo(np.float64).tiny))
        if len(state.points) > ROUND:
            return self._begin(judged, evaluation, _balanced(state, local))
        proposed = self._prox(local.proposed / local.weight, state.stiffness)
        return judged._replace(points=np.concatenate([state.points, proposed[np.newaxis]]))

    def done(self, state: AdmmState) -> bool:
        """Stop at the tolerance, at the limit, or where the steps would go on for ever."""
        return state.converged or state.stuck or state.n_passes >= self.max_passes

    def progress(self, state: AdmmState) -> Progress:
        """Report the objective, and the violation that the tolerance is about."""
        return Progress(state.value, state.violation)

    def _begin(self, state: AdmmState, evaluation: Evaluation, stiffness: float) -> AdmmState:
        """Begin a round: where all fits are the common point, the next is a gradient step."""
        ahead = self._prox(state.theta - evaluation.gradient / stiffness, stiffness)
        tolerance = LOCAL_TOLERANCE * self.tol * evaluation.noise
        points = np.stack([state.theta, ahead])
        return state._replace(points=points, stiffness=stiffness, tolerance=tolerance)

    def _prox(self, theta: Array, stiffness: float) -> Array:
        nearest = theta.copy()
        nearest[:, :-1] = self.objective.price.prox(theta[:, :-1], 1.0 / stiffness)
        return nearest


def _balanced(state: AdmmState, local: LocalSums) -> float:
    """Return a stiffness with which fits come together about as fast as the point moves."""
    if local.moved == 0.0 or local.apart == 0.0:
        return state.stiffness
    ratio = (local.apart / local.moved) ** 0.25
    return state.stiffness * float(np.clip(ratio, 1 / STEADY, STEADY))
