"""Least squares with too many columns for their products: by an iteration instead of one pass."""

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from flowml.data.schema import Schema
from flowml.drive.procedure import Procedure
from flowml.drive.stage import Stage
from flowml.kernels.level_weights import LevelWeights
from flowml.kernels.linear_loss import Target
from flowml.kernels.one_hot import Encoding
from flowml.kernels.sample import SAMPLE
from flowml.linear_model.categorical import spread_of_levels
from flowml.linear_model.minimising import Minimum, Options, minimise
from flowml.linear_model.solver_choice import planned
from flowml.linear_model.survey import STAGE, sample_ask, survey
from flowml.losses.squared import SquaredLoss
from flowml.penalties.elastic_net import ElasticNet
from flowml.solvers.objective import Objective

MOST_COLUMNS, MOST_SPARSE_COLUMNS = 10_000, 2_000
"""Up to here the columns' products are summed: 800 MB, and for CSR and labels, of which a row has
few, far more work to solve than the rows are worth (10,000 columns take minutes)."""
TOLERANCE = 1e-7
"""Largest correlation of a column with what is left of y."""
MOST_PASSES = 1000
NO_SUMS = (
    "the fit of so many columns kept no products of them: there are no standard errors, and no "
    "batches can be put together"
)


def is_wide(schema: Schema, encoding: Encoding | None = None) -> bool:
    """Tell whether there are too many columns for their products."""
    if encoding is not None:
        return encoding.n_columns > MOST_SPARSE_COLUMNS
    return schema.n_features > (MOST_SPARSE_COLUMNS if schema.sparse else MOST_COLUMNS)


def least_squares(
    schema: Schema,
    n_rows: int | None,
    levels: LevelWeights | None,
    encoding: Encoding | None,
    alpha: float,
    fit_intercept: bool,
) -> Procedure[Minimum]:
    """Minimise the squared error and a penalty, by L-BFGS.

    Raises
    ------
    ValueError
        If there are several targets.
    """
    if schema.n_targets > 1:
        raise ValueError(
            f"y has {schema.n_targets} columns, but with so many columns of X least squares takes "
            "one target at a time"
        )
    numbers = replace(schema, categorical=())
    found = yield from survey(numbers, n_rows, fit_intercept, seed=0)
    center, scale = found.center, found.spread
    if levels is not None and encoding is not None:
        spread = spread_of_levels(levels, encoding)
        center, scale = np.append(center, np.zeros(len(spread))), np.append(scale, spread)
        found = found._replace(levels=levels)
    penalty = ElasticNet(l2=alpha / found.weight)
    objective = Objective(SquaredLoss(), penalty, Target(), center, scale, fit_intercept, encoding)
    minimum = yield from minimise(objective, found, Options("lbfgs", TOLERANCE, MOST_PASSES))
    if not minimum.converged:
        warnings.warn(
            f"least squares came no closer to its minimum than {minimum.violation:.1e} (it should "
            f"be {TOLERANCE:.0e}) in {minimum.n_iter} steps: scale the columns, or use Ridge",
            ConvergenceWarning,
            stacklevel=6,
        )
    return minimum


def stages(schema: Schema) -> list[Stage]:
    """Describe the passes."""
    ask: Any = sample_ask(schema, None, 0)
    solver = planned("lbfgs", SquaredLoss(), schema.n_features, MOST_PASSES)
    columns = 8 * schema.n_features
    note = f"lbfgs: {schema.n_features:,} columns are too many for their products"
    return [
        Stage(STAGE, SAMPLE, ask, 1, 8 * columns),
        Stage("fit", solver.fold, solver.ask(solver.init()), MOST_PASSES, 8 * columns, note=note),
    ]
