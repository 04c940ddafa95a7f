"""Minimise an objective whose loss is made of straight lines: on the sample, then on all rows."""

import numpy as np

from flowml.drive.procedure import Procedure, Step
from flowml.kernels.near_kinks import NEAR_KINKS
from flowml.kernels.rows import Array, Block
from flowml.linear_model.minimising import STAGE, Minimum, Options
from flowml.linear_model.survey import Survey
from flowml.solvers.globbing import MOST_COLUMNS, Globbing, width_around
from flowml.solvers.in_memory import solve_in_memory
from flowml.solvers.objective import Objective

SAMPLE_PASSES = 20


def minimise_kinks(
    objective: Objective, survey: Survey, options: Options, warm: Array | None = None
) -> Procedure[Minimum]:
    """Start from the sample's minimum, and gather the rows that it may have wrong.

    Parameters
    ----------
    objective : Objective
        Its loss is a `KinkedLoss`.
    survey : Survey
    options : Options
    warm : ndarray of shape (1, n_features + 1), optional
        Parameters to start from.

    Raises
    ------
    ValueError
        If there are too many columns for a problem in memory.
    """
    n_columns = objective.shape[1]
    if n_columns > MOST_COLUMNS:
        raise ValueError(
            f"{n_columns:,} columns: a loss with kinks is solved in memory, for at most "
            f"{MOST_COLUMNS:,}; choose a loss without kinks, such as a squared one"
        )
    start, width, n_sample_iter = np.zeros(objective.shape), np.inf, 0
    if survey.is_thin:
        alone = Globbing(objective, start, np.inf, options.tol, SAMPLE_PASSES)
        state, n_sample_iter = solve_in_memory(alone, [survey.sample])
        start = state.theta
    if warm is not None:
        start = warm
    if survey.is_thin:
        width = _width(objective, start, survey.sample)
    state = yield Step(STAGE, Globbing(objective, start, width, options.tol, options.max_iter))
    coef, intercept = objective.coefficients(state.theta)
    return Minimum(
        coef,
        intercept,
        "globbing",
        "the loss has kinks",
        state.n_iter,
        n_sample_iter,
        state.value,
        state.violation,
        state.converged,
        state.separated,
        state.stuck,
    )


def _width(objective: Objective, theta: Array, sample: Block) -> float:
    """Return how close to a kink a row must lie for the sample's minimum to have its side wrong."""
    everything = Globbing(objective, theta, np.inf, 0.0, 1)
    return width_around(objective, NEAR_KINKS(everything.ask(everything.init()), [sample], {}))
