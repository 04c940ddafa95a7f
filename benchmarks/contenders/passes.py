"""What one pass over persisted chunks costs flowml, whatever the number of chunks."""

import statistics
from collections.abc import Iterator
from contextlib import contextmanager

import flowml
from benchmarks.contenders.flowml import k_means
from benchmarks.contenders.inputs import on_workers
from benchmarks.contenders.results import centres
from benchmarks.contenders.turn import Run, Turn, Work, timed
from flowml.estimator import adopt
from flowml.kernels.column_moments import COLUMN_MOMENTS, ColumnMoments
from flowml.kernels.gram import GRAM
from flowml.linear_model import LinearRegression
from flowml.preprocessing import StandardScaler
from flowml.runtimes.choose import open_runtime
from flowml.solvers.solver import Progress

PASSES, EMPTY_PASSES = 10, 200


@contextmanager
def gram(work: Work) -> Iterator[Run]:
    """Repeat the pass of linear regression on shards that are there already."""
    with on_workers(work) as (X, y):
        dataset = adopt(LinearRegression(), X, y, None, LinearRegression.needs)
        runtime = open_runtime(dataset, flowml.get_config())
        try:
            yield timed(
                lambda: runtime.one_pass(GRAM, None),
                lambda summary: {"mean": summary.mean.tolist()},
                PASSES,
            )
        finally:
            runtime.close()


@contextmanager
def lloyd(work: Work) -> Iterator[Run]:
    """Take the passes of a k-means fit after the first, as its history has them."""

    model = k_means(work, algorithm="lloyd")

    def run() -> Turn:
        model.fit(X)
        return Turn(float(model.history_["seconds"].iloc[1:].median()), centres(model))

    with on_workers(work) as (X, _):
        yield run


class Repeated:
    """Ask the same of the rows time after time: a solver that has nothing to do.

    Parameters
    ----------
    passes : int
    """

    fold = COLUMN_MOMENTS

    def __init__(self, passes: int) -> None:
        self.max_passes = passes

    def init(self) -> int:
        return 0

    def ask(self, state: int) -> None:
        return None

    def step(self, state: int, summary: ColumnMoments) -> int:
        return state + 1

    def done(self, state: int) -> bool:
        return state >= self.max_passes

    def progress(self, state: int) -> Progress:
        return Progress(0.0, 0.0)


@contextmanager
def empty(work: Work) -> Iterator[Run]:
    """Take passes over next to no rows."""

    def run() -> Turn:
        runtime = open_runtime(dataset, flowml.get_config())
        try:
            advances = list(runtime.iterate(Repeated(EMPTY_PASSES), 0))
        finally:
            runtime.close()
        seconds = statistics.median(turn.seconds for one in advances for turn in one.turns)
        return Turn(seconds, {"passes": advances[-1].state}, {"milliseconds": 1e3 * seconds})

    with on_workers(work) as (X, _), flowml.config_context(runtime=work.options["runtime"]):
        dataset = adopt(StandardScaler(), X, None, None, StandardScaler.needs)
        yield run
