"""Linear regression by stochastic gradient descent."""

from typing import Any, Self

from sklearn.linear_model import SGDRegressor as SklearnSGDRegressor
from sklearn.pipeline import Pipeline

from flowml.data.dataset import Dataset
from flowml.linear_model.conversion import to_sklearn
from flowml.linear_model.linear_regressor import LinearRegressor
from flowml.linear_model.stochastic import StochasticPredictor, check_epsilon
from flowml.linear_model.survey import Survey
from flowml.losses.epsilon_insensitive import (
    EpsilonInsensitiveLoss,
    SquaredEpsilonInsensitiveLoss,
)
from flowml.losses.huber import FixedHuberLoss
from flowml.losses.loss import Loss
from flowml.losses.squared import SquaredLoss
from flowml.parameters import check_choice

LOSSES = ("squared_error", "huber", "epsilon_insensitive", "squared_epsilon_insensitive")


class SGDRegressor(StochasticPredictor, LinearRegressor):
    r"""Linear regression by stochastic gradient descent with averaging.

    Finds the coefficients b and the intercept a that minimise

    .. math:: \frac{1}{W} \sum_i w_i\, \ell(y_i, x_i b + a)
              + \alpha \rho \|b\|_1 + \frac{\alpha (1 - \rho)}{2} \|b\|^2

    with :math:`W = \sum_i w_i`. How the epochs go is as for `SGDClassifier`.

    Parameters
    ----------
    loss : {"squared_error", "huber", "epsilon_insensitive", "squared_epsilon_insensitive"}, \
default="squared_error"
        The squared error counts half; "huber" is the same up to an error of `epsilon`, and straight
        beyond.
    penalty : {"l2", "l1", "elasticnet", None}, default="l2"
    alpha : float, default=0.0001
        How much the penalty counts, at least 0.
    l1_ratio : float, default=0.15
        Share of the absolute values in an "elasticnet" penalty.
    fit_intercept : bool, default=True
    max_iter : int, default=1000
        Most epochs.
    tol : float, default=1e-3
        Stop where the steepest way down, without unit, is at most this, or where the objective has
        not fallen by such a share for `n_iter_no_change` epochs in turn.
    shuffle : bool, default=True
        Whether the rows of a leaf are shuffled for each epoch.
    epsilon : float, default=0.1
        Errors up to this cost nothing with the insensitive losses; beyond it "huber" is straight.
    random_state : int, RandomState or None, default=None
        Draws the sample, and shuffles.
    learning_rate : {"optimal", "constant", "invscaling", "adaptive"}, default="optimal"
        The lengths of the steps, see `SGDClassifier`.
    eta0 : float, default=0.01
        In columns' units of their standard deviation.
    power_t : float, default=0.25
    n_iter_no_change : int, default=5
    warm_start : bool, default=False
        Start from the coefficients of the fit before.
    average : bool, default=True
        Whether the coefficients are the mean of all steps, later epochs counting more, or the
        leaves' mean after the last.
    categorical : CategoricalEncoding, optional
        How categorical columns enter.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,)
    intercept_ : float
    n_iter_ : int
        Epochs.
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
    B. T. Polyak & A. B. Juditsky 1992, "Acceleration of stochastic approximation by averaging",
    SIAM Journal on Control and Optimization 30.

    Examples
    --------
    >>> import numpy as np
    >>> from flowml.linear_model import SGDRegressor
    >>> X = np.linspace(-1, 1, 200)[:, np.newaxis]
    >>> model = SGDRegressor(random_state=0).fit(X, 2 * X[:, 0] + 1)
    >>> model.coef_.round(1), round(float(model.intercept_), 1)
    (array([2.]), 1.0)
    """

    def __init__(  # noqa: PLR0913 - scikit-learn's parameters
        self,
        loss: str = "squared_error",
        *,
        penalty: str | None = "l2",
        alpha: float = 0.0001,
        l1_ratio: float = 0.15,
        fit_intercept: bool = True,
        max_iter: int = 1000,
        tol: float = 1e-3,
        shuffle: bool = True,
        epsilon: float = 0.1,
        random_state: Any = None,
        learning_rate: str = "optimal",
        eta0: float = 0.01,
        power_t: float = 0.25,
        n_iter_no_change: int = 5,
        warm_start: bool = False,
        average: bool = True,
        categorical: Any = None,
    ) -> None:
        self.loss = loss
        self.penalty = penalty
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.tol = tol
        self.shuffle = shuffle
        self.epsilon = epsilon
        self.random_state = random_state
        self.learning_rate = learning_rate
        self.eta0 = eta0
        self.power_t = power_t
        self.n_iter_no_change = n_iter_no_change
        self.warm_start = warm_start
        self.average = average
        self.categorical = categorical

    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Go one epoch further on a batch of rows.

        Parameters
        ----------
        X, y, sample_weight : as for `fit`

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            As `fit`, or if features differ from those of the batches before.
        """
        return self._one_epoch(X, y, sample_weight)

    def to_sklearn(self) -> SklearnSGDRegressor | Pipeline:
        """Return a plain fitted scikit-learn estimator that predicts the same."""
        return to_sklearn(self, SklearnSGDRegressor)

    def _loss(self, survey: Survey) -> Loss:
        return self._assumed_loss()

    def _assumed_loss(self) -> Loss:
        if self.loss == "squared_error":
            return SquaredLoss()
        if self.loss == "huber":
            return FixedHuberLoss(self.epsilon)
        if self.loss == "epsilon_insensitive":
            return EpsilonInsensitiveLoss(self.epsilon)
        return SquaredEpsilonInsensitiveLoss(self.epsilon)

    def _check(self, dataset: Dataset) -> None:
        check_choice(self, "loss", LOSSES)
        check_epsilon(self)
        super()._check(dataset)
