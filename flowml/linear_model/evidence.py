"""What a fit keeps for its summary: sums over the rows, at the coefficients it ended at.

Newton's method doesn't look again after its last step, so the sums that it ends with belong to the
point before. Standard errors change in proportion to that step, coefficients and likelihood by its
square. What they change is taken from the sample: the sums at the end, less those at the point
before, times how many rows a row of the sample stands for. What that leaves is proportional to the
step too, and falls with the root of the sample's rows. So the step has to be short: where the
sample lends its curvature, another pass for the gradient alone, which costs a fraction, may lead
near enough to the minimum first (`closeness`). The error is then estimated from the difference
between two halves of the sample, and only where it is above what the tolerance stands for
(`precision`) are more passes with curvature taken, until it isn't.
"""

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from flowml.drive.procedure import Procedure, Step
from flowml.kernels.linear_loss import LOSS_CURVATURE, LossSums, Target
from flowml.kernels.one_hot import Encoding
from flowml.kernels.rows import Array, Block, Rows
from flowml.linear_model.survey import Survey
from flowml.losses.likelihood import likelihood_of
from flowml.losses.loss import Loss
from flowml.solvers.glm_statistics import Evidence, inverse_curvature
from flowml.solvers.in_memory import adding_up, consecutive, solve_in_memory
from flowml.solvers.newton import Newton
from flowml.solvers.objective import Objective, Start

STAGE = "statistics"
DEFAULT_TOLERANCE, PRECISION = 1e-4, 1e-6
"""Relative error of standard errors at the default tolerance and at finer ones."""
ROUGHLY = 0.1
"""The same at looser ones, as a share of the tolerance: who asks for fewer digits saves passes."""
MOST_PASSES = 10
EXACT = 1e-3
"""Share of the tolerance that steps in memory go to."""
DEVIATIONS = 2.5
UNMEASURED = 0.1
"""By how much a step with a curvature that is a stand-in may shorten the next, if nothing tells."""
PIECES = 16
"""Of the sample, that go to its two halves in turn: its rows may be sorted."""


class Shift(NamedTuple):
    """What moving from one point to another changes, as the rows of a sample see it.

    Attributes
    ----------
    weight : float
        Of these rows.
    curvature : ndarray of shape (n_parameters, n_parameters)
        Change of the sum over them.
    bent : ndarray of shape (n_outputs, n_features + 1)
        Change of the gradient beyond what the curvature foresees.
    pearson : float
    """

    weight: float
    curvature: Array
    bent: Array
    pearson: float


class Described(NamedTuple):
    """What a fit keeps for its summary.

    Attributes
    ----------
    evidence : Evidence or None
        None where the penalty has kinks, or the loss is no likelihood.
    solver : str
    loss : Loss
    target : Target
    encoding : Encoding or None
    target_names : tuple of str or None
    categorical : tuple of int
        Places of the features that hold labels.
    separated : bool
        Whether there is no minimum, so that the coefficients could be any large numbers.
    growing : tuple of int
        Places of the coefficients that grow for ever, where it is only some.
    """

    evidence: Evidence | None
    solver: str
    loss: Loss
    target: Target
    encoding: Encoding | None
    target_names: tuple[str, ...] | None = None
    categorical: tuple[int, ...] = ()
    separated: bool = False
    growing: tuple[int, ...] = ()


def precision(tol: float) -> float:
    """Return the relative error that standard errors may have."""
    return PRECISION if tol <= DEFAULT_TOLERANCE else ROUGHLY * tol


def closeness(tol: float, n_rows: int, n_parameters: int) -> float:
    """Return the violation at which a sample makes up for a last step to within `precision`.

    With it, the error of a standard error is about the violation times the root of the
    parameters' share of the sample's rows, up to three times as much for some families.
    """
    return precision(tol) * float(np.sqrt(n_rows / n_parameters))


def gather(
    objective: Objective, survey: Survey, state: Any, tol: float
) -> Procedure[tuple[Array, Evidence | None]]:
    """Return the parameters, and the sums there; None where the loss is no smooth likelihood.

    Solvers that make no curvature leave what needs it to a pass of its own.

    Parameters
    ----------
    objective : Objective
    survey : Survey
    state : state of the solver
        Where it ended.
    tol : float
        The solver's.
    """
    theta, sums = state.theta, getattr(state, "sums", None)
    if not objective.penalty.is_smooth or likelihood_of(objective.loss) is None:
        return theta, None
    if sums is None or sums.curvature is None:
        return theta, _evidence(objective, survey, None, theta)
    if survey.is_whole and state.converged:  # what is left is done in memory
        solver = Newton(objective, Start(theta, theta, np.inf), EXACT * tol, MOST_PASSES)
        state, _ = solve_in_memory(solver, [survey.sample])
        theta, sums = state.theta, state.sums
    moved, error = _moved(objective, survey, sums, (state.seen, theta), state.rate)
    n_passes = 0
    allowed = precision(tol)
    while error > allowed and state.converged and state.violation and n_passes < MOST_PASSES:
        before = state.violation
        state = yield Step(STAGE, Newton(objective, Start(theta, theta, np.inf), tol, 1))
        theta, n_passes = state.theta, n_passes + 1
        points, rate = (state.seen, theta), state.violation / before
        moved, error = _moved(objective, survey, state.sums, points, rate)
    return theta, _evidence(objective, survey, moved, theta)


def _moved(
    objective: Objective, survey: Survey, sums: LossSums, points: tuple[Array, Array], rate: float
) -> tuple[LossSums, float]:
    """Return the sums at another point close by, as far as the sample tells.

    Also the relative error that standard errors have then, estimated: what the sample misses of
    their change, and what the rest of the way to the minimum would change. How long that is tells
    the sample; where steps shorten by a factor (`rate`), it may be that of the last.
    """
    before, after = points
    if after is before:
        return sums, 0.0
    step = _in_columns_units(objective, after - before)
    unseen = float(max(0.0, 1.0 - survey.sample.X.shape[0] / survey.rows))
    parts = [[survey.sample]] if survey.is_whole else _halves(survey.sample)
    shifts = [_shift(objective, rows, points, step) for rows in parts]
    factor = sums.weight / sum(shift.weight for shift in shifts)
    assert sums.curvature is not None
    inverse, _ = inverse_curvature(_evidence(objective, survey, sums, before))
    rises = np.array([_rises(sums, inverse, shift) for shift in shifts])
    missed = 0.5 * unseen**0.5 * _largest(np.ptp(rises, axis=0))
    rest = max(_rest(sums, inverse, shift, step) for shift in shifts)
    if objective.loss.expected_curvature:
        rest = max(rest, rate or UNMEASURED)
    error = missed + rest * np.abs(rises).max(initial=0.0)
    bend = 0.5 * step.ravel() @ sums.curvature @ step.ravel()
    moved = sums._replace(
        value=sums.value + float(np.vdot(sums.gradient, step)) + float(bend),
        curvature=sums.curvature + factor * np.sum([shift.curvature for shift in shifts], axis=0),
        pearson=float(sums.pearson + factor * sum(shift.pearson for shift in shifts)),
    )
    return moved, float(error)


def _halves(sample: Block) -> list[Rows]:
    """Return two halves of a sample, of pieces in turn."""
    n_rows = sample.X.shape[0]
    ends = np.linspace(0, n_rows, PIECES + 1).astype(int).tolist()
    pieces = [consecutive(sample, slice(low, high)) for low, high in pairwise(ends)]
    return [pieces[::2], pieces[1::2]]


def _shift(objective: Objective, rows: Rows, points: tuple[Array, Array], step: Array) -> Shift:
    with adding_up(rows) as add_up:
        here, there = (add_up(LOSS_CURVATURE, objective.point(theta)) for theta in points)
    straight = (here.curvature @ step.ravel()).reshape(step.shape)
    return Shift(
        here.weight,
        there.curvature - here.curvature,
        there.gradient - here.gradient - straight,
        there.pearson - here.pearson,
    )


def _rises(sums: LossSums, inverse: Array, shift: Shift) -> Array:
    """Return by what share of themselves standard errors rise, if all rows are like a sample's."""
    variance, factor = np.diag(inverse), sums.weight / shift.weight
    known = variance > 0
    change = factor * shift.curvature
    fall = np.einsum("ij,jk,ik->i", inverse[known], change, inverse[known], optimize=True)
    dispersion = factor * shift.pearson / sums.pearson if sums.pearson > 0 else 0.0
    rises: Array = 0.5 * (dispersion - fall / variance[known])
    return rises


def _largest(errors: Array) -> float:
    """Return what the largest of errors of a random size may be: few of them may be small."""
    typical = float(np.sqrt(np.mean(np.square(errors)))) if len(errors) else 0.0
    return max(float(errors.max(initial=0.0)), DEVIATIONS * typical)


def _rest(sums: LossSums, inverse: Array, shift: Shift, step: Array) -> float:
    """Return how long the step is that is left to the minimum, as a share of the last."""
    left = inverse @ (sums.weight / shift.weight * shift.bent.ravel())
    assert sums.curvature is not None
    squares = [float(s @ sums.curvature @ s) for s in (left, step.ravel())]
    return float(np.sqrt(max(squares[0], 0.0) / max(squares[1], 1e-300)))


def _in_columns_units(objective: Objective, theta: Array) -> Array:
    """Return parameters about the center, in the columns' own units."""
    return theta / np.append(objective.scale, 1.0)


def _evidence(
    objective: Objective, survey: Survey, sums: LossSums | None, theta: Array
) -> Evidence:
    coef, intercept = objective.coefficients(theta)
    squares = np.zeros(theta.shape)
    weight = _total_weight(objective, survey) if sums is None else sums.weight
    squares[:, :-1] = objective.penalty.quadratic * weight
    return Evidence(
        survey.rows,
        weight,
        coef,
        intercept,
        objective.center,
        objective.free,
        None if sums is None else sums.curvature,
        squares,
        np.nan if sums is None else sums.value,
        np.nan if sums is None else sums.pearson,
        *_null(objective, survey),
    )


def _total_weight(objective: Objective, survey: Survey) -> float:
    factors = objective.target.class_weights
    if factors is None or survey.labels is None:
        return survey.weight
    return float(survey.labels.weights @ factors)


def _null(objective: Objective, survey: Survey) -> tuple[float, float]:
    """Return the loss of the best constant, and what rows add to the likelihood in any case."""
    target, loss = objective.target, objective.loss
    if survey.totals is not None:
        known = target.offset is None or getattr(loss, "nets_offsets", False)
        return survey.totals.total / 2 if known else np.nan, survey.totals.constant
    if survey.labels is None or target.classes is None:
        return np.nan, np.nan
    weights = survey.labels.weights
    if target.class_weights is not None:
        weights = weights * target.class_weights
    codes = np.arange(len(weights), dtype=np.float64)
    constant = loss.constant(codes, weights)
    eta = np.tile(constant, (len(codes), 1))
    values = loss.derivatives(codes, eta[:, 0] if loss.n_outputs == 1 else eta).value
    return float(weights @ values), 0.0
