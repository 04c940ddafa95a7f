"""Linear regression that outliers can't pull far."""

from dataclasses import replace
from functools import partial
from typing import Any, Self

import numpy as np
from sklearn.linear_model import HuberRegressor as SklearnHuberRegressor
from sklearn.pipeline import Pipeline

from flowml.data.dataset import Dataset
from flowml.data.map_rows import of_rows
from flowml.drive.procedure import Procedure
from flowml.estimator import adopt
from flowml.kernels.one_hot import Encoding
from flowml.kernels.rows import Array, Block
from flowml.linear_model.base import linear
from flowml.linear_model.conversion import to_sklearn
from flowml.linear_model.linear_output import LinearOutput
from flowml.linear_model.minimising import Minimum, Options
from flowml.linear_model.survey import Survey
from flowml.linear_model.with_kinks import WithKinks
from flowml.losses.epsilon_insensitive import EpsilonInsensitiveLoss
from flowml.losses.huber import HuberLoss, spread
from flowml.losses.loss import Loss
from flowml.parameters import check_number
from flowml.penalties.elastic_net import ElasticNet
from flowml.solvers.globbing import MOST_COLUMNS
from flowml.solvers.objective import Objective

LEAST_SCALE = 1e-8
"""Of the target's spread: a scale below this is taken for an exact fit."""


class HuberRegressor(LinearOutput, WithKinks):
    r"""Least squares for errors of up to ε scales, absolute errors beyond; ridge penalty.

    Finds the coefficients b, the intercept a and the scale :math:`\sigma > 0` that minimise

    .. math:: \sum_i w_i \left(\sigma + H_\epsilon\left(\frac{y_i - x_i b - a}{\sigma}\right)
              \sigma\right) + \alpha \|b\|^2

    with :math:`H_\epsilon(z) = z^2` for :math:`|z| < \epsilon` and
    :math:`2 \epsilon |z| - \epsilon^2` beyond. Scale and intercept aren't penalised.

    With :math:`\epsilon = 1` no scale is too small: the infimum, at :math:`\sigma = 0`, is that of
    :math:`2 \sum_i w_i |y_i - x_i b - a| + \alpha \|b\|^2`, and is found as a quantile
    regression's is.

    Parameters
    ----------
    epsilon : float, default=1.35
        At least 1. At 1.35 the estimate is 95 % as efficient as least squares where errors are
        normal; at 1 it is the most robust: the least absolute deviations.
    max_iter : int, default=100
        Most passes after the first.
    alpha : float, default=0.0001
        The penalty, at least 0.
    warm_start : bool, default=False
        Start from the coefficients of the fit before.
    fit_intercept : bool, default=True
    solver : {"auto", "newton", "lbfgs"}, default="auto"
        No matter for an `epsilon` of 1.
    tol : float, default=1e-5
        Stop where the steepest way down, without unit, is at most this; for an `epsilon` of 1 where
        the objective is above its minimum by at most this share.
    random_state : int, RandomState or None, default=None
        Draws the sample that the solver starts on; None is a fixed seed.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,)
    intercept_ : float
    scale_ : float
        σ; 0 for an `epsilon` of 1, and next to nothing where no σ is small enough: for an `epsilon`
        of up to about :math:`\sqrt{n / (n - p)}`. The coefficients are those of absolute errors
        then.
    outliers_ : bool array of shape (n_rows,)
        The training rows whose error is larger than :math:`\epsilon \sigma`; for lazy X a lazy
        Dask array, which reads X again when it is computed, and which isn't pickled with the
        estimator.
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
    P. J. Huber & E. M. Ronchetti 2009, "Robust Statistics", section 7.7.

    Examples
    --------
    >>> import numpy as np
    >>> from flowml.linear_model import HuberRegressor
    >>> X = np.arange(10.0)[:, np.newaxis]
    >>> y = 2.0 * X[:, 0] + np.tile([0.1, -0.1], 5)
    >>> y[7] = 100.0
    >>> model = HuberRegressor().fit(X, y)
    >>> model.coef_.round(2), np.flatnonzero(model.outliers_)
    (array([2.]), array([7]))
    """

    of_training_rows = ("outliers_",)

    def __init__(  # noqa: PLR0913 - scikit-learn's parameters
        self,
        *,
        epsilon: float = 1.35,
        max_iter: int = 100,
        alpha: float = 0.0001,
        warm_start: bool = False,
        fit_intercept: bool = True,
        solver: str = "auto",
        tol: float = 1e-5,
        random_state: Any = None,
    ) -> None:
        self.epsilon = epsilon
        self.max_iter = max_iter
        self.alpha = alpha
        self.warm_start = warm_start
        self.fit_intercept = fit_intercept
        self.solver = solver
        self.tol = tol
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Fit the model.

        Parameters
        ----------
        X : array, CSR array, frame, Dask collection or Dataset of shape (n_rows, n_features)
            float32 gives float32 coefficients, anything else float64; sums are in float64.
        y : array or Dask collection of shape (n_rows,)
            None for a Dataset, which has its own.
        sample_weight : array or Dask array of shape (n_rows,), optional
            A weight of 2 is the row twice, a weight of 0 the row absent.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            If input or a parameter can't be used, naming what and where.
        """
        super().fit(X, y, sample_weight)
        self._mark_rows(adopt(self, X, y, sample_weight, self.needs, reset=False))
        return self

    def to_sklearn(self) -> SklearnHuberRegressor | Pipeline:
        """Return a plain fitted scikit-learn estimator that predicts the same."""
        return to_sklearn(self, SklearnHuberRegressor)

    def _loss(self, survey: Survey) -> Loss:
        if self._is_absolute:
            return self._assumed_loss()
        assert survey.sample.y is not None
        assert survey.sample.weight is not None
        least = LEAST_SCALE * spread(survey.sample.y, survey.sample.weight)
        return HuberLoss(float(self.epsilon), least)

    def _assumed_loss(self) -> Loss:
        if self._is_absolute:
            return EpsilonInsensitiveLoss(0.0)  # half of the objective
        return HuberLoss(float(self.epsilon), LEAST_SCALE)

    def _minimise(
        self, objective: Objective, survey: Survey, options: Options, warm: Array | None
    ) -> Procedure[Minimum]:
        r"""Minimise; where the scale falls to nothing, as that of absolute errors.

        With ε up to about :math:`\sqrt{n / (n - p)}` no scale above zero is best: the objective is
        then :math:`2 \epsilon` times the absolute errors.
        """
        minimum = yield from super()._minimise(objective, survey, options, warm)
        loss = objective.loss
        if not isinstance(loss, HuberLoss) or minimum.intercept[1] > loss.least:
            return minimum
        if objective.shape[1] > MOST_COLUMNS:
            return minimum
        penalty = ElasticNet(l2=self.alpha / (self.epsilon * survey.weight))
        errors = replace(objective, loss=EpsilonInsensitiveLoss(0.0), penalty=penalty)
        start = errors.parameters(minimum.coef[:1], minimum.intercept[:1])
        found = yield from super()._minimise(errors, survey, options, start)
        return found._replace(
            intercept=np.append(found.intercept, minimum.intercept[1]),
            n_iter=minimum.n_iter + found.n_iter,
        )

    def _penalty(self, survey: Survey) -> ElasticNet:
        return ElasticNet(l2=(1.0 if self._is_absolute else 2.0) * self.alpha / survey.weight)

    @property
    def _is_absolute(self) -> bool:
        return bool(self.epsilon == 1.0)

    def _adopt(self, minimum: Minimum, dtype: Any) -> None:
        super()._adopt(minimum, dtype)
        self.scale_ = 0.0 if self._is_absolute else float(minimum.intercept[1])

    def _warm_parameters(self, objective: Objective) -> Array | None:
        if not hasattr(self, "coef_") or len(self.coef_) != len(objective.center):
            return None
        if self._is_absolute:
            return super()._warm_parameters(objective)
        coef = np.stack([self.coef_, np.zeros_like(self.coef_)]).astype(np.float64)
        return objective.parameters(coef, np.array([self.intercept_, self.scale_]))

    def _mark_rows(self, dataset: Dataset) -> None:
        """Tell which rows are off by more than ε scales, lazily for lazy rows."""
        limit = self.epsilon * self.scale_
        encoding = getattr(self, "encoding_", None)
        outlying = partial(_outlying, self.coef_, self.intercept_, limit, encoding)
        self.outliers_ = of_rows(dataset, outlying, np.empty(0, dtype=bool))

    def _check(self, dataset: Dataset) -> None:
        check_number(self, "epsilon", 1.0)
        super()._check(dataset)
        check_number(self, "alpha", 0.0)


def _outlying(
    coef: Array, intercept: float, limit: float, encoding: Encoding | None, block: Block
) -> Array:
    """Tell which rows are off by more than a limit."""
    columns = block.X if encoding is None else encoding.apply(block.X)
    predicted = linear(np.atleast_2d(coef), np.atleast_1d(intercept), columns)
    far: Array = np.abs(block.y - predicted[:, 0]) > limit
    return far
