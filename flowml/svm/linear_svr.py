"""Linear support vector regression."""

from collections.abc import Callable
from typing import Any

from sklearn.pipeline import Pipeline
from sklearn.svm import LinearSVR as SklearnLinearSVR

from flowml.data.dataset import Dataset
from flowml.linear_model.conversion import to_sklearn
from flowml.linear_model.linear_output import LinearOutput
from flowml.linear_model.survey import Survey
from flowml.linear_model.with_kinks import WithKinks
from flowml.losses.epsilon_insensitive import EpsilonInsensitiveLoss, SquaredEpsilonInsensitiveLoss
from flowml.losses.loss import Loss
from flowml.parameters import check_choice, check_number, check_positive
from flowml.penalties.elastic_net import ElasticNet

LOSSES: dict[str, Callable[[float], Loss]] = {
    "epsilon_insensitive": EpsilonInsensitiveLoss,
    "squared_epsilon_insensitive": SquaredEpsilonInsensitiveLoss,
}


class LinearSVR(LinearOutput, WithKinks):
    r"""Linear regression that doesn't mind errors of up to ε, with a ridge penalty.

    Finds the coefficients b and the intercept a that minimise

    .. math:: C \sum_i w_i\, \ell(y_i, x_i b + a) + \tfrac{1}{2} \|b\|^2

    with :math:`\ell(y, \eta) = (|y - \eta| - \epsilon)_+` or its square. The intercept isn't
    penalised, as scikit-learn's is. The squared loss goes the way of Newton's method; the other is
    found exactly: a quadratic program over the rows near the ends of the band is solved in memory,
    and further passes see to it that no other row matters.

    Parameters
    ----------
    epsilon : float, default=0.0
        At least 0.
    tol : float, default=1e-4
        For ``"epsilon_insensitive"`` stop where the objective is above its minimum by at most this
        share; for the squared loss where the steepest way down, without unit, is at most this.
    C : float, default=1.0
        How much the rows count against the penalty, above 0.
    loss : {"epsilon_insensitive", "squared_epsilon_insensitive"}
        By default the first.
    fit_intercept : bool, default=True
    random_state : int, RandomState or None, default=None
        Draws the sample that the solver starts on; None is a fixed seed.
    max_iter : int, default=1000
        Most passes after the first.
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
    V. Vapnik 1995, "The Nature of Statistical Learning Theory", chapter 6; C.-H. Ho & C.-J. Lin
    2012, "Large-scale linear support vector regression", Journal of Machine Learning Research 13.

    Examples
    --------
    >>> import numpy as np
    >>> from flowml.svm import LinearSVR
    >>> X = np.arange(5.0)[:, np.newaxis]
    >>> y = np.array([0.0, 1.0, 2.0, 3.0, 90.0])
    >>> LinearSVR(epsilon=0.1, C=10.0).fit(X, y).predict([[10.0]]).round(9)
    array([10.9])
    """

    def __init__(  # noqa: PLR0913 - scikit-learn's parameters
        self,
        *,
        epsilon: float = 0.0,
        tol: float = 1e-4,
        C: float = 1.0,
        loss: str = "epsilon_insensitive",
        fit_intercept: bool = True,
        random_state: Any = None,
        max_iter: int = 1000,
        warm_start: bool = False,
    ) -> None:
        self.epsilon = epsilon
        self.tol = tol
        self.C = C
        self.loss = loss
        self.fit_intercept = fit_intercept
        self.random_state = random_state
        self.max_iter = max_iter
        self.warm_start = warm_start

    def to_sklearn(self) -> SklearnLinearSVR | Pipeline:
        """Return a plain fitted scikit-learn estimator that predicts the same."""
        return to_sklearn(self, SklearnLinearSVR)

    def _loss(self, survey: Survey) -> Loss:
        return self._assumed_loss()

    def _assumed_loss(self) -> Loss:
        return LOSSES[self.loss](float(self.epsilon))

    def _penalty(self, survey: Survey) -> ElasticNet:
        return ElasticNet(l2=1.0 / (self.C * survey.weight))

    def _check(self, dataset: Dataset) -> None:
        check_number(self, "epsilon", 0.0)
        check_positive(self, "C")
        check_choice(self, "loss", tuple(LOSSES))
        super()._check(dataset)
