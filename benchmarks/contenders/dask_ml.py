"""dask-ml, on the data that it is given persisted."""

from collections.abc import Iterator
from contextlib import contextmanager

import dask.dataframe as dd
from dask_ml.cluster import KMeans
from dask_ml.linear_model import LinearRegression, LogisticRegression

from benchmarks.contenders.inputs import ITERATIONS, on_workers, parquet, start
from benchmarks.contenders.reaching import reaching
from benchmarks.contenders.results import centres, coefficients
from benchmarks.contenders.turn import Run, Work, timed


@contextmanager
def linear_regression_on_workers(work: Work) -> Iterator[Run]:
    with on_workers(work) as (X, y):
        yield timed(lambda: LinearRegression(solver="newton").fit(X, y), coefficients)


@contextmanager
def linear_regression_from_parquet(work: Work) -> Iterator[Run]:
    files = parquet(work)

    def fit() -> LinearRegression:
        values = dd.read_parquet(files).to_dask_array(lengths=True)
        return LinearRegression(solver="newton").fit(values[:, :-1], values[:, -1])

    yield timed(fit, coefficients)


@contextmanager
def k_means_on_workers(work: Work) -> Iterator[Run]:
    first = start(work)
    with on_workers(work) as (X, _):
        model = KMeans(len(first), init=first, max_iter=ITERATIONS, tol=0.0)
        yield timed(lambda: model.fit(X), centres)


@contextmanager
def logistic_on_workers(work: Work) -> Iterator[Run]:
    solver = work.options["solver"]

    def fit(tol: float) -> LogisticRegression:
        return LogisticRegression(solver=solver, tol=tol, max_iter=1000, C=1.0).fit(X, y)

    with on_workers(work) as (X, y):
        yield reaching(work, fit)
