"""scikit-learn-intelex: oneDAL behind scikit-learn's interface, used by import, not by patching."""

from collections.abc import Iterator
from contextlib import contextmanager

from sklearnex.linear_model import LinearRegression, LogisticRegression

from benchmarks.contenders.inputs import arrays
from benchmarks.contenders.reaching import reaching
from benchmarks.contenders.results import coefficients
from benchmarks.contenders.turn import Run, Work, timed


@contextmanager
def linear_regression(work: Work) -> Iterator[Run]:
    X, y = arrays(work)
    yield timed(lambda: LinearRegression().fit(X, y), coefficients)


@contextmanager
def logistic(work: Work) -> Iterator[Run]:
    X, y = arrays(work)
    yield reaching(work, lambda tol: LogisticRegression(tol=tol, max_iter=10_000).fit(X, y))
