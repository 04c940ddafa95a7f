"""Standardising: mean zero and variance one."""

from functools import partial
from typing import Any

import numpy as np
from sklearn import preprocessing

from flowml.data.dataset import Dataset
from flowml.kernels.column_moments import COLUMN_MOMENTS, ColumnMoments
from flowml.kernels.rows import Array, Matrix, is_sparse
from flowml.parameters import check_flags
from flowml.prediction import RowFunction
from flowml.preprocessing.column_scaler import ColumnScaler, rows_seen, scale_columns


class StandardScaler(ColumnScaler):
    r"""Subtract each column's mean and divide by its standard deviation, :math:`(x - m) / s`.

    Mean and variance are those of scikit-learn's `StandardScaler`: weighted, with the variance's
    divisor :math:`\sum w`, NaN left out, and columns whose variance is no more than rounding
    error scaled by one. They are merged block by block with the update of Chan, Golub & LeVeque
    (1983), "Algorithms for computing the sample variance", The American Statistician 37(3), in
    float64 whatever X's dtype.

    Parameters
    ----------
    with_mean : bool, default=True
        Whether to subtract the mean; not possible with sparse X.
    with_std : bool, default=True
        Whether to divide by the standard deviation.

    Attributes
    ----------
    mean_ : ndarray of shape (n_features,), or None
        None where neither ``with_mean`` nor ``with_std`` needs it.
    var_ : ndarray of shape (n_features,), or None
        None without ``with_std``.
    scale_ : ndarray of shape (n_features,), or None
        What columns are divided by; None without ``with_std``.
    n_samples_seen_ : int, float, or ndarray of shape (n_features,)
        Rows, or the sum of their weights; one for each column where some hold NaN.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Where X had names.
    n_passes_ : int
    history_ : DataFrame

    Examples
    --------
    >>> import dask.array as da
    >>> import numpy as np
    >>> from flowml.preprocessing import StandardScaler
    >>> X = da.from_array(np.array([[0.0, 1.0], [0.0, 3.0], [4.0, 5.0], [4.0, 7.0]]), chunks=(2, 2))
    >>> scaler = StandardScaler().fit(X)
    >>> scaler.mean_
    array([2., 4.])
    >>> scaler.transform(X)
    dask.array<..., shape=(4, 2), dtype=float64, chunksize=(2, 2), chunktype=numpy.ndarray>
    >>> scaler.transform(np.array([[6.0, 4.0]]))
    array([[2., 0.]])
    """

    fold = COLUMN_MOMENTS

    def __init__(self, *, with_mean: bool = True, with_std: bool = True) -> None:
        self.with_mean = with_mean
        self.with_std = with_std

    def to_sklearn(self) -> preprocessing.StandardScaler:
        """Return a fitted scikit-learn `StandardScaler` that transforms the same."""
        peer = preprocessing.StandardScaler(with_mean=self.with_mean, with_std=self.with_std)
        return self._copy_fitted_to(peer, ("mean_", "var_"))

    def _check(self, dataset: Dataset) -> None:
        check_flags(self, "with_mean", "with_std")
        if dataset.schema.sparse and self.with_mean:
            raise ValueError(NO_CENTRING)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = not self.with_mean
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _settle(self) -> None:
        moments: ColumnMoments = self._summary
        self.n_samples_seen_ = rows_seen(moments.weight)
        seen = moments.weight > 0
        mean = np.where(seen, moments.mean, np.nan)
        variance = moments.scatter / np.where(seen, moments.weight, np.nan)
        self.mean_ = mean if self.with_mean or self.with_std else None
        self.var_ = variance if self.with_std else None
        self.scale_ = None
        if self.with_std:
            constant = is_constant(variance, mean, moments.weight)
            self.scale_ = np.where(constant, 1.0, np.sqrt(variance))

    def _forward(self) -> RowFunction:
        mean = self.mean_ if self.with_mean else None
        return partial(standardise, mean=mean, scale=self.scale_)

    def _backward(self) -> RowFunction:
        mean = self.mean_ if self.with_mean else None
        return partial(restore, mean=mean, scale=self.scale_)


NO_CENTRING = (
    "StandardScaler can't centre sparse X without making it dense: use with_mean=False, "
    "or make X dense"
)


def standardise(X: Matrix, mean: Array | None, scale: Array | None) -> Matrix:
    """Return ``(X - mean) / scale`` as a new array of X's dtype."""
    if is_sparse(X):
        if mean is not None:
            raise ValueError(NO_CENTRING)
        return X.copy() if scale is None else scale_columns(X, 1 / scale)
    result = X.copy() if mean is None else X - mean.astype(X.dtype)
    if scale is not None:
        result /= scale.astype(X.dtype)
    return result


def restore(X: Matrix, mean: Array | None, scale: Array | None) -> Matrix:
    """Return ``X * scale + mean`` as a new array of X's dtype."""
    if is_sparse(X):
        if mean is not None:
            raise ValueError(NO_CENTRING)
        return X.copy() if scale is None else scale_columns(X, scale)
    result = X.copy() if scale is None else X * scale.astype(X.dtype)
    if mean is not None:
        result += mean.astype(X.dtype)
    return result


def is_constant(variance: Array, mean: Array, weight: Array) -> Array:
    """Tell which variances are within the rounding error of computing them for a constant column.

    The bound is that of the two-pass algorithm in Chan, Golub & LeVeque (1983), as scikit-learn
    takes it.
    """
    epsilon = np.finfo(np.float64).eps
    return variance <= weight * epsilon * variance + (weight * mean * epsilon) ** 2
