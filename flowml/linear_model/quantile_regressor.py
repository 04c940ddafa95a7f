"""Linear regression of a quantile."""

from typing import Any

from sklearn.linear_model import QuantileRegressor as SklearnQuantileRegressor
from sklearn.pipeline import Pipeline

from flowml.data.dataset import Dataset
from flowml.linear_model.conversion import to_sklearn
from flowml.linear_model.linear_output import LinearOutput
from flowml.linear_model.survey import Survey
from flowml.linear_model.with_kinks import WithKinks
from flowml.losses.loss import Loss
from flowml.losses.pinball import PinballLoss
from flowml.parameters import check_number
from flowml.penalties.elastic_net import ElasticNet


class QuantileRegressor(LinearOutput, WithKinks):
    r"""Linear regression of a quantile instead of the mean, with a lasso penalty.

    Finds the coefficients b and the intercept a that minimise

    .. math:: \frac{1}{W} \sum_i w_i \left(q (y_i - x_i b - a)_+ + (1 - q) (x_i b + a - y_i)_+
              \right) + \alpha \|b\|_1

    with q = `quantile` and :math:`W = \sum_i w_i`. The intercept isn't penalised. The minimum lies
    on as many rows as there are coefficients, and is found exactly: a linear program over the rows
    near the predictor is solved in memory, and further passes see to it that no other row matters.
    Where several coefficients give the minimum, one of them is found.

    Parameters
    ----------
    quantile : float, default=0.5
        Between 0 and 1; 0.5 is the median.
    alpha : float, default=1.0
        The penalty, at least 0.
    fit_intercept : bool, default=True
    tol : float, default=1e-8
        Stop where the objective is above its minimum by at most this share.
    max_iter : int, default=100
        Most passes after the first.
    random_state : int, RandomState or None, default=None
        Draws the sample that the solver starts on; None is a fixed seed.
    warm_start : bool, default=False
        Start from the coefficients of the fit before.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,)
    intercept_ : float
    n_iter_ : int
        Steps on all rows.
    n_sample_iter_ : int
        Steps on the sample before.
    solver_used_, solver_reason_ : str
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features,)
        Where X had column names.
    n_passes_ : int
        Reads of the data that the fit took.
    history_ : DataFrame
        One row for each pass.

    References
    ----------
    R. Koenker & G. Bassett 1978, "Regression quantiles"; S. Portnoy & R. Koenker 1997, "The
    Gaussian hare and the Laplacian tortoise".

    Examples
    --------
    >>> import numpy as np
    >>> from flowml.linear_model import QuantileRegressor
    >>> X = np.arange(5.0)[:, np.newaxis]
    >>> y = np.array([0.0, 1.0, 2.0, 3.0, 90.0])
    >>> QuantileRegressor(alpha=0.0).fit(X, y).predict([[10.0]]).round(9)
    array([10.])
    """

    def __init__(
        self,
        *,
        quantile: float = 0.5,
        alpha: float = 1.0,
        fit_intercept: bool = True,
        tol: float = 1e-8,
        max_iter: int = 100,
        random_state: Any = None,
        warm_start: bool = False,
    ) -> None:
        self.quantile = quantile
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.tol = tol
        self.max_iter = max_iter
        self.random_state = random_state
        self.warm_start = warm_start

    def to_sklearn(self) -> SklearnQuantileRegressor | Pipeline:
        """Return a plain fitted scikit-learn estimator that predicts the same."""
        return to_sklearn(self, SklearnQuantileRegressor)

    def _loss(self, survey: Survey) -> Loss:
        return self._assumed_loss()

    def _assumed_loss(self) -> Loss:
        return PinballLoss(float(self.quantile))

    def _penalty(self, survey: Survey) -> ElasticNet:
        return ElasticNet(l1=float(self.alpha))

    def _check(self, dataset: Dataset) -> None:
        check_number(self, "quantile", 0.0)
        if not 0 < self.quantile < 1:
            raise ValueError(
                f"QuantileRegressor(quantile={self.quantile!r}): quantile must be between 0 and 1"
            )
        check_number(self, "alpha", 0.0)
        super()._check(dataset)
