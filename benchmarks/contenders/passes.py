"""What one pass over persisted chunks costs flowml, whatever the number of chunks."""

from collections.abc import Iterator
from contextlib import contextmanager

import flowml
from benchmarks.contenders.flowml import k_means
from benchmarks.contenders.inputs import on_workers
from benchmarks.contenders.results import centres
from benchmarks.contenders.turn import Run, Turn, Work, timed
from flowml.estimator import adopt
from flowml.kernels.gram import GRAM
from flowml.linear_model import LinearRegression
from flowml.runtimes.choose import open_runtime

PASSES = 10


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
