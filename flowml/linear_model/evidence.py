"""What a fit keeps for its summary: sums over the rows, at the coefficients it ended at.

Newton's method doesn't look again after its last step, so the sums that it ends with belong to the
point before. Standard errors change in proportion to that step, coefficients and likelihood by its
square. Two things make up for it. Where a pass is cheap and the step was longer than a tenth of the
tolerance, Newton's method goes on for a pass (a few where its curvature is a stand-in, with which
every step lowers the error by a factor instead of squaring it). What is left is estimated on
the sample: the sums at the end, less those at the point before, times how many rows a row of the
sample stands for. Where the sample is all rows that is exact; on a million rows standard errors
come out to about five digits, and to more with a `tol` so small (1e-8) that a pass more is taken.
"""

from typing import Any, NamedTuple

import numpy as np

from flowml.drive.procedure import Procedure, Step
from flowml.kernels.linear_loss import LOSS_CURVATURE, LossSums, Target
from flowml.kernels.one_hot import Encoding
from flowml.kernels.rows import Array
from flowml.linear_model.survey import Survey
from flowml.losses.likelihood import likelihood_of
from flowml.losses.loss import Loss
from flowml.solvers.glm_statistics import Evidence
from flowml.solvers.in_memory import adding_up
from flowml.solvers.newton import Newton
from flowml.solvers.objective import Objective, Start

STAGE = "statistics"
CHEAP_VALUES = 10_000_000
"""Numbers in X up to which one more pass is cheap: 80 MB."""
CLOSE, CLOSER = 0.1, 1e-3
"""Shares of the tolerance at which the last step is short enough: the second is for a curvature
that is a stand-in."""
MOST_PASSES = 5


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
    seen = state.seen
    is_cheap = survey.rows * theta.shape[1] <= CHEAP_VALUES
    close = (CLOSER if objective.loss.expected_curvature else CLOSE) * tol
    if is_cheap and state.converged and state.violation > close:
        start = Start(theta, theta, np.inf)
        state = yield Step(STAGE, Newton(objective, start, close, MOST_PASSES))
        theta, seen, sums = state.theta, state.seen, state.sums
    if theta is not seen:
        sums = _moved(objective, survey, sums, seen, theta)
    return theta, _evidence(objective, survey, sums, theta)


def _moved(
    objective: Objective, survey: Survey, sums: LossSums, before: Array, after: Array
) -> LossSums:
    """Return the sums at another point close by, as far as the sample tells."""
    with adding_up([survey.sample]) as add_up:
        here, there = (add_up(LOSS_CURVATURE, objective.point(theta)) for theta in (before, after))
    factor = sums.weight / here.weight
    assert sums.curvature is not None
    curvature = sums.curvature + factor * (there.curvature - here.curvature)
    step = _in_columns_units(objective, after - before)
    bend = 0.5 * step.ravel() @ sums.curvature @ step.ravel()
    value = sums.value + float(np.vdot(sums.gradient, step)) + float(bend)
    pearson = sums.pearson + factor * (there.pearson - here.pearson)
    return sums._replace(value=value, curvature=curvature, pearson=float(pearson))


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
