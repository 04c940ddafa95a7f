"""The best constant beside an offset: what a fit with offsets is compared to."""

from dataclasses import dataclass

import numpy as np

from flowml.drive.procedure import Procedure, Step
from flowml.kernels.fold import Fold
from flowml.kernels.no_columns import CONSTANT_CURVATURE
from flowml.linear_model.minimising import without_features
from flowml.linear_model.survey import Survey
from flowml.penalties.elastic_net import ElasticNet
from flowml.solvers.in_memory import solve_in_memory
from flowml.solvers.newton import Newton
from flowml.solvers.objective import Objective, Start

STAGE = "null model"
TOLERANCE, PASSES = 1e-6, 20
"""With which the deviance has some ten digits: it is flat at the minimum."""


@dataclass(frozen=True, eq=False)
class ConstantNewton(Newton):
    """Newton's method for the one number that a predictor without columns has."""

    @property
    def fold(self) -> Fold:
        """Value, slope and curvature."""
        return CONSTANT_CURVATURE


def null_value(fitted: Objective, survey: Survey) -> Procedure[float]:
    """Return the sum of the losses of the best constant beside the offsets.

    It starts at that of the sample, from where a pass or two lead to that of all rows.

    Parameters
    ----------
    fitted : Objective
        Of the model with its columns.
    survey : Survey
    """
    nothing = np.zeros(0)
    objective = Objective(fitted.loss, ElasticNet(), fitted.target, nothing, nothing)
    sample = survey.sample._replace(X=np.empty((survey.sample.X.shape[0], 0)))
    theta = without_features(objective, sample)
    start = Start(theta, theta, np.inf)
    near, _ = solve_in_memory(ConstantNewton(objective, start, TOLERANCE, PASSES), [sample])
    start = start._replace(theta=near.theta)
    state = yield Step(STAGE, ConstantNewton(objective, start, TOLERANCE, PASSES))
    if state.sums is None:
        return np.nan
    # the last step isn't looked at: on it, the loss falls by half of what its slope promises
    return float(state.sums.value + 0.5 * state.promise * state.sums.weight)
