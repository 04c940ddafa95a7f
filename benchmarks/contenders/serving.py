"""Stochastic gradients from a parameter server, on workers that are slowed down now and then."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import dask.array as da
import numpy as np
from distributed import Client, LocalCluster

import flowml
from benchmarks.contenders.inputs import arrays
from benchmarks.contenders.turn import Run, Turn, Work
from flowml.estimator import Needs, adopt
from flowml.kernels.fold import Fold
from flowml.kernels.linear_loss import Target
from flowml.linear_model import SGDRegressor
from flowml.losses.squared import SquaredLoss
from flowml.penalties.elastic_net import ElasticNet
from flowml.runtimes.choose import open_runtime
from flowml.solvers.objective import Objective
from flowml.solvers.sgd import Schedule, Sgd

PACE = 0.15
"""Seconds that a pass over a worker's rows takes when nothing slows it down."""
FACTOR = 3.0
BECOMES_SLOW, RECOVERS = 0.2, 0.5
"""Chances within the time of a pass: slow for two of them on average."""
TICKS = 4
"""Of a chain, for each `PACE`."""
STEP = 0.01
ENOUGH = 1.005
"""Times the least objective."""
MOST_PASSES = 500


class Slowness:
    """A Markov chain in time: full speed or a third of it.

    Parameters
    ----------
    seed : int
    """

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self._begun = time.monotonic()
        self._slow: list[bool] = [
            bool(self._random.random() < BECOMES_SLOW / (BECOMES_SLOW + RECOVERS))
        ]

    def seconds(self) -> float:
        """Return how long a pass takes that begins now."""
        tick = PACE / TICKS
        begin = (time.monotonic() - self._begun) / tick
        at, left = begin, float(TICKS)
        while left > 0:
            speed = 1.0 / FACTOR if self._is_slow(int(at)) else 1.0
            span = min(int(at) + 1 - at, left / speed)
            at, left = at + span, left - span * speed
        return (at - begin) * tick

    def _is_slow(self, number: int) -> bool:
        while len(self._slow) <= number:
            turns = (RECOVERS if self._slow[-1] else BECOMES_SLOW) / TICKS
            self._slow.append(self._slow[-1] != bool(self._random.random() < turns))
        return self._slow[number]


def slowed(fold: Fold, ask: Any, rows: Any, memory: dict[str, Any]) -> Any:
    """Summarise, and take as long as the worker takes now."""
    slowness = memory.setdefault("slowness", Slowness(rows[0].start))
    ends = time.monotonic() + slowness.seconds()
    summary = fold(ask, rows, memory.setdefault("rows", {}))
    time.sleep(max(0.0, ends - time.monotonic()))
    return summary


class SlowedSgd(Sgd):
    """Stochastic gradients on such workers."""

    @property
    def fold(self) -> Fold:
        """Slowed."""
        fold = super().fold
        return Fold(partial(slowed, fold), fold.merge, uses_memory=True, finite=fold.finite)


@contextmanager
def descent(work: Work) -> Iterator[Run]:
    """Descend until the objective is near its least; tell how long that took."""
    X, y = arrays(work)
    n_rows = len(X)
    lines = np.column_stack([X, np.ones(n_rows)])
    least = mean_loss(lines, y, np.linalg.lstsq(lines, y)[0])
    objective = Objective(
        SquaredLoss(), ElasticNet(0.0, 0.0), Target(), X.mean(axis=0), X.std(axis=0)
    )
    schedule = Schedule(STEP, 0.0, False, MOST_PASSES, False, 0)
    solver = SlowedSgd(objective, np.zeros(objective.shape), 0.0, MOST_PASSES, schedule)
    n_workers, staleness = work.options["workers"], work.options["staleness"]
    chunk = -(-n_rows // n_workers)

    def run() -> Turn:
        data = da.from_array(X, chunks=(chunk, -1)), da.from_array(y, chunks=chunk)
        dataset = adopt(SGDRegressor(), *data, None, Needs(target=True))
        runtime = open_runtime(dataset, flowml.get_config())
        try:
            return _descend(runtime, solver, partial(mean_loss, lines, y), ENOUGH * least)
        finally:
            runtime.close()

    with (
        LocalCluster(n_workers=n_workers, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster) as client,
        flowml.config_context(client=client, runtime="parameter_server", staleness=staleness),
    ):
        yield run


def _descend(runtime: Any, solver: Sgd, value: Any, enough: float) -> Turn:
    state, started, passes = solver.init(), time.perf_counter(), 0
    for advance in runtime.iterate(solver, state):
        passes += len(advance.turns)
        coef, intercept = solver.objective.coefficients(advance.state.theta)
        reached = value(np.append(coef, intercept))
        if reached <= enough:
            seconds = time.perf_counter() - started
            return Turn(seconds, {"objective": reached}, {"passes": float(passes)})
    raise RuntimeError(f"the objective is not below {enough:.6g} after {passes} passes")


def mean_loss(lines: np.ndarray, y: np.ndarray, coef: np.ndarray) -> float:
    """Return half the mean squared error of a linear model."""
    return float(np.square(y - lines @ coef).mean() / 2)
