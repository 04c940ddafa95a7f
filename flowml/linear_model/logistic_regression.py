"""Logistic regression of two classes or more."""

from functools import partial
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression as SklearnLogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from flowml.data.dataset import Dataset
from flowml.kernels.rows import Array
from flowml.linear_model.base import linear
from flowml.linear_model.conversion import to_sklearn
from flowml.linear_model.glm_summary import GlmSummary
from flowml.linear_model.linear_classifier import LinearClassifier
from flowml.linear_model.survey import Survey
from flowml.losses.logistic import LogisticLoss
from flowml.losses.loss import Loss
from flowml.losses.multinomial import MultinomialLoss
from flowml.parameters import check_share
from flowml.penalties.elastic_net import ElasticNet
from flowml.prediction import apply_by_class


class LogisticRegression(GlmSummary, LinearClassifier):
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
        How much the rows count against the penalty, above 0; ``np.inf`` is no penalty. A
        `ConvergenceWarning` then names columns that separate classes, wholly or for some rows.
    l1_ratio : float, default=0.0
        Share of the absolute values in the penalty, from 0 (ridge) to 1 (lasso).
    fit_intercept : bool, default=True
    class_weight : dict, "balanced" or None, default=None
        By which rows' weights are multiplied, by label; "balanced" gives each class the same
        total weight.
    solver : {"auto", "newton", "lbfgs", "fista", "block_descent", "admm"}, default="auto"
        "lbfgs" takes no `l1_ratio`. "auto" is "newton" where a pass with curvature costs little
        enough (of dense columns up to about 330; more of few rows), else "lbfgs" or, with
        `l1_ratio`, "fista". "newton" keeps what `summary()` needs; after another solver it takes
        the rows, ``summary(X, y)``. "block_descent" is for coded columns whose workers are late
        again and again: it steps along what came.
    tol : float, default=1e-4
        Stop where the steepest way down, without unit, is at most this: without a penalty the
        largest correlation of a column with the loss's derivative.
    max_iter : int, default=100
        Most passes after the first.
    random_state : int, RandomState or None, default=None
        Draws the sample that the solver starts on; None is a fixed seed.
    warm_start : bool, default=False
        Start from the coefficients of the fit before.
    categorical : CategoricalEncoding, optional
        How categorical columns enter.

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

    def __init__(  # noqa: PLR0913 - scikit-learn's parameters
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
        categorical: Any = None,
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
        self.categorical = categorical

    def predict_proba(self, X: Any) -> Any:
        """Return the probability of each class.

        Parameters
        ----------
        X : any input of shape (n_rows, n_features)

        Returns
        -------
        array of shape (n_rows, n_classes), a Dask frame for one
        """
        check_is_fitted(self)
        function = partial(probabilities, self.coef_, self.intercept_)
        return apply_by_class(self, X, function, self.classes_)

    def predict_log_proba(self, X: Any) -> Any:
        """Return the logarithms of `predict_proba`."""
        return np.log(self.predict_proba(X))

    def to_sklearn(self) -> SklearnLogisticRegression | Pipeline:
        """Return a plain fitted scikit-learn estimator that predicts the same."""
        return to_sklearn(self, SklearnLogisticRegression)

    def _loss_of(self, n_classes: int) -> Loss:
        return LogisticLoss() if n_classes == 2 else MultinomialLoss(n_classes)

    def _penalty(self, survey: Survey) -> ElasticNet:
        price = 1.0 / (self.C * self._total_weight(survey))
        return ElasticNet(l1=price * self.l1_ratio, l2=price * (1 - self.l1_ratio))

    def _check(self, dataset: Dataset) -> None:
        super()._check(dataset)
        if not (isinstance(self.C, float | int) and self.C > 0):
            raise ValueError(f"LogisticRegression(C={self.C!r}): C must be a number above 0")
        check_share(self, "l1_ratio")


def probabilities(coef: Array, intercept: Array, X: Any) -> Array:
    """Return each row's probabilities of the classes."""
    return shares(linear(coef, intercept, X))


def shares(eta: Array) -> Array:
    """Return the probabilities of the classes, from the rows' predictors."""
    if eta.shape[1] == 1:
        eta = np.column_stack([-eta / 2, eta / 2])
    odds = np.exp(eta - eta.max(axis=1, initial=-np.inf, keepdims=True))
    found: Array = odds / odds.sum(axis=1, keepdims=True)
    return found
