"""Ordinary least squares."""

from typing import Any

import numpy as np
from sklearn.base import RegressorMixin

from flowml.estimator import Needs, PassEstimator
from flowml.kernels.gram import GRAM
from flowml.solvers.least_squares import solve_gram
from flowml.solvers.one_pass import OnePass


class LinearRegression(RegressorMixin, PassEstimator):
    """Ordinary least squares."""

    needs = Needs(target=True)

    def __init__(self, *, fit_intercept: bool = True) -> None:
        self.fit_intercept = fit_intercept

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> "LinearRegression":
        """Fit."""
        with self._training(X, y, sample_weight) as session:
            gram = session.solve("gram", OnePass(GRAM)).summary
            fit = solve_gram(gram, self.n_features_in_, np.zeros(1), self.fit_intercept)
            self.coef_, self.intercept_ = fit.coef[0], fit.intercept[0]
        return self
