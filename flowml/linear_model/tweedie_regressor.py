"""Regression with a variance that is a power of the mean."""

from typing import Any

import numpy as np
from sklearn.linear_model import TweedieRegressor as SklearnTweedieRegressor
from sklearn.pipeline import Pipeline

from flowml.data.dataset import Dataset
from flowml.linear_model.conversion import to_sklearn_glm
from flowml.linear_model.generalized_linear_model import GeneralizedLinearModel
from flowml.losses.families import Family, family_of_power
from flowml.losses.links import LINKS, Link
from flowml.parameters import check_choice, check_number


class TweedieRegressor(GeneralizedLinearModel):
    r"""Regression of a target of which the variance is a power of the mean.

    Finds the coefficients b and the intercept a that minimise

    .. math:: \frac{1}{2 W} \sum_i w_i\, d(y_i, \mu_i) + \frac{\alpha}{2} \|b\|^2

    with :math:`W = \sum_i w_i`, the mean :math:`\mu = x b + a` or its exponential, and the unit
    deviance d of the family (`flowml.losses.families.Tweedie`). The intercept isn't penalised. One
    pass checks the target and draws a sample; the solver converges on the sample, then takes as few
    passes over all rows as it needs to get to the tolerance.

    Parameters
    ----------
    power : float, default=0
        0 is the normal distribution, 1 Poisson's, 2 the gamma and 3 the inverse Gaussian; between
        1 and 2 zeros and amounts above zero occur together. Not between 0 and 1.
    alpha : float, default=1.0
        The penalty, at least 0.
    fit_intercept : bool, default=True
    link : {"auto", "identity", "log"}, default="auto"
        "auto" is the identity for a power of 0 or less, else the logarithm.
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
    PoissonRegressor, GammaRegressor : Powers of 1 and 2.
    GeneralizedLinearRegressor : Any family, with offsets, elastic net and bounds.

    References
    ----------
    B. Jørgensen 1987, "Exponential dispersion models", Journal of the Royal Statistical Society B
    49.

    Examples
    --------
    >>> import numpy as np
    >>> from flowml.linear_model import TweedieRegressor
    >>> X = np.array([[0.0], [0.0], [1.0], [1.0]])
    >>> model = TweedieRegressor(power=1.5, alpha=0.0, tol=1e-9)
    >>> model = model.fit(X, np.array([0.0, 4.0, 5.0, 3.0]))
    >>> model.predict([[0.0], [1.0]]).round(6)
    array([2., 4.])
    """

    def __init__(  # noqa: PLR0913 - scikit-learn's parameters
        self,
        *,
        power: float = 0.0,
        alpha: float = 1.0,
        fit_intercept: bool = True,
        link: str = "auto",
        categorical: Any = None,
        solver: str = "auto",
        tol: float = 1e-4,
        max_iter: int = 100,
        random_state: Any = None,
        warm_start: bool = False,
    ) -> None:
        self.power = power
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.link = link
        self.categorical = categorical
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.random_state = random_state
        self.warm_start = warm_start

    def to_sklearn(self) -> SklearnTweedieRegressor | Pipeline:
        """Return a plain fitted scikit-learn estimator that predicts the same."""
        return to_sklearn_glm(self, SklearnTweedieRegressor)

    def _family(self) -> Family:
        return family_of_power(self.power)

    def _link(self) -> Link:
        return super()._link() if self.link == "auto" else LINKS[self.link]

    def _check(self, dataset: Dataset) -> None:
        check_number(self, "power", -np.inf)
        check_choice(self, "link", ("auto", "identity", "log"))
        super()._check(dataset)
