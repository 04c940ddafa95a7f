"""Least squares with a penalty on the absolute values of the coefficients."""

from typing import Any

from sklearn.linear_model import Lasso as SklearnLasso
from sklearn.pipeline import Pipeline

from flowml.linear_model.conversion import to_sklearn
from flowml.linear_model.elastic_net import ElasticNet


class Lasso(ElasticNet):
    r"""Least squares with a penalty that sets coefficients to zero, from one pass over the rows.

    Finds the coefficients b and the intercept a that minimise

    .. math:: \frac{1}{2 W} \sum_i w_i (y_i - x_i b - a)^2 + \alpha \|b\|_1

    with :math:`W = \sum_i w_i`. How the passes go is as for `ElasticNet`.

    Parameters
    ----------
    alpha : float, default=1.0
        The penalty, at least 0.
    fit_intercept : bool, default=True
    max_iter : int, default=1000
        Most sweeps over the coefficients, or passes over the rows.
    tol : float, default=1e-4
        Coordinate descent stops at a duality gap of at most this share of y's mean square; other
        solvers where the steepest way down, without unit, is at most this.
    warm_start : bool, default=False
        Start from the coefficients of the fit before; matters where there are several passes.
    positive : bool, default=False
        Keep coefficients at or above zero.
    random_state : int, RandomState or None, default=None
        Draws the sample that a solver of several passes starts on.
    solver : {"auto", "gram", "newton", "fista", "block_descent", "admm"}, default="auto"
    categorical : CategoricalEncoding, optional
        How categorical columns enter.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,)
    intercept_ : float
    dual_gap_ : float
        How far the objective is from its minimum at most.
    n_iter_ : int
        Sweeps over the coefficients, or steps on all rows.
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

    See Also
    --------
    ElasticNet : With squares in the penalty too.

    References
    ----------
    R. Tibshirani 1996, "Regression shrinkage and selection via the lasso", Journal of the Royal
    Statistical Society B 58.

    Examples
    --------
    >>> import numpy as np
    >>> from flowml.linear_model import Lasso
    >>> X = np.array([[-1.0, 1.0], [0.0, -2.0], [1.0, 1.0]])
    >>> model = Lasso(alpha=0.5).fit(X, np.array([-1.0, 0.0, 1.0]))
    >>> model.coef_.round(9)
    array([0.25, 0.  ])
    """

    l1_ratio = 1.0

    def __init__(  # noqa: PLR0913 - scikit-learn's parameters
        self,
        alpha: float = 1.0,
        *,
        fit_intercept: bool = True,
        max_iter: int = 1000,
        tol: float = 1e-4,
        warm_start: bool = False,
        positive: bool = False,
        random_state: Any = None,
        solver: str = "auto",
        categorical: Any = None,
    ) -> None:
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.tol = tol
        self.warm_start = warm_start
        self.positive = positive
        self.random_state = random_state
        self.solver = solver
        self.categorical = categorical

    def to_sklearn(self) -> SklearnLasso | Pipeline:
        """Return a plain fitted scikit-learn estimator that predicts the same."""
        return to_sklearn(self, SklearnLasso)
