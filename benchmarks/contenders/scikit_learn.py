"""scikit-learn, with the threads it takes by default."""

from collections.abc import Iterator
from contextlib import contextmanager

from sklearn.cluster import KMeans
from sklearn.linear_model import LinearRegression
from sklearn.preprocessing import StandardScaler

from benchmarks.contenders.inputs import ITERATIONS, arrays, start
from benchmarks.contenders.results import centres, coefficients, inertia, moments
from benchmarks.contenders.turn import Run, Work, timed


@contextmanager
def linear_regression(work: Work) -> Iterator[Run]:
    X, y = arrays(work)
    times = work.options.get("times", 1)
    yield timed(lambda: LinearRegression().fit(X, y), coefficients, times)


@contextmanager
def k_means(work: Work) -> Iterator[Run]:
    (X, _), first = arrays(work), start(work)
    model = KMeans(
        len(first),
        init=first,
        n_init=1,
        max_iter=ITERATIONS,
        tol=0.0,
        algorithm=work.options["algorithm"],
    )
    yield timed(lambda: model.fit(X), centres, work.options.get("times", 1))


@contextmanager
def k_means_own_start(work: Work) -> Iterator[Run]:
    X, _ = arrays(work)
    yield timed(lambda: KMeans(8, random_state=0).fit(X), inertia, work.options.get("times", 1))


@contextmanager
def standard_scaler(work: Work) -> Iterator[Run]:
    X, _ = arrays(work)
    yield timed(lambda: StandardScaler().fit(X), moments)
