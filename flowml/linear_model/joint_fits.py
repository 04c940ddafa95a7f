"""Logistic regressions that differ in their penalties, fitted to all splits' training rows."""

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import numpy as np
from sklearn.base import clone

from flowml.data.schema import Schema
from flowml.drive.procedure import Procedure, Step, together
from flowml.estimator import described
from flowml.kernels.labels import LABEL_WEIGHTS, LabelWeights
from flowml.kernels.linear_loss import LOSS_CURVATURE, LOSS_GRADIENT
from flowml.kernels.masked import TARGETS
from flowml.kernels.rows import Array
from flowml.kernels.splits import TRAIN, Splits, Subset
from flowml.linear_model import survey as first_look
from flowml.linear_model.logistic_regression import LogisticRegression
from flowml.linear_model.minimising import (
    SAMPLE_PASSES,
    SAMPLE_TOLERANCE,
    STAGE,
    Minimum,
    places_of,
    without_features,
    work_of,
)
from flowml.linear_model.solver_choice import SOLVERS, choose_solver
from flowml.linear_model.survey import Survey, sample_seed
from flowml.solvers.chords import Chords, ChordsState
from flowml.solvers.chords import Fit as ChordFit
from flowml.solvers.in_memory import solve_in_memory
from flowml.solvers.masked import Masked
from flowml.solvers.newton import NewtonState
from flowml.solvers.objective import Objective, Start
from flowml.solvers.one_pass import OnePass
from flowml.solvers.solver import Solver, State
from flowml.solvers.together import Together
from flowml.splitting import check_classes

APART = "fit apart"
PENALTY = ("C", "l1_ratio")
MOST_CHORDS = 8
"""Passes after which a curvature of one's own pays."""
CHORD_ROWS = 150
"""Of the sample, for each parameter: errors fall to a tenth with each pass then."""


class Trial(NamedTuple):
    """One fit of one split.

    Attributes
    ----------
    model : LogisticRegression
    objective : Objective
    subset : Subset
        The split's training rows.
    start : Start
        Where the sample leads.
    solver, reason : str
        That a fit of this trial alone would take, and why.
    """

    model: LogisticRegression
    objective: Objective
    subset: Subset
    start: Start
    solver: str
    reason: str


class Found(NamedTuple):
    """Where a trial ended.

    Attributes
    ----------
    theta : ndarray of shape (n_outputs, n_features + 1)
    n_iter : int
        Steps on all rows.
    alone : State or None
        Where its own solver ended, if it took one.
    """

    theta: Array
    n_iter: int
    alone: State = None


def look(
    model: LogisticRegression, splits: Splits, schema: Schema, n_rows: int | None
) -> Procedure[list[Survey]]:
    """Look at all rows and, with the same sample, at each split's, in one pass.

    Raises
    ------
    ValueError
        If a split has no row of some class to train on.
    """
    seed = sample_seed(model.random_state)
    labels = first_look.Beside(labels=True)
    whole = first_look.survey(schema, n_rows, model.fit_intercept, seed, labels)
    subsets = [Subset(splits, number, TRAIN) for number in range(splits.n_splits)]
    found = yield from together([whole, *(_labels(subset) for subset in subsets)])
    survey, counts = cast(Survey, found[0]), cast(list[LabelWeights], found[1:])
    check_classes(counts)
    return [survey, *(survey._replace(labels=one) for one in counts)]


def kinship(model: Any) -> str | None:
    """Return what models must have in common to be fitted on the same curvatures, if they can be.

    It is everything but their penalties.
    """
    if type(model) is not LogisticRegression or model.warm_start:
        return None
    parameters = model.get_params(deep=False)
    return described({name: parameters[name] for name in parameters if name not in PENALTY})


def fit_on_splits(
    models: Sequence[Sequence[LogisticRegression]],
    surveys: Sequence[Survey],
    splits: Splits,
    schema: Schema,
) -> Procedure[list[tuple[Trial, Found]]]:
    """Minimise what models for each split ask for on its training rows.

    Parameters
    ----------
    models : sequence of sequence of LogisticRegression
        For each split the same. They differ in their penalties alone; a path leads from each to the
        next.
    surveys : sequence of Survey
        Of all rows, then of each split's.
    splits : Splits
    schema : Schema

    Returns
    -------
    list of (Trial, Found)
        Those of the first split first.
    """
    whole = [objective_of(clone(model), surveys[0], schema) for model in models[0]]
    names = [choose(one, surveys[0], models[0][0])[0] for one in whole]
    starts = _path(whole, names, surveys[0])
    sampled = [_curvature(*each) for each in zip(whole, starts, names, strict=True)]
    costs = [model.C for model in models[0]]
    curvatures = yield from _curvatures(whole, sampled, starts, costs, surveys[0])
    trials = []
    for number, survey in enumerate(surveys[1:]):
        for model, start in zip(models[number], starts, strict=True):
            objective = objective_of(model, survey, schema)
            solver = choose(objective, survey, model)
            trials.append(Trial(model, objective, Subset(splits, number, TRAIN), start, *solver))
    found = yield from _settle(trials, curvatures, splits)
    return list(zip(trials, found, strict=True))


def objective_of(model: LogisticRegression, survey: Survey, schema: Schema) -> Objective:
    """Return what a model minimises on rows that were looked at."""
    objective = Objective(
        model._loss(survey),
        model._penalty(survey),
        model._target(survey),
        survey.center,
        survey.spread,
        model.fit_intercept,
    )
    if survey.levels is not None:
        objective = model._with_categories(objective, survey.levels, schema)
    return objective


def choose(objective: Objective, survey: Survey, model: LogisticRegression) -> tuple[str, str]:
    """Return the solver of a fit alone, and why it is that."""
    return choose_solver(model.solver, work_of(objective, survey), not objective.penalty.is_smooth)


def minimum_of(trial: Trial, found: Found) -> Minimum:
    """Return what a trial has come to, as a fit of its own would."""
    coef, intercept = trial.objective.coefficients(found.theta)
    if trial.objective.loss.shift_invariant:
        intercept = intercept - intercept.mean()
    ends = coef, intercept, trial.solver, trial.reason, found.n_iter, 0
    if found.alone is None:
        return Minimum(*ends, np.nan, np.nan, converged=True, separated=False)
    end = found.alone
    growing = places_of(getattr(end, "growing", None))
    return Minimum(
        *ends, end.value, end.violation, end.converged, end.separated, end.stuck, growing
    )


def _path(objectives: Sequence[Objective], names: Sequence[str], survey: Survey) -> list[Start]:
    """Minimise on the sample for each penalty, each from the minimum of the one before."""
    starts: list[Start] = []
    before: Array | None = None
    for objective, name in zip(objectives, names, strict=True):
        start = _path_start(objective, survey, name, before)
        before = start.theta
        starts.append(start)
    return starts


def _curvatures(
    objectives: Sequence[Objective],
    found: Sequence[Array | None],
    starts: Sequence[Start],
    costs: Sequence[float],
    survey: Survey,
) -> Procedure[list[Array | None]]:
    """Return the curvature at each start: the sample's (`found`), less its error where it is known.

    The error is the difference to all rows' curvature at one of the starts, that of the weakest
    penalty, where the predictors are largest and the curvature is least. It takes a pass.
    """
    known = [place for place, one in enumerate(found) if one is not None]
    if not known or not survey.is_thin:
        return list(found)
    last = max(known, key=lambda place: costs[place])
    theta = starts[last].theta
    point = objectives[last].point(theta)
    sums = (yield Step("curvature", OnePass(LOSS_CURVATURE, point))).summary
    exact = objectives[last].evaluate(sums, theta).curvature
    assert exact is not None
    error = exact - found[last]
    return [None if one is None else one + error for one in found]


def _settle(
    trials: Sequence[Trial], curvatures: Sequence[Array | None], splits: Splits
) -> Procedure[list[Found]]:
    """Minimise all: with the curvature of all rows where it will do, else with their own."""
    model = trials[0].model
    found: dict[int, Found] = {}
    starts, fits, places = [trial.start for trial in trials], [], []
    for place, trial in enumerate(trials):
        curvature = curvatures[place % len(curvatures)]
        if curvature is not None:
            start = trial.start.theta
            fits.append(ChordFit(trial.objective, trial.subset.split, start, curvature))
            places.append(place)
    if places:
        passes = min(model.max_iter, MOST_CHORDS)
        state: ChordsState = yield Step(STAGE, Chords(fits, splits, model.tol, passes))
        for n, place in enumerate(places):
            if state.settled[n]:
                found[place] = Found(state.theta[n], int(state.n_iter[n]))
            elif not state.left[n]:
                starts[place] = Start(state.theta[n], state.theta[n], np.inf)
    rest = [place for place in range(len(trials)) if place not in found]
    if rest:
        solvers = [_alone(trials[place], starts[place]) for place in rest]
        states = (yield Step(APART if places else STAGE, Together(solvers))).members
        for place, one in zip(rest, states, strict=True):
            found[place] = Found(one.theta, one.n_iter, one)
    return [found[place] for place in range(len(trials))]


def _alone(trial: Trial, start: Start) -> Solver:
    """Return the solver that a fit of this trial alone would take."""
    make = SOLVERS[trial.solver].make
    return Masked(make(trial.objective, start, trial.model.tol, trial.model.max_iter), trial.subset)


def _labels(subset: Subset) -> Procedure[LabelWeights]:
    """Count the labels of a subset's rows, of which no features are taken out."""
    solver = Masked(Masked(OnePass(LABEL_WEIGHTS), subset), TARGETS)
    labels: LabelWeights = (yield Step("labels", solver)).summary
    return labels


def _curvature(objective: Objective, start: Start, solver: str) -> Array | None:
    """Return the mean loss's curvature at a start, if the sample tells it well enough."""
    known = isinstance(start.learned, NewtonState) and start.learned.sums is not None
    if solver != "newton" or not known or start.rows < CHORD_ROWS * start.theta.size:
        return None
    return objective.evaluate(start.learned.sums, start.theta).curvature


def _path_start(objective: Objective, survey: Survey, name: str, before: Array | None) -> Start:
    """Minimise on the sample, from the minimum of another penalty where there is one."""
    nothing, sample = without_features(objective, survey.sample), survey.sample
    sums = LOSS_GRADIENT(objective.point(nothing), [sample], {})
    ceiling = objective.evaluate(sums, nothing).value
    first = nothing if before is None else before
    solver = SOLVERS[name].make(
        objective, Start(first, nothing, np.inf), SAMPLE_TOLERANCE, SAMPLE_PASSES
    )
    state, _ = solve_in_memory(solver, [sample])
    if state.separated or not np.isfinite(state.theta).all() or state.value > ceiling:
        return Start(nothing, nothing, np.inf)
    rows = len(sample.X) if isinstance(sample.X, np.ndarray) else 0
    return Start(state.theta, nothing, ceiling, state, rows)
