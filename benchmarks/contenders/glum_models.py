"""glum, with its native categorical columns."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from glum import GeneralizedLinearRegressor

from benchmarks.contenders.inputs import frame
from benchmarks.contenders.reaching import reaching
from benchmarks.contenders.turn import Run, Work


@contextmanager
def poisson_of_categories(work: Work) -> Iterator[Run]:
    (X, y), alpha = frame(work), work.options["problem"]["alpha"]
    solver = work.options["solver"]

    def fit(tol: float) -> Any:
        model = GeneralizedLinearRegressor(
            family="poisson",
            alpha=alpha,
            l1_ratio=0.0,
            solver=solver,
            gradient_tol=tol,
            max_iter=500,
        )
        return model.fit(X, y)

    yield reaching(work, fit, lambda model: (np.asarray(model.coef_), model.intercept_))
