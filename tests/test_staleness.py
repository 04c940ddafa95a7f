"""What staleness gains where workers are slowed down at random, in a time that is only counted."""

from typing import NamedTuple

import numpy as np
import pytest

from flowml.kernels.linear_loss import Target
from flowml.kernels.rows import Array, Block
from flowml.losses.squared import SquaredLoss
from flowml.penalties.elastic_net import ElasticNet
from flowml.runtimes.blas import one_blas_thread
from flowml.runtimes.shard import Leaf
from flowml.solvers.objective import Objective
from flowml.solvers.sgd import Schedule, Sgd, SgdState
from tests.paces import time_taken

N_WORKERS, ROWS, COLUMNS = 8, 4_000, 50


class Descent(NamedTuple):
    """A descent that is to come near the least mean square."""

    solver: Sgd
    leaves: list[Leaf]
    lines: Array
    y: Array
    enough: float

    def is_near(self, state: SgdState) -> bool:
        coef, intercept = self.solver.objective.coefficients(state.theta)
        errors = self.y - self.lines @ np.append(coef, intercept)
        return bool(np.square(errors).mean() <= self.enough)


def descent() -> Descent:
    random = np.random.default_rng(0)
    X = random.normal(size=(ROWS, COLUMNS))
    y = X @ np.linspace(-1, 1, COLUMNS) + 3 + random.normal(size=ROWS)
    lines = np.column_stack([X, np.ones(ROWS)])
    least = np.square(y - lines @ np.linalg.lstsq(lines, y)[0]).mean()
    objective = Objective(SquaredLoss(), ElasticNet(), Target(), X.mean(axis=0), X.std(axis=0))
    schedule = Schedule(0.02, 0.0, False, 500, False, 0)
    solver = Sgd(objective, np.zeros(objective.shape), 0.0, 500, schedule)
    size = ROWS // N_WORKERS
    leaves = [
        Leaf(number, [Block(X[low : low + size], y[low : low + size], None, low)])
        for number, low in enumerate(range(0, ROWS, size))
    ]
    return Descent(solver, leaves, lines, y, 1.005 * float(least))


@pytest.mark.parametrize("seed", range(2))
def test_staleness_comes_to_the_same_objective_half_as_soon_again(seed: int) -> None:
    with one_blas_thread():
        task = descent()
        together, clocks_together = time_taken(task.solver, task.leaves, task.is_near, 0, seed)
        task = descent()
        stale, stale_clocks = time_taken(task.solver, task.leaves, task.is_near, 3, seed)
    assert together >= 1.5 * stale
    assert stale_clocks <= 1.1 * clocks_together, "steps from older states are as good"
