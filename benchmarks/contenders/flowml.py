"""flowml."""

from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.contenders.inputs import ITERATIONS, arrays, on_workers, parquet, start
from benchmarks.contenders.results import centres, coefficients, inertia, moments
from benchmarks.contenders.turn import Run, Work, timed
from flowml import read_parquet
from flowml.cluster import KMeans
from flowml.linear_model import LinearRegression
from flowml.preprocessing import StandardScaler


def k_means(work: Work, algorithm: str = "auto") -> KMeans:
    """Make the k-means of the jobs in which all start from the same centres."""
    first = start(work)
    return KMeans(
        len(first), init=first, n_init=1, max_iter=ITERATIONS, tol=0.0, algorithm=algorithm
    )


@contextmanager
def linear_regression(work: Work) -> Iterator[Run]:
    X, y = arrays(work)
    times = work.options.get("times", 1)
    yield timed(lambda: LinearRegression().fit(X, y), coefficients, times)


@contextmanager
def linear_regression_on_workers(work: Work) -> Iterator[Run]:
    with on_workers(work) as (X, y):
        yield timed(lambda: LinearRegression().fit(X, y), coefficients)


@contextmanager
def linear_regression_from_parquet(work: Work) -> Iterator[Run]:
    files = parquet(work)
    yield timed(lambda: LinearRegression().fit(read_parquet(files, target="y")), coefficients)


@contextmanager
def k_means_in_process(work: Work) -> Iterator[Run]:
    (X, _), model = arrays(work), k_means(work)
    yield timed(lambda: model.fit(X), centres, work.options.get("times", 1))


@contextmanager
def k_means_own_start(work: Work) -> Iterator[Run]:
    X, _ = arrays(work)
    for _ in range(work.options.get("fits_before", 0)):
        KMeans(8, random_state=0).fit(X)
    yield timed(lambda: KMeans(8, random_state=0).fit(X), inertia, work.options.get("times", 1))


@contextmanager
def k_means_on_workers(work: Work) -> Iterator[Run]:
    model = k_means(work)
    with on_workers(work) as (X, _):
        yield timed(lambda: model.fit(X), centres)


@contextmanager
def standard_scaler(work: Work) -> Iterator[Run]:
    X, _ = arrays(work)
    yield timed(lambda: StandardScaler().fit(X), moments)
