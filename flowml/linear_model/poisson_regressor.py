"""Poisson regression: counts."""

from typing import Any

from sklearn.linear_model import PoissonRegressor as SklearnPoissonRegressor
from sklearn.pipeline import Pipeline

from flowml.linear_model.conversion import to_sklearn_glm
from flowml.linear_model.generalized_linear_model import GeneralizedLinearModel
from flowml.losses.families import Family, Poisson


class PoissonRegressor(GeneralizedLinearModel):
    r"""Regression of counts: a Poisson distribution with the mean :math:`\mu = e^{x b + a}`.

    Finds the coefficients b and the intercept a that minimise

    .. math:: \frac{1}{W} \sum_i w_i \big(\mu_i - y_i \log \mu_i\big) + \frac{\alpha}{2} \|b\|^2

    (half the mean deviance but for a constant), with :math:`W = \sum_i w_i`. The intercept isn't
    penalised. One pass checks the target and draws a sample; the solver converges on the sample,
    then takes as few passes over all rows as it needs to get to the tolerance.

    Parameters
    ----------
    alpha : float, default=1.0
        The penalty, at least 0.
    fit_intercept : bool, default=True
    categorical : CategoricalEncoding, optional
        How categorical columns enter.
    solver : {"auto", "newton", "lbfgs", "fista", "block_descent", "admm"}, default="auto"
    tol : float, default=1e-4
        Stop where the steepest way down, without unit, is at most this: without a penalty the
        largest correlation of a column with the loss's derivative.
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

    See Also
    --------
    GeneralizedLinearRegressor : Any family, with offsets, elastic net and bounds.

    References
    ----------
    P. McCullagh & J. A. Nelder 1989, "Generalized Linear Models", chapter 6.

    Examples
    --------
    >>> import numpy as np
    >>> from flowml.linear_model import PoissonRegressor
    >>> X = np.array([[0.0], [0.0], [1.0], [1.0]])
    >>> model = PoissonRegressor(alpha=0.0, tol=1e-9).fit(X, np.array([1.0, 3.0, 5.0, 3.0]))
    >>> model.predict([[0.0], [1.0]]).round(6)
    array([2., 4.])
    """

    def __init__(  # noqa: PLR0913 - scikit-learn's parameters
        self,
        *,
        alpha: float = 1.0,
        fit_intercept: bool = True,
        categorical: Any = None,
        solver: str = "auto",
        tol: float = 1e-4,
        max_iter: int = 100,
        random_state: Any = None,
        warm_start: bool = False,
    ) -> None:
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.categorical = categorical
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.random_state = random_state
        self.warm_start = warm_start

    def to_sklearn(self) -> SklearnPoissonRegressor | Pipeline:
        """Return a plain fitted scikit-learn estimator that predicts the same."""
        return to_sklearn_glm(self, SklearnPoissonRegressor)

    def _family(self) -> Family:
        return Poisson()
