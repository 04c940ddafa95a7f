"""Ordinary least squares."""

from typing import Any

from sklearn.linear_model import LinearRegression as SklearnLinearRegression
from sklearn.pipeline import Pipeline

from flowml.linear_model.base import Trained
from flowml.linear_model.batches import BatchModel
from flowml.linear_model.conversion import to_sklearn


class LinearRegression(BatchModel):
    r"""Ordinary least squares, by one pass over the rows.

    Finds the coefficients b and the intercept a that minimise

    .. math:: \sum_i w_i (y_i - x_i b - a)^2

    from the Gram matrix of the centred columns. Where that can't be trusted (columns that are
    nearly collinear, or a target that is met to within nine digits), a second pass makes a
    tall-skinny QR factor, and, for columns that are nearly collinear but not exactly, a third
    one a correction in twice the precision.

    Parameters
    ----------
    fit_intercept : bool, default=True
        Whether there is an intercept; without, the data is taken to be centred.
    categorical : CategoricalEncoding, optional
        How categorical columns enter.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,) or (n_targets, n_features)
    intercept_ : float or ndarray of shape (n_targets,)
    rank_ : int
        Of the centred columns; 0 where they are too many to tell.
    solver_used_ : {"gram", "qr", "lbfgs"}
        What the coefficients were solved from; more than 10,000 columns (of CSR 2,000) are iterated
        over instead.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features,)
        Where X had column names.
    n_passes_ : int
        Reads of the data that the fit took.
    history_ : DataFrame
        One row for each pass.

    See Also
    --------
    Ridge : Least squares with a penalty on the coefficients.

    References
    ----------
    Å. Björck 1996, "Numerical Methods for Least Squares Problems", SIAM.

    Examples
    --------
    >>> import numpy as np
    >>> from flowml.linear_model import LinearRegression
    >>> X = np.array([[1.0, 1.0], [1.0, 2.0], [2.0, 2.0], [2.0, 3.0], [4.0, 1.0]])
    >>> model = LinearRegression().fit(X, X @ [1.0, 2.0] + 3.0)
    >>> model.coef_.round(9), round(float(model.intercept_), 9)
    (array([1., 2.]), 3.0)
    >>> model.predict(np.array([[3.0, 5.0]])).round(9)
    array([16.])
    """

    def __init__(self, *, fit_intercept: bool = True, categorical: Any = None) -> None:
        self.fit_intercept = fit_intercept
        self.categorical = categorical

    def to_sklearn(self) -> SklearnLinearRegression | Pipeline:
        """Return a plain fitted scikit-learn estimator that predicts the same.

        Returns
        -------
        sklearn.linear_model.LinearRegression

        Raises
        ------
        NotFittedError
            If the model isn't fitted.
        """
        return to_sklearn(self, SklearnLinearRegression)

    def _adopt(self, trained: Trained, dtype: Any, y_is_1d: bool) -> None:
        super()._adopt(trained, dtype, y_is_1d)
        self.rank_ = trained.solution.rank
