"""Minimise an objective: choose a solver, converge on the sample, finish on all rows."""

from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from flowml.drive.procedure import Procedure, Step
from flowml.kernels.linear_loss import LOSS_GRADIENT
from flowml.kernels.rows import Array, Block
from flowml.linear_model.categorical import margins_of_levels
from flowml.linear_model.evidence import Described, closeness, gather
from flowml.linear_model.feasible import check_finite, feasible
from flowml.linear_model.minimising_kinks import GLOBBING, globbing
from flowml.linear_model.separation import find_growing
from flowml.linear_model.solver_choice import SOLVERS, Work, choose_solver
from flowml.linear_model.survey import Survey
from flowml.losses.kinked import KinkedLoss
from flowml.runtimes.machine import total_memory
from flowml.solvers.in_memory import solve_in_memory
from flowml.solvers.newton import Newton
from flowml.solvers.objective import Objective, Start
from flowml.solvers.solver import Solver

STAGE = "fit"
SAMPLE_TOLERANCE = 1e-3
"""Finer than the sample's own error."""
SAMPLE_PASSES = 50
ROUGH_TOLERANCE, ROUGHLY = 1e-2, 5
"""The first steps on a large sample are made on every fifth of its rows."""
LARGE_SAMPLE = 50
"""Rows for each parameter."""
ROWS_PER_COLUMN = 5
"""Of the sample: with fewer, its own minimum is far from that of all rows."""


class Options(NamedTuple):
    """How to minimise.

    Attributes
    ----------
    solver : str
        "auto", or one of `SOLVERS`.
    tol : float
        Stop at an `Objective.violation` of at most this.
    max_iter : int
        Most passes.
    describe : bool
        Whether to keep what a summary is made from, for which a pass may be taken.
    """

    solver: str
    tol: float
    max_iter: int
    describe: bool = False


class Minimum(NamedTuple):
    """Where the minimisation ended.

    Attributes
    ----------
    coef : ndarray of shape (n_outputs, n_features)
    intercept : ndarray of shape (n_outputs,)
    solver, reason : str
        Which solver it was, and why.
    n_iter : int
        Steps on all rows.
    n_sample_iter : int
        Steps on the sample before.
    value, violation : float
        The objective, and how far it is from its minimum.
    converged : bool
    separated : bool
        Whether there is no minimum, as some predictor makes no mistake.
    stuck : bool
        Whether no step lowered the objective any more.
    growing : tuple of int
        Places of the coefficients that grow for ever, where they separate some of the rows only.
    described : Described or None
        What a summary is made from, where it was asked for.
    """

    coef: Array
    intercept: Array
    solver: str
    reason: str
    n_iter: int
    n_sample_iter: int
    value: float
    violation: float
    converged: bool
    separated: bool
    stuck: bool = False
    growing: tuple[int, ...] = ()
    described: Described | None = None


def minimise(
    objective: Objective, survey: Survey, options: Options, warm: Array | None = None
) -> Procedure[Minimum]:
    """Converge on the sample first where that saves passes, then on all rows.

    Parameters
    ----------
    objective : Objective
    survey : Survey
    options : Options
    warm : ndarray of shape (n_outputs, n_features + 1), optional
        Parameters to start from.
    """
    solver: Solver
    if isinstance(objective.loss, KinkedLoss):
        name, reason = GLOBBING
        solver, n_sample_iter = globbing(objective, survey, options.tol, options.max_iter, warm)
    else:
        kinks = not objective.penalty.is_smooth
        name, reason = choose_solver(options.solver, work_of(objective, survey), kinks)
        solver, n_sample_iter = _prepared(name, objective, survey, options, warm)
    state = yield Step(STAGE, solver)
    check_finite(objective.loss, state.value)
    state, columns = yield from find_growing(survey, solver, state)
    growing = places_of(columns)
    theta, described = state.theta, None
    if options.describe:
        theta, evidence = yield from gather(objective, survey, state, options.tol)
        target, encoding = objective.target, objective.encoding
        described = Described(evidence, name, objective.loss, target, encoding)
        described = described._replace(separated=state.separated and not growing, growing=growing)
    coef, intercept = objective.coefficients(theta)
    if objective.loss.shift_invariant:
        intercept = intercept - intercept.mean()  # only their differences count
    return Minimum(
        coef,
        intercept,
        name,
        reason,
        state.n_iter,
        n_sample_iter,
        state.value,
        state.violation,
        state.converged and not growing,
        state.separated or bool(growing),
        state.stuck,
        growing,
        described,
    )


def work_of(objective: Objective, survey: Survey) -> Work:
    """Return what a choice of the solver goes by."""
    n_parameters, n_outputs = int(np.count_nonzero(objective.free)), objective.loss.n_outputs
    return Work(n_parameters, n_outputs, survey.rows, survey.stored, total_memory())


def _prepared(
    name: str, objective: Objective, survey: Survey, options: Options, warm: Array | None
) -> tuple[Solver, int]:
    """Return a solver that starts from where the sample leads, and how many steps that took."""
    make = SOLVERS[name].make
    nothing = without_features(objective, survey.sample)
    start, n_sample_iter = Start(nothing, nothing, np.inf), 0
    if name == "lbfgs" and objective.encoding is not None:
        assert survey.levels is not None
        learned = partial(margins_of_levels, objective, survey.levels, survey.sample)
        start = start._replace(margins=learned)
    if warm is not None:
        start = start._replace(theta=feasible(objective, survey.sample, warm))
    elif survey.is_thin and survey.sample.X.shape[0] >= ROWS_PER_COLUMN * objective.shape[1]:
        start, n_sample_iter = _start_on_sample(objective, survey.sample, start, make)
    solver = make(objective, start, options.tol, options.max_iter)
    if options.describe and isinstance(solver, Newton):
        n_rows = survey.sample.X.shape[0]
        solver = replace(solver, close=closeness(options.tol, n_rows, start.theta.size))
    return solver, n_sample_iter


def places_of(growing: Array | None) -> tuple[int, ...]:
    """Return the places of the coefficients that grow for ever."""
    return () if growing is None else tuple(np.flatnonzero(growing).tolist())


def without_features(objective: Objective, sample: Block) -> Array:
    """Return the parameters of the best predictor that knows no feature."""
    theta = np.zeros(objective.shape)
    y, weight = objective.target.read(sample)
    theta[:, -1] = objective.loss.constant(y, weight) - np.mean(objective.target.added(sample))
    theta[~objective.free] = 0.0
    return feasible(objective, sample, theta)


def _start_on_sample(
    objective: Objective, sample: Block, start: Start, make: Any
) -> tuple[Start, int]:
    """Minimise on the sample, where it is large on some of its rows first."""
    n_iter = 0
    if isinstance(sample.X, np.ndarray) and len(sample.X) >= LARGE_SAMPLE * start.theta.size:
        some = _every(sample, ROUGHLY)
        start, n_iter = _start_on_rows(objective, some, start, make, ROUGH_TOLERANCE)
    start, n_more = _start_on_rows(objective, sample, start, make, SAMPLE_TOLERANCE)
    return start, n_iter + n_more


def _start_on_rows(
    objective: Objective, rows: Block, start: Start, make: Any, tolerance: float
) -> tuple[Start, int]:
    """Minimise on a few rows; a start that turns out worse than no features is given up."""
    nothing = start.otherwise
    ceiling = _value(objective, rows, nothing)
    state, n_iter = solve_in_memory(make(objective, start, tolerance, SAMPLE_PASSES), [rows])
    if state.separated or not np.isfinite(state.theta).all() or state.value > ceiling:
        return Start(nothing, nothing, np.inf, margins=start.margins), n_iter
    n_rows = len(rows.X) if isinstance(rows.X, np.ndarray) else 0
    return Start(state.theta, nothing, ceiling, state, n_rows, start.margins), n_iter


def _value(objective: Objective, rows: Block, theta: Array) -> float:
    """Return the objective; where no column counts, none is read."""
    point, price = objective.point(theta), objective.price.value(theta[:, :-1])
    if not point.coef.any():
        rows = rows._replace(X=np.empty((rows.X.shape[0], 0)))
        point = point._replace(coef=point.coef[:, :0], center=point.center[:0], encoding=None)
    sums = LOSS_GRADIENT(point, [rows], {})
    value = sums.value / sums.weight + price
    return float(value) if np.isfinite(value) else np.inf


def _every(rows: Block, nth: int) -> Block:
    """Return every few rows."""
    y, weight = (None if part is None else part[::nth] for part in (rows.y, rows.weight))
    return Block(np.ascontiguousarray(rows.X[::nth]), y, weight)
