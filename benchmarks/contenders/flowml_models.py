"""flowml's models that minimise an objective, and its searches."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from benchmarks.contenders.inputs import arrays, frame, on_workers, sparse_arrays
from benchmarks.contenders.reaching import passes, reaching
from benchmarks.contenders.results import chosen, coefficients
from benchmarks.contenders.turn import Run, Work, timed
from flowml import config_context, linear_model
from flowml.linear_model import (
    ElasticNetCV,
    LogisticRegression,
    PoissonRegressor,
    Ridge,
    RidgeCV,
)


@contextmanager
def logistic(work: Work) -> Iterator[Run]:
    X, y = sparse_arrays(work) if work.options.get("sparse") else arrays(work)
    yield reaching(work, lambda tol: LogisticRegression(tol=tol).fit(X, y), count=passes)


@contextmanager
def logistic_on_workers(work: Work) -> Iterator[Run]:
    solver = work.options.get("solver", "auto")
    runtime = work.options.get("runtime", "dataflow")
    with on_workers(work) as (X, y), config_context(runtime=runtime):
        yield reaching(
            work, lambda tol: LogisticRegression(solver=solver, tol=tol).fit(X, y), count=passes
        )


@contextmanager
def poisson(work: Work) -> Iterator[Run]:
    (X, y), alpha = arrays(work), work.options["problem"]["alpha"]
    yield reaching(work, lambda tol: PoissonRegressor(alpha=alpha, tol=tol).fit(X, y), count=passes)


@contextmanager
def poisson_of_categories(work: Work) -> Iterator[Run]:
    (X, y), alpha = frame(work), work.options["problem"]["alpha"]
    yield reaching(work, lambda tol: PoissonRegressor(alpha=alpha, tol=tol).fit(X, y), count=passes)


@contextmanager
def elastic_net_path(work: Work) -> Iterator[Run]:
    (X, y), model = arrays(work), ElasticNetCV(**work.options)
    yield timed(lambda: model.fit(X, y), chosen)


@contextmanager
def ridge_path(work: Work) -> Iterator[Run]:
    (X, y), model = arrays(work), _ridge_path(work)
    yield timed(lambda: model.fit(X, y), coefficients)


@contextmanager
def ridge_once(work: Work) -> Iterator[Run]:
    """Fit with the penalty that the path chooses."""
    X, y = arrays(work)
    model = Ridge(alpha=_ridge_path(work).fit(X, y).alpha_)
    yield timed(lambda: model.fit(X, y), coefficients)


def _ridge_path(work: Work) -> RidgeCV:
    return RidgeCV(alphas=np.logspace(-3, 3, work.options["alphas"]), cv=work.options["cv"])


@contextmanager
def logistic_path(work: Work) -> Iterator[Run]:
    (X, y), model = arrays(work), linear_model.LogisticRegressionCV(**work.options)
    with config_context(n_threads=1):
        yield timed(lambda: model.fit(X, y), chosen)
