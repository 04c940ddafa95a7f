"""The lasso whose penalty is chosen by cross-validation."""

from typing import Any

from flowml.linear_model.elastic_net_cv import PathCV


class LassoCV(PathCV):
    r"""Linear regression with absolute values as penalty, of the strength that does best.

    For each strength :math:`\alpha` of a descending grid, coefficients b and intercept a minimise

    .. math:: \frac{1}{2 W} \sum_i w_i (y_i - x_i b - a)^2 + \alpha \|b\|_1

    with :math:`W = \sum_i w_i`. One pass sums up a Gram matrix for each split; every fit and every
    error follows from these.

    Parameters
    ----------
    eps : float, default=1e-3
        The grid's least penalty, as a share of its largest.
    alphas : int or array of shape (n_alphas,), default=100
        The penalties, or how many: then a geometric grid down from the one at which every
        coefficient is zero.
    fit_intercept : bool, default=True
    max_iter : int, default=1000
        Most sweeps over the coefficients for each penalty.
    tol : float, default=1e-4
        Stop at a duality gap of at most this share of y's mean square.
    cv : int, splitter or iterable of pairs of index arrays, default=None
        None is 5 splits of consecutive rows.
    positive : bool, default=False
        Whether coefficients must not be below zero.

    Attributes
    ----------
    alpha_ : float
        The penalty chosen.
    coef_ : ndarray of shape (n_features,)
    intercept_ : float
    mse_path_ : ndarray of shape (n_alphas, n_splits)
        Mean squared errors on the test rows.
    alphas_ : ndarray of shape (n_alphas,)
    dual_gap_ : float
        How far the objective is from its minimum at most.
    n_iter_ : int
        Sweeps for the penalty chosen.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features,)
        Where X had column names.
    n_passes_ : int
        Reads of the data that the fit took.
    history_ : DataFrame
        One row for each pass.

    References
    ----------
    R. Tibshirani 1996, "Regression shrinkage and selection via the lasso", Journal of the Royal
    Statistical Society B 58.

    Examples
    --------
    >>> import numpy as np
    >>> from flowml.linear_model import LassoCV
    >>> random = np.random.default_rng(0)
    >>> X = random.standard_normal((200, 3))
    >>> y = X @ [3.0, 0.0, 0.0] + random.standard_normal(200)
    >>> model = LassoCV().fit(X, y)
    >>> model.coef_.round(1).tolist(), model.mse_path_.shape, model.n_passes_
    ([2.9, -0.1, 0.0], (100, 5), 1)
    """

    def __init__(
        self,
        *,
        eps: float = 1e-3,
        alphas: Any = 100,
        fit_intercept: bool = True,
        max_iter: int = 1000,
        tol: float = 1e-4,
        cv: Any = None,
        positive: bool = False,
    ) -> None:
        self.eps = eps
        self.alphas = alphas
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.tol = tol
        self.cv = cv
        self.positive = positive

    def _l1_ratios(self) -> Any:
        return 1.0
