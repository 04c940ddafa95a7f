"""What staleness gains where workers are slowed down at random, in a time that is only counted."""

import heapq
from typing import NamedTuple

import numpy as np
import pytest

from flowml.kernels.linear_loss import Target
from flowml.kernels.rows import Array, Block
from flowml.losses.squared import SquaredLoss
from flowml.penalties.elastic_net import ElasticNet
from flowml.runtimes.blas import one_blas_thread
from flowml.runtimes.packed import pack
from flowml.runtimes.parameter_server.clocks import Clocks, Push
from flowml.runtimes.shard import Leaf, summarise_leaves
from flowml.solvers.objective import Objective
from flowml.solvers.sgd import Schedule, Sgd

N_WORKERS, ROWS, COLUMNS = 8, 4_000, 50
FACTOR, BECOMES_SLOW, RECOVERS = 3.0, 0.2, 0.5
"""Slow for two passes on average, 29 % of the time."""
TICKS = 4
"""Of the Markov chain in the time of a pass."""
MESSAGES = 0.05
"""Of the time of a pass."""


class Slowness:
    """A worker's speed: whole or a third."""

    def __init__(self, seed: int, worker: int) -> None:
        self.random = np.random.default_rng([seed, worker])
        self.slow = [bool(self.random.random() < BECOMES_SLOW / (BECOMES_SLOW + RECOVERS))]

    def end(self, start: float) -> float:
        """Return when a pass that starts then has ended."""
        at, left = start * TICKS, float(TICKS)
        while left > 1e-12:
            while len(self.slow) <= int(at):
                turns = (RECOVERS if self.slow[-1] else BECOMES_SLOW) / TICKS
                self.slow.append(self.slow[-1] != bool(self.random.random() < turns))
            speed = 1.0 / FACTOR if self.slow[int(at)] else 1.0
            span = min(int(at) + 1 - at, left / speed)
            at, left = at + span, left - span * speed
        return at / TICKS + MESSAGES


class Descent(NamedTuple):
    """A descent that is to come near the least mean square."""

    solver: Sgd
    leaves: list[Leaf]
    lines: Array
    y: Array
    enough: float

    def is_near(self, theta: Array) -> bool:
        coef, intercept = self.solver.objective.coefficients(theta)
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


def time_taken(task: Descent, staleness: int, seed: int) -> tuple[float, int]:
    """Return when the state of a whole clock is near the least, and after how many clocks."""
    solver, workers = task.solver, [Slowness(seed, worker) for worker in range(N_WORKERS)]
    clocks = Clocks(solver, solver.init(), N_WORKERS, staleness)
    now, n_clocks = 0.0, 0
    running: list[tuple[float, int, Push]] = []
    idle = set(range(N_WORKERS))
    while True:
        for worker in sorted(idle):
            order = clocks.order(worker)
            if order is not None:
                packed = pack(summarise_leaves([task.leaves[worker]], solver.fold, order.ask))
                push = Push(order.round, order.clock, packed)
                heapq.heappush(running, (workers[worker].end(now), worker, push))
                idle.discard(worker)
        now, worker, push = heapq.heappop(running)
        clocks.push(worker, push)
        idle.add(worker)
        advance = clocks.tell()
        n_clocks += len(advance.turns)
        if advance.turns and task.is_near(advance.state.theta):
            return now, n_clocks


@pytest.mark.parametrize("seed", range(2))
def test_staleness_comes_to_the_same_objective_half_as_soon_again(seed: int) -> None:
    with one_blas_thread():
        task = descent()
        together, clocks_together = time_taken(task, 0, seed)
        stale, stale_clocks = time_taken(task, 3, seed)
    assert together >= 1.5 * stale
    assert stale_clocks <= 1.1 * clocks_together, "steps from older states are as good"
