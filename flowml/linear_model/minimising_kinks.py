"""A loss made of straight lines: from the sample's minimum to the solver for all rows."""

import numpy as np

from flowml.kernels.near_kinks import NEAR_KINKS
from flowml.kernels.rows import Array, Block
from flowml.linear_model.survey import Survey
from flowml.solvers.globbing import MOST_COLUMNS, Globbing, width_around
from flowml.solvers.in_memory import solve_in_memory
from flowml.solvers.objective import Objective

GLOBBING = "globbing", "the loss is made of straight lines"
"""The solver's name, and why it is that one."""
SAMPLE_PRECISION = 1e-5
"""Finer than the sample's own error."""


def globbing(
    objective: Objective, survey: Survey, tol: float, max_iter: int, warm: Array | None
) -> tuple[Globbing, int]:
    """Return the solver that starts where the sample leads, and how many steps that took.

    Parameters
    ----------
    objective : Objective
        Its loss is a `KinkedLoss`.
    survey : Survey
    tol : float
    max_iter : int
    warm : ndarray of shape (1, n_features + 1) or None
        Parameters to start from.

    Raises
    ------
    ValueError
        If there are too many columns for a problem in memory.
    """
    check_columns(objective.shape[1])
    start, width, n_sample_iter = np.zeros(objective.shape), np.inf, 0
    if warm is not None:
        start = warm
    elif survey.is_thin:
        alone = Globbing(objective, start, np.inf, 1.0, 1, SAMPLE_PRECISION)
        state, n_sample_iter = solve_in_memory(alone, [survey.sample])
        start = state.theta
    if survey.is_thin:
        width = _width(objective, start, survey.sample)
    return Globbing(objective, start, width, tol, max_iter), n_sample_iter


def check_columns(n_columns: int) -> None:
    """Refuse more columns than the problem of the rows near their kinks can have."""
    if n_columns > MOST_COLUMNS:
        raise ValueError(
            f"{n_columns:,} columns: a loss with kinks is solved in memory, for at most "
            f"{MOST_COLUMNS:,}; choose one without kinks, such as a squared one"
        )


def _width(objective: Objective, theta: Array, sample: Block) -> float:
    """Return how close to a kink a row must lie for the sample's minimum to have its side wrong."""
    everything = Globbing(objective, theta, np.inf, 0.0, 1)
    return width_around(objective, NEAR_KINKS(everything.ask(everything.init()), [sample], {}))
