"""Scaling by the largest absolute value."""

from functools import partial
from typing import Any

import numpy as np
from sklearn import preprocessing

from flowml.data.dataset import Dataset
from flowml.kernels.column_extremes import COLUMN_EXTREMES, ColumnExtremes
from flowml.kernels.rows import Array, Matrix, is_sparse
from flowml.parameters import check_flags
from flowml.prediction import RowFunction
from flowml.preprocessing.column_scaler import (
    ColumnScaler,
    one_where_tiny,
    rows_seen,
    scale_columns,
)


class MaxAbsScaler(ColumnScaler):
    r"""Divide each column by its largest absolute value, :math:`x / \max |x|`.

    Zeros stay zero, so sparse X stays sparse. The statistics are scikit-learn's.

    Parameters
    ----------
    clip : bool, default=False
        Whether ``transform`` cuts values off at -1 and 1.

    Attributes
    ----------
    max_abs_ : ndarray of shape (n_features,)
        Of X's dtype; NaN for a column without values.
    scale_ : ndarray of shape (n_features,)
        What columns are divided by: `max_abs_`, or one for a column of zeros.
    n_samples_seen_ : int or float
        Rows, or the sum of their weights.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Where X had names.
    n_passes_ : int
    history_ : DataFrame

    Examples
    --------
    >>> import numpy as np
    >>> from flowml.preprocessing import MaxAbsScaler
    >>> scaler = MaxAbsScaler().fit(np.array([[1.0, -8.0], [2.0, 4.0]]))
    >>> scaler.max_abs_
    array([2., 8.])
    >>> scaler.transform(np.array([[1.0, 4.0]]))
    array([[0.5, 0.5]])
    """

    fold = COLUMN_EXTREMES

    def __init__(self, *, clip: bool = False) -> None:
        self.clip = clip

    def to_sklearn(self) -> preprocessing.MaxAbsScaler:
        """Return a fitted scikit-learn `MaxAbsScaler` that transforms the same."""
        return self._copy_fitted_to(preprocessing.MaxAbsScaler(clip=self.clip), ("max_abs_",))

    def _check(self, dataset: Dataset) -> None:
        check_flags(self, "clip")

    def _settle(self) -> None:
        extremes: ColumnExtremes = self._summary
        seen = extremes.smallest <= extremes.largest
        largest = np.maximum(np.abs(extremes.smallest), np.abs(extremes.largest))
        self.max_abs_ = np.where(seen, largest, largest.dtype.type(np.nan))
        self.scale_ = one_where_tiny(self.max_abs_)
        self.n_samples_seen_ = rows_seen(extremes.weight)

    def _forward(self) -> RowFunction:
        return partial(divide, scale=self.scale_, clip=self.clip)

    def _backward(self) -> RowFunction:
        return partial(multiply, scale=self.scale_)


def divide(X: Matrix, scale: Array, clip: bool) -> Matrix:
    """Return ``X / scale``, cut off at -1 and 1 with `clip`, in X's dtype."""
    if is_sparse(X):
        result = scale_columns(X, 1 / scale)
        values: Any = result.data
    else:
        result = values = np.divide(X, scale, dtype=X.dtype, casting="same_kind")
    if clip:
        np.clip(values, -1, 1, out=values)
    return result


def multiply(X: Matrix, scale: Array) -> Matrix:
    """Return ``X * scale`` in X's dtype."""
    if is_sparse(X):
        return scale_columns(X, scale)
    return np.multiply(X, scale, dtype=X.dtype, casting="same_kind")
