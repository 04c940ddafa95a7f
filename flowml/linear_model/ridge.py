"""Least squares with a penalty on the coefficients."""

from typing import Any

import numpy as np
from sklearn.linear_model import Ridge as SklearnRidge
from sklearn.pipeline import Pipeline

from flowml.linear_model.base import Trained
from flowml.linear_model.batches import BatchModel
from flowml.linear_model.conversion import to_sklearn


class Ridge(BatchModel):
    r"""Least squares with a penalty on the squared coefficients, by one pass over the rows.

    Finds the coefficients b and the intercept a that minimise

    .. math:: \sum_i w_i (y_i - x_i b - a)^2 + \alpha \|b\|^2

    The intercept isn't penalised. How the passes go is as for `LinearRegression`.

    Parameters
    ----------
    alpha : float or array of shape (n_targets,), default=1.0
        The penalty, at least 0; an array gives each target its own.
    fit_intercept : bool, default=True
        Whether there is an intercept; without, the data is taken to be centred.
    categorical : CategoricalEncoding, optional
        How categorical columns enter.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,) or (n_targets, n_features)
    intercept_ : float or ndarray of shape (n_targets,)
    solver_used_ : {"gram", "qr"}
        What the coefficients were solved from.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features,)
        Where X had column names.
    n_passes_ : int
        Reads of the data that the fit took.
    history_ : DataFrame
        One row for each pass.

    See Also
    --------
    LinearRegression : Without a penalty.

    Notes
    -----
    In `summary`, with :math:`A = (X^\top W X + \alpha I)^{-1}` of the centred columns, standard
    errors are the roots of the diagonal of :math:`s^2 A X^\top W X A`. They say how far the
    estimate varies about its own mean, which the penalty has pulled towards zero: they hold no
    bias, so the intervals don't cover the true coefficients as often as they say. ``df_model`` is
    the effective number of coefficients :math:`\mathrm{tr}(A X^\top W X)`, and there is no F test.

    References
    ----------
    A. E. Hoerl & R. W. Kennard 1970, "Ridge regression: biased estimation for nonorthogonal
    problems", Technometrics 12.

    Examples
    --------
    >>> import numpy as np
    >>> from flowml.linear_model import Ridge
    >>> X = np.array([[0.0], [1.0], [2.0]])
    >>> model = Ridge(alpha=2.0).fit(X, np.array([0.0, 1.0, 2.0]))
    >>> model.coef_.round(9), round(float(model.intercept_), 9)
    (array([0.5]), 0.5)
    """

    def __init__(
        self, alpha: Any = 1.0, *, fit_intercept: bool = True, categorical: Any = None
    ) -> None:
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.categorical = categorical

    def to_sklearn(self) -> SklearnRidge | Pipeline:
        """Return a plain fitted scikit-learn estimator that predicts the same.

        Returns
        -------
        sklearn.linear_model.Ridge

        Raises
        ------
        NotFittedError
            If the model isn't fitted.
        """
        return to_sklearn(self, SklearnRidge)

    def _adopt(self, trained: Trained, dtype: Any, y_is_1d: bool) -> None:
        super()._adopt(trained, dtype, y_is_1d)
        if len(trained.target_names) == 1:
            self.coef_ = self.coef_.ravel()  # as scikit-learn's Ridge has it for y of one column

    def _penalties(self, n_targets: int) -> np.ndarray:
        try:
            alphas = np.asarray(self.alpha, dtype=np.float64).ravel()
        except (TypeError, ValueError):
            alphas = np.array([np.nan])
        if isinstance(self.alpha, bool | str) or not np.isfinite(alphas).all():
            raise TypeError(f"Ridge(alpha={self.alpha!r}): alpha must be a number, or one a target")
        if (alphas < 0).any():
            raise ValueError(f"Ridge(alpha={self.alpha!r}): alpha must be at least 0")
        if len(alphas) not in (1, n_targets):
            raise ValueError(
                f"Number of targets and number of penalties do not correspond: {n_targets} and "
                f"{len(alphas)}; give one alpha, or one for each target"
            )
        return np.broadcast_to(alphas, n_targets).copy()
