"""scikit-learn's models that minimise an objective, and its searches."""

from collections.abc import Iterator
from contextlib import contextmanager

from sklearn.linear_model import (
    ElasticNetCV,
    LogisticRegression,
    LogisticRegressionCV,
    PoissonRegressor,
)
from threadpoolctl import threadpool_limits

from benchmarks.contenders.inputs import arrays, sparse_arrays
from benchmarks.contenders.reaching import reaching
from benchmarks.contenders.results import chosen
from benchmarks.contenders.turn import Run, Work, timed

ITERATIONS = 10_000


@contextmanager
def logistic(work: Work) -> Iterator[Run]:
    X, y = sparse_arrays(work) if work.options.get("sparse") else arrays(work)
    solver = work.options["solver"]
    yield reaching(
        work,
        lambda tol: LogisticRegression(solver=solver, tol=tol, max_iter=ITERATIONS).fit(X, y),
    )


@contextmanager
def poisson(work: Work) -> Iterator[Run]:
    X, y = arrays(work)
    options = {"alpha": work.options["problem"]["alpha"], "solver": work.options["solver"]}
    yield reaching(
        work, lambda tol: PoissonRegressor(**options, tol=tol, max_iter=ITERATIONS).fit(X, y)
    )


@contextmanager
def elastic_net_path(work: Work) -> Iterator[Run]:
    (X, y), model = arrays(work), ElasticNetCV(**work.options)
    yield timed(lambda: model.fit(X, y), chosen)


@contextmanager
def logistic_path(work: Work) -> Iterator[Run]:
    (X, y), model = arrays(work), LogisticRegressionCV(**work.options)
    with threadpool_limits(1):
        yield timed(lambda: model.fit(X, y), chosen)
