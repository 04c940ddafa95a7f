"""Newton's method for many fits at once, with curvatures that are known beforehand."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from flowml.kernels.fold import Fold
from flowml.kernels.linear_loss import LossSums
from flowml.kernels.rows import Array
from flowml.kernels.split_gradients import SPLIT_GRADIENTS, Points, SplitGradients
from flowml.kernels.splits import Splits
from flowml.solvers.newton import model_step
from flowml.solvers.objective import Objective
from flowml.solvers.solver import Progress

FAR = 0.3
"""Violation above which a start is too far from the minimum for its curvature to be of use."""
TOO_SLOW = 0.4
"""Share of the violation that a step may leave: with more, a curvature of one's own pays."""
SURE = 0.1
"""Share of the tolerance at which what is foreseen may be wrong."""


class Fit(NamedTuple):
    """One of the fits.

    Attributes
    ----------
    objective : Objective
        All have loss, center and scale in common.
    split : int
        On whose training rows it is.
    theta : ndarray of shape (n_outputs, n_features + 1)
        Where it starts.
    curvature : ndarray of shape (n_parameters, n_parameters)
        Of the mean loss, nearly.
    """

    objective: Objective
    split: int
    theta: Array
    curvature: Array


class ChordsState(NamedTuple):
    """Where the fits stand.

    Attributes
    ----------
    theta : ndarray of shape (n_fits, n_outputs, n_features + 1)
    violation : ndarray of shape (n_fits,)
        At the point before the last step, see `Objective.violation`; infinite before the first.
    n_iter : ndarray of shape (n_fits,), int
        Steps.
    settled : ndarray of shape (n_fits,), bool
        Whether the minimum is reached.
    left : ndarray of shape (n_fits,), bool
        Whether the fit is left to another solver: it is at its start again.
    n_passes : int
    """

    theta: Array
    violation: Array
    n_iter: Array
    settled: Array
    left: Array
    n_passes: int


@dataclass(frozen=True, eq=False)
class Chords:
    """Step with the curvature of similar rows until no step is needed, or steps help too little.

    With a curvature H' in place of H the error falls by :math:`I - H'^{-1} H` each time (the chord
    method): with that of a sample of m rows to a share of some :math:`\\sqrt{p / m}`. A pass then
    needs no curvature, of which one alone costs more than the gradients of dozens of fits. Fits
    that approach too slowly are left to a solver that looks at the curvature itself.

    C. T. Kelley 1995, "Iterative Methods for Linear and Nonlinear Equations", chapter 5.

    Parameters
    ----------
    fits : sequence of Fit
    splits : Splits
    tol : float
        Stop at a violation of at most this.
    max_passes : int
    """

    fits: Sequence[Fit]
    splits: Splits
    tol: float
    max_passes: int

    @property
    def fold(self) -> Fold:
        """Gradients."""
        return SPLIT_GRADIENTS

    def init(self) -> ChordsState:
        """Look at the starts first."""
        n, no = len(self.fits), np.zeros(len(self.fits), dtype=bool)
        theta = np.stack([fit.theta for fit in self.fits])
        return ChordsState(theta, np.full(n, np.inf), np.zeros(n, dtype=np.int64), no, no, 0)

    def ask(self, state: ChordsState) -> Points:
        """Ask for the gradients of those that aren't done; those at the same point share it."""
        live, first = self._live(state), self.fits[0].objective
        flat = state.theta[live].reshape(len(live), -1)
        different, point = np.unique(flat, axis=0, return_inverse=True)
        places = [first.coefficients(theta.reshape(first.shape)) for theta in different]
        coef, intercept = (np.stack(part) for part in zip(*places, strict=True))
        weights = {fit.split: fit.objective.target.class_weights for fit in self.fits}
        of_splits = [weights.get(number) for number in range(self.splits.n_splits)]
        known = next((one for one in of_splits if one is not None), None)
        class_weights = None
        if known is not None:
            ones = np.ones(len(known))
            class_weights = np.stack([ones if one is None else one for one in of_splits])
        return Points(
            first.loss,
            first.target._replace(class_weights=None),
            coef,
            intercept,
            first.center,
            self.splits,
            class_weights,
            point.ravel(),
            np.array([self.fits[n].split for n in live]),
        )

    def step(self, state: ChordsState, summary: SplitGradients) -> ChordsState:
        """Step with each."""
        theta, violation, n_iter = state.theta.copy(), state.violation.copy(), state.n_iter.copy()
        settled, left = state.settled.copy(), state.left.copy()
        for place, n in enumerate(self._live(state)):
            objective, before = self.fits[n].objective, state.violation[n]
            if summary.weight[place] == 0:
                raise ValueError("there is nothing to fit: no row, or none of a weight above zero")
            sums = LossSums(
                summary.weight[place],
                0.0,
                summary.spread[place],
                summary.gradient[place],
                None,
                np.inf,
                0,
            )
            here = objective.evaluate(sums, theta[n])
            violation[n] = objective.violation(theta[n], here)
            factor = 0.0 if np.isinf(before) else violation[n] / before
            after = violation[n] * factor if factor else np.inf
            settled[n] = min(violation[n], after / SURE) <= self.tol
            left[n] = not settled[n] and not (violation[n] <= FAR and factor <= TOO_SLOW)
            if left[n]:
                theta[n] = self.fits[n].theta
                continue
            here = here._replace(curvature=self.fits[n].curvature)
            theta[n] += model_step(objective, here, theta[n], self.tol)
            n_iter[n] += 1
        return ChordsState(theta, violation, n_iter, settled, left, state.n_passes + 1)

    def done(self, state: ChordsState) -> bool:
        """Stop when each is settled or left, or at the limit."""
        return not len(self._live(state)) or state.n_passes >= self.max_passes

    def progress(self, state: ChordsState) -> Progress:
        """Report the largest violation of those that go on."""
        live = self._live(state)
        largest = state.violation[live].max() if len(live) else state.violation.max()
        return Progress(float("nan"), float(largest))

    def _live(self, state: ChordsState) -> Array:
        return np.flatnonzero(~(state.settled | state.left))
