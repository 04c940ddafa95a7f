"""Predictions of a linear model as they are, and their R²."""

from functools import partial
from typing import Any

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_is_fitted

from flowml.estimator import PassEstimator, adopt
from flowml.kernels.squared_error import SQUARED_ERROR, Predictor, r_squared
from flowml.linear_model.base import linear
from flowml.prediction import apply


class LinearOutput(RegressorMixin, PassEstimator):
    """A linear predictor that predicts its target as it is."""

    coef_: Any
    intercept_: Any

    def predict(self, X: Any) -> Any:
        r"""Return :math:`X b + a` for each row.

        Parameters
        ----------
        X : any input of shape (n_rows, n_features)

        Returns
        -------
        array or Series of shape (n_rows,)
        """
        check_is_fitted(self)
        function = partial(linear, np.atleast_2d(self.coef_), np.atleast_1d(self.intercept_))
        return apply(self, X, function)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Return R², in one pass over the data.

        Parameters
        ----------
        X, y, sample_weight : as for `fit`

        Returns
        -------
        float
            1 for a perfect prediction, 0 for that of the mean.
        """
        check_is_fitted(self)
        dataset = adopt(self, X, y, sample_weight, self.needs, reset=False)
        coef = np.atleast_2d(self.coef_).astype(np.float64)
        intercept = np.atleast_1d(np.asarray(self.intercept_, np.float64))
        predictor = Predictor(coef, intercept, getattr(self, "encoding_", None))
        return float(r_squared(self._summarise(dataset, SQUARED_ERROR, predictor)).mean())
