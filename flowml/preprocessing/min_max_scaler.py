"""Scaling to a given range."""

from functools import partial
from typing import Any

import numpy as np
from sklearn import preprocessing

from flowml.data.dataset import Dataset
from flowml.estimator import Needs
from flowml.kernels.column_extremes import COLUMN_EXTREMES, ColumnExtremes
from flowml.kernels.rows import Array
from flowml.parameters import check_flags
from flowml.prediction import RowFunction
from flowml.preprocessing.column_scaler import ColumnScaler, one_where_tiny, rows_seen


class MinMaxScaler(ColumnScaler):
    r"""Map each column's smallest and largest value to the ends of a range.

    .. math:: x \mapsto a + (x - \min) \frac{b - a}{\max - \min}

    A constant column is mapped to the range's lower end. The statistics are scikit-learn's; sparse
    X is refused, as zeros would not stay zero: `MaxAbsScaler` takes it.

    Parameters
    ----------
    feature_range : tuple (a, b), default=(0, 1)
        The range, ``a < b``.
    clip : bool, default=False
        Whether ``transform`` cuts values off at the ends of the range.

    Attributes
    ----------
    data_min_, data_max_, data_range_ : ndarray of shape (n_features,)
        Smallest and largest value of each column, and their difference; of X's dtype, NaN for a
        column without values.
    scale_, min_ : ndarray of shape (n_features,)
        ``transform`` returns ``X * scale_ + min_``.
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
    >>> from flowml.preprocessing import MinMaxScaler
    >>> scaler = MinMaxScaler().fit(np.array([[-1.0, 2.0], [0.0, 6.0], [1.0, 18.0]]))
    >>> scaler.data_max_
    array([ 1., 18.])
    >>> scaler.transform(np.array([[0.0, 10.0]]))
    array([[0.5, 0.5]])
    """

    needs = Needs(sparse=False, nan=True)
    fold = COLUMN_EXTREMES

    def __init__(self, feature_range: tuple[float, float] = (0, 1), *, clip: bool = False) -> None:
        self.feature_range = feature_range
        self.clip = clip

    def to_sklearn(self) -> preprocessing.MinMaxScaler:
        """Return a fitted scikit-learn `MinMaxScaler` that transforms the same."""
        peer = preprocessing.MinMaxScaler(self.feature_range, clip=self.clip)
        return self._copy_fitted_to(peer, ("data_min_", "data_max_", "data_range_", "min_"))

    def _check(self, dataset: Dataset) -> None:
        check_flags(self, "clip")
        check_range(self.feature_range)

    def _settle(self) -> None:
        extremes: ColumnExtremes = self._summary
        seen = extremes.smallest <= extremes.largest
        missing = extremes.smallest.dtype.type(np.nan)
        self.data_min_ = np.where(seen, extremes.smallest, missing)
        self.data_max_ = np.where(seen, extremes.largest, missing)
        self.data_range_ = self.data_max_ - self.data_min_
        low, high = np.asarray(self.feature_range, dtype=missing.dtype)
        self.scale_ = (high - low) / one_where_tiny(self.data_range_)
        self.min_ = low - self.data_min_ * self.scale_
        self.n_samples_seen_ = rows_seen(extremes.weight)

    def _forward(self) -> RowFunction:
        limits = self.feature_range if self.clip else None
        return partial(stretch, scale=self.scale_, shift=self.min_, limits=limits)

    def _backward(self) -> RowFunction:
        return partial(shrink, scale=self.scale_, shift=self.min_)


def stretch(X: Array, scale: Array, shift: Array, limits: Any) -> Array:
    """Return ``X * scale + shift``, cut off at `limits` if there are any, in X's dtype."""
    result = np.multiply(X, scale, dtype=X.dtype, casting="same_kind")
    result += shift
    if limits is not None:
        np.clip(result, *limits, out=result)
    return result


def shrink(X: Array, scale: Array, shift: Array) -> Array:
    """Return ``(X - shift) / scale`` in X's dtype."""
    result = np.subtract(X, shift, dtype=X.dtype, casting="same_kind")
    result /= scale
    return result


def check_range(feature_range: Any) -> None:
    """Check the range.

    Raises
    ------
    TypeError
        If it isn't a pair of numbers.
    ValueError
        If its lower end isn't below its upper end.
    """
    try:
        low, high = (float(end) for end in feature_range)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"MinMaxScaler(feature_range={feature_range!r}): give a pair of numbers (low, high)"
        ) from error
    if not low < high:
        raise ValueError(
            "Minimum of desired feature range must be smaller than maximum. "
            f"Got feature_range={feature_range!r}."
        )
