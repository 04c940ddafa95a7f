"""A start within the bounds, and where every row's loss is finite."""

from dataclasses import replace

import numpy as np

from flowml.kernels.linear_loss import LOSS_GRADIENT, Target
from flowml.kernels.rows import Array, Block
from flowml.losses.family_loss import FamilyLoss
from flowml.losses.loss import Loss
from flowml.losses.squared import SquaredLoss
from flowml.solvers.in_memory import solve_in_memory
from flowml.solvers.newton import Newton
from flowml.solvers.objective import Objective, Start

TOLERANCE, PASSES = 1e-6, 50


def feasible(objective: Objective, sample: Block, theta: Array) -> Array:
    """Return parameters to start from: others only where the given ones can't be.

    With some links not every predictor has a mean, as with the identity for counts. Then the start
    is the least-squares fit to the link of means between each row's target and that of all rows,
    from which iteratively reweighted least squares start everywhere.

    Parameters
    ----------
    objective : Objective
    sample : Block
    theta : ndarray of shape (n_outputs, n_features + 1)
    """
    theta = np.column_stack([objective.price.prox(theta[:, :-1], 0.0), theta[:, -1]])
    loss = objective.loss
    if not isinstance(loss, FamilyLoss) or loss.takes_any_predictor:
        return theta
    sums = LOSS_GRADIENT(objective.point(theta), [sample], {})
    if np.isfinite(sums.value) or sums.broken:  # the next pass names what isn't finite
        return theta
    y, weight = objective.target.read(sample)
    wanted = loss.predictors(y, weight) - np.reshape(objective.target.added(sample), -1)
    squares = replace(
        objective,
        loss=SquaredLoss(),
        target=Target(),
        penalty=objective.penalty.times(0.0),
    )
    rows = [sample._replace(y=wanted, weight=weight)]
    state, _ = solve_in_memory(
        Newton(squares, Start(theta, theta, np.inf), TOLERANCE, PASSES), rows
    )
    nearby: Array = state.theta
    return nearby


def check_finite(loss: Loss, value: float) -> None:
    """Refuse a minimisation that never found a finite value.

    Raises
    ------
    ValueError
        Saying what to change.
    """
    if isinstance(loss, FamilyLoss) and not np.isfinite(value):
        raise ValueError(
            "the loss is infinite at the start: with this link some rows' predictions are no means "
            "that the family allows. Add an intercept, drop bounds, or use link='log' ('logit' for "
            "a binomial target), which allow every prediction"
        )
