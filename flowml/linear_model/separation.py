"""Look for separation where a fit without a penalty has ended, and its solver can't tell.

Newton's method tells by its own steps. Those of L-BFGS come to lead along the direction in which
the classes are separated, if there is one; whether they are takes a look at every row. Of a fit
that isn't separated the sample's rows say so, at no pass. Where the rows don't, the fit goes on to
a finer tolerance before the verdict: near a minimum the steps get shorter then. Where FISTA, ADMM
or block descent end, L-BFGS goes on on the sample alone, and a look along its step is the verdict.
"""

from dataclasses import replace
from typing import Any

from flowml.drive.procedure import Procedure, Step
from flowml.drive.stage import Stage
from flowml.kernels.rows import Array
from flowml.linear_model.survey import Survey
from flowml.solvers.admm import Admm
from flowml.solvers.block_descent import BlockDescent
from flowml.solvers.fista import Fista
from flowml.solvers.in_memory import solve_in_memory
from flowml.solvers.lbfgs import Lbfgs
from flowml.solvers.objective import Objective, Start
from flowml.solvers.one_pass import OnePass
from flowml.solvers.separation import (
    BOTH_WAYS,
    SUSPICION,
    VERDICT,
    Doubt,
    both_ways,
    growing_columns,
    is_doubtful,
    may_lack_minimum,
    may_separate,
    separates,
)
from flowml.solvers.solver import Solver

STAGE = "separation"
WITHOUT_CURVATURE = Lbfgs | Fista | BlockDescent | Admm
"""Solvers that can't tell by themselves."""
LOOKS = 2
"""Most looks at every row."""
STEPS = 100
"""Most that are made on the sample."""
FINE = 1e-6
"""Tolerance at which steps along a tail are told from those along a direction that is flat."""


def find_growing(survey: Survey, solver: Solver, state: Any) -> Procedure[tuple[Any, Array | None]]:
    """Return where a fit ends, and the columns whose coefficients grow for ever, if any.

    Parameters
    ----------
    survey : Survey
    solver : Solver
    state : state of the solver
        Where it ended.
    """
    if not isinstance(solver, WITHOUT_CURVATURE):
        return state, getattr(state, "growing", None)
    if not isinstance(solver, Lbfgs):
        return state, (yield from _growing_by_sample(survey, solver.objective, state))
    if not (yield from _separates(survey, solver, state, SUSPICION)):
        return state, None
    finer = _finer(solver, state)
    if solver.tol > FINE and finer.max_passes > 0:
        before, state = state, (yield from _run(survey, finer))
        converged = (before.converged or state.converged) and not state.separated
        state = state._replace(n_iter=before.n_iter + state.n_iter, converged=converged)
    is_separated = yield from _separates(survey, finer, state, VERDICT)
    return state, growing_columns(state.direction) if is_separated else None


def _growing_by_sample(survey: Survey, objective: Objective, state: Any) -> Procedure[Array | None]:
    """Look along the step at which L-BFGS ends on the sample, in memory, where this fit ends."""
    if state.separated or not may_lack_minimum(objective):
        return None
    start = Start(state.theta, state.theta, float("inf"))
    solver = Lbfgs(objective, start, FINE, STEPS)
    there = solve_in_memory(solver, [survey.sample])[0]
    is_separated = yield from _separates(survey, solver, there, VERDICT)
    return growing_columns(there.direction) if is_separated else None


def stages(solver: Solver, workspace: int) -> list[Stage]:
    """Describe the looks, where there may be any; steps between them are among the fit's own."""
    if not isinstance(solver, WITHOUT_CURVATURE) or solver.objective.loss.tail == 0.0:
        return []
    ask = both_ways(solver.objective, solver.start.theta)
    suspicion = "coefficients seem to grow for ever"
    return [Stage(STAGE, BOTH_WAYS, ask, LOOKS, workspace, only_if=suspicion)]


def _separates(survey: Survey, solver: Lbfgs, state: Any, doubt: Doubt) -> Procedure[bool]:
    """Look at the rows along the next step, unless the sample says already what they would."""
    objective, step = solver.objective, state.direction
    if state.separated or not is_doubtful(objective, step, solver.tol):
        return False
    look = OnePass(BOTH_WAYS, both_ways(objective, step))
    some = solve_in_memory(look, [survey.sample])[0].summary
    if not may_separate(objective.loss, some, doubt):
        return False
    seen = yield from _run(survey, look)
    return separates(objective.loss, seen.summary, doubt)


def _finer(solver: Lbfgs, state: Any) -> Lbfgs:
    """Return the solver that goes on from a state, with the passes that are left."""
    start = solver.start._replace(
        theta=state.theta, otherwise=state.theta, ceiling=float("inf"), learned=state
    )
    left = solver.max_passes - state.n_passes
    return replace(solver, start=start, tol=min(solver.tol, FINE), max_passes=left)


def _run(survey: Survey, solver: Solver) -> Procedure[Any]:
    """Run a solver, in memory where the sample is all rows."""
    if survey.is_whole:
        return solve_in_memory(solver, [survey.sample])[0]
    return (yield Step(STAGE, solver))
