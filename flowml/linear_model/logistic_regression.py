"""Logistic regression of two classes or more."""

from functools import partial
from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.linear_model import LogisticRegression as SklearnLogisticRegression
from sklearn.utils.validation import check_is_fitted

from flowml.data.dataset import Dataset
from flowml.estimator import Needs, adopt
from flowml.kernels.linear_loss import Target
from flowml.kernels.rows import Array
from flowml.linear_model.base import linear
from flowml.linear_model.conversion import to_sklearn
from flowml.linear_model.linear_predictor import LinearPredictor
from flowml.linear_model.minimising import Minimum
from flowml.linear_model.survey import Survey
from flowml.losses.logistic import LogisticLoss
from flowml.losses.loss import Loss
from flowml.losses.multinomial import MultinomialLoss
from flowml.parameters import check_number
from flowml.penalties.elastic_net import ElasticNet
from flowml.prediction import apply


class LogisticRegression(ClassifierMixin, LinearPredictor):
    r"""Logistic regression with an elastic-net penalty, of two classes or more.

    Finds the coefficients b and intercepts a that minimise

    .. math:: C \sum_i w_i\, \ell(y_i, x_i b + a) + \rho \|b\|_1 + \frac{1 - \rho}{2} \|b\|^2

    with the logistic loss of two classes or the multinomial loss of more, and :math:`\rho` =
    `l1_ratio`. Intercepts aren't penalised. One pass counts the labels and draws a sample; the
    solver converges on the sample, then takes as few passes over all rows as it needs to get to
    the tolerance.

    Parameters
    ----------
    C : float, default=1.0
        How much the rows count against the penalty, above 0; ``np.inf`` is no penalty.
    l1_ratio : float, default=0.0
        Share of the absolute values in the penalty, from 0 (ridge) to 1 (lasso).
    fit_intercept : bool, default=True
    class_weight : dict, "balanced" or None, default=None
        By which rows' weights are multiplied, by label; "balanced" gives each class the same
        total weight.
    solver : {"auto", "newton"}, default="auto"
    tol : float, default=1e-4
        Stop where the steepest way down, without unit, is at most this: without a penalty the
        largest correlation of a column with the loss's derivative.
    max_iter : int, default=100
        Most passes after the first.
    random_state : int, RandomState or None, default=None
        Draws the sample that the solver starts on.
    warm_start : bool, default=False
        Start from the coefficients of the fit before.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    coef_ : ndarray of shape (1, n_features) or (n_classes, n_features)
    intercept_ : ndarray of shape (1,) or (n_classes,)
    n_iter_ : ndarray of shape (1,)
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
    P. McCullagh & J. A. Nelder 1989, "Generalized Linear Models", chapters 4 and 5.

    Examples
    --------
    >>> import numpy as np
    >>> from flowml.linear_model import LogisticRegression
    >>> X = np.array([[0.0], [1.0], [2.0], [3.0]])
    >>> model = LogisticRegression().fit(X, np.array(["no", "no", "yes", "yes"]))
    >>> model.predict([[0.5], [2.5]])
    array(['no', 'yes'], dtype='<U3')
    >>> model.predict_proba([[1.5]]).round(9)
    array([[0.5, 0.5]])
    """

    needs = Needs(target=True, many_passes=True, one_target=True, labels=True)

    def __init__(
        self,
        *,
        C: float = 1.0,
        l1_ratio: float = 0.0,
        fit_intercept: bool = True,
        class_weight: Any = None,
        solver: str = "auto",
        tol: float = 1e-4,
        max_iter: int = 100,
        random_state: Any = None,
        warm_start: bool = False,
    ) -> None:
        self.C = C
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.class_weight = class_weight
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.random_state = random_state
        self.warm_start = warm_start

    def decision_function(self, X: Any) -> Any:
        """Return the linear predictor of each row.

        Parameters
        ----------
        X : any input of shape (n_rows, n_features)

        Returns
        -------
        array, Series or DataFrame of shape (n_rows,), or (n_rows, n_classes) for three or more
        """
        check_is_fitted(self)
        names, several = self._class_names(), len(self.coef_) > 1
        return apply(
            self,
            X,
            partial(linear, self.coef_, self.intercept_),
            names if several else None,
            len(self.coef_) if several else None,
        )

    def predict_proba(self, X: Any) -> Any:
        """Return the probability of each class.

        Parameters
        ----------
        X : any input of shape (n_rows, n_features)

        Returns
        -------
        array or DataFrame of shape (n_rows, n_classes)
        """
        check_is_fitted(self)
        function = partial(probabilities, self.coef_, self.intercept_)
        return apply(self, X, function, self._class_names(), len(self.classes_))

    def predict_log_proba(self, X: Any) -> Any:
        """Return the logarithms of `predict_proba`."""
        return np.log(self.predict_proba(X))

    def predict(self, X: Any) -> Any:
        """Return the most probable class of each row.

        Parameters
        ----------
        X : any input of shape (n_rows, n_features)

        Returns
        -------
        array or Series of shape (n_rows,)
        """
        check_is_fitted(self)
        function = partial(most_probable, self.coef_, self.intercept_, self.classes_)
        return apply(self, X, function, dtype=self.classes_.dtype)

    def to_sklearn(self) -> SklearnLogisticRegression:
        """Return a plain fitted scikit-learn estimator that predicts the same."""
        return to_sklearn(self, SklearnLogisticRegression)

    def _loss(self, survey: Survey) -> Loss:
        self.classes_ = self._found_classes(survey)
        return LogisticLoss() if len(self.classes_) == 2 else MultinomialLoss(len(self.classes_))

    def _found_classes(self, survey: Survey) -> Array:
        assert survey.labels is not None
        labels = survey.labels.labels
        if len(labels) < 2:
            raise ValueError(
                f"y holds one class only, {labels[0]!r}: {type(self).__name__} needs at least 2 "
                "classes"
            )
        return labels

    def _penalty(self, survey: Survey) -> ElasticNet:
        price = 1.0 / (self.C * self._total_weight(survey))
        return ElasticNet(l1=price * self.l1_ratio, l2=price * (1 - self.l1_ratio))

    def _target(self, survey: Survey) -> Target:
        return Target(self.classes_, self._class_weights(survey))

    def _class_weights(self, survey: Survey) -> Array | None:
        assert survey.labels is not None
        if self.class_weight is None:
            return None
        if self.class_weight == "balanced":
            rows = survey.labels.rows
            return np.asarray(rows.sum() / (len(rows) * rows))
        weights = [self.class_weight.get(label, 1.0) for label in self.classes_.tolist()]
        return np.array(weights, dtype=np.float64)

    def _total_weight(self, survey: Survey) -> float:
        assert survey.labels is not None
        factors = self._class_weights(survey)
        weights = survey.labels.weights
        return float(weights.sum() if factors is None else weights @ factors)

    def _adopt(self, minimum: Minimum, dtype: Any) -> None:
        self.coef_ = minimum.coef.astype(dtype)
        self.intercept_ = minimum.intercept.astype(dtype)
        self.n_iter_ = np.array([minimum.n_iter], dtype=np.int32)
        self._adopt_course(minimum)

    def _check(self, dataset: Dataset) -> None:
        super()._check(dataset)
        if not (isinstance(self.C, float | int) and self.C > 0):
            raise ValueError(f"LogisticRegression(C={self.C!r}): C must be a number above 0")
        check_number(self, "l1_ratio", 0.0)

    def _assumed_loss(self) -> Loss:
        return LogisticLoss()

    def _class_names(self) -> list[str]:
        return [str(label) for label in self.classes_]


def probabilities(coef: Array, intercept: Array, X: Any) -> Array:
    """Return each row's probabilities of the classes."""
    eta = linear(coef, intercept, X)
    if eta.shape[1] == 1:
        eta = np.column_stack([-eta / 2, eta / 2])
    odds = np.exp(eta - eta.max(axis=1, initial=-np.inf, keepdims=True))
    shares: Array = odds / odds.sum(axis=1, keepdims=True)
    return shares


def most_probable(coef: Array, intercept: Array, classes: Array, X: Any) -> Array:
    """Return each row's most probable class."""
    eta = linear(coef, intercept, X)
    best = (eta[:, 0] > 0).astype(np.intp) if eta.shape[1] == 1 else eta.argmax(axis=1)
    chosen: Array = classes[best]
    return chosen
