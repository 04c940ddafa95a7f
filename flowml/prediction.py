"""Predictions: a function of rows applied to any kind of input, giving back the same kind."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import assert_all_finite
from sklearn.utils.validation import check_is_fitted, validate_data

from flowml.data.adopt import is_lazy, schema_of
from flowml.data.assemble import to_matrix
from flowml.data.frames import categorical_columns
from flowml.data.map_rows import map_rows
from flowml.estimator import check_kinds, validate_mixed, validate_schema
from flowml.kernels.mixed import Mixed
from flowml.kernels.one_hot import Encoding, OneHot
from flowml.kernels.rows import Array, Matrix, is_sparse

NO_CATEGORIES = (
    "X has no categorical columns, but the model was fitted to {}: give a frame with columns of "
    "dtype category"
)
RowFunction = Callable[[Matrix], Any]
"""``X -> rows``: takes a validated float array or CSR array, also one without rows; picklable."""


def apply(
    estimator: Any,
    X: Any,
    function: RowFunction,
    names: Sequence[str] | None = None,
    n_columns: int | None = None,
    dtype: Any = None,
) -> Any:
    """Apply a function of rows to any kind of X; lazy input gives a lazy result.

    Parameters
    ----------
    estimator : estimator
        Must be fitted; X's features are checked against its own.
    X : any input of shape (n_rows, n_features)
    function : callable ``array -> array``
        Row by row; must take arrays without rows, and be picklable. Its result has the shape
        (n_rows,), or (n_rows, n_columns).
    names : sequence of str, optional
        Column names of the result, for frames; of one name for a series.
    n_columns : int, optional
        None for a result of one dimension.
    dtype : dtype, optional
        Of the result; by default the one that X is computed in, float32 or float64.

    Returns
    -------
    ndarray or CSR array, for arrays in memory
    pandas Series or DataFrame with X's index, for a DataFrame
    Dask series or dataframe, for a Dask dataframe
    Dask array, for a Dask array or a Dataset

    Raises
    ------
    NotFittedError
        If the estimator isn't fitted.
    ValueError
        If features differ from those of the fit, or X holds NaN or infinity; in lazy input this
        is found when the result is computed.
    """
    check_is_fitted(estimator)
    index = X.index if isinstance(X, pd.DataFrame) else None
    encoding = getattr(estimator, "encoding_", None)
    if is_lazy(X):
        schema = schema_of(X)
        check_kinds(estimator, replace(schema, label_dtype=None), estimator.needs)
        validate_schema(estimator, schema, reset=False)
        check_categories(encoding, schema.categorical_names)
        computed = schema.dtype
    else:
        X = _validated(estimator, X)
        computed = X.dtype
    rows = Rows(
        function,
        computed,
        np.dtype(computed if dtype is None else dtype),
        None if names is None else tuple(names),
        n_columns,
        estimator.needs.nan,
        encoding,
    )
    if is_lazy(X):
        return map_rows(X, rows)
    return rows.result(X, index)


def apply_by_class(estimator: Any, X: Any, function: RowFunction, classes: Array) -> Any:
    """Apply a function of rows that has a column for each class.

    Rows in memory give an array even where they are a frame: scikit-learn's scorers and
    meta-estimators take the columns out by their numbers. Lazy frames give lazy frames, with the
    classes' names.

    Parameters
    ----------
    estimator, X, function
        As for `apply`.
    classes : ndarray of labels
    """
    names = [str(label) for label in classes]
    result = apply(estimator, X, function, names, len(names))
    return result.to_numpy() if isinstance(result, pd.DataFrame) else result


def _validated(estimator: Any, X: Any) -> Any:
    """Check rows in memory, and return them as a matrix, or as numbers beside codes."""
    if isinstance(X, Mixed):
        return X
    finite = "allow-nan" if estimator.needs.nan else True
    if isinstance(X, pd.DataFrame) and categorical_columns(X):
        mixed = validate_mixed(estimator, X, estimator.needs, reset=False)
        names = tuple(str(X.columns[place]) for place in categorical_columns(X))
        check_categories(getattr(estimator, "encoding_", None), names)
        assert_all_finite(mixed.dense, allow_nan=estimator.needs.nan, input_name="X")
        return mixed
    return validate_data(
        estimator,
        X,
        accept_sparse="csr" if estimator.needs.sparse else False,
        dtype=[np.float64, np.float32],
        ensure_all_finite=finite,
        reset=False,
    )


@dataclass(frozen=True)
class Rows:
    """The function of rows as it travels to lazy blocks: from a chunk to a result of its kind.

    Parameters
    ----------
    function : RowFunction
    computed : numpy.dtype
        What X is computed in.
    dtype : numpy.dtype
        Of the result.
    names : tuple of str, or None
    n_columns : int or None
    allow_nan : bool
    encoding : Encoding or None
        What categorical columns mean.
    """

    function: RowFunction
    computed: np.dtype[Any]
    dtype: np.dtype[Any]
    names: tuple[str, ...] | None
    n_columns: int | None
    allow_nan: bool
    encoding: Encoding | None = None

    def __call__(self, chunk: Any) -> Any:
        """Return the result for a chunk that nobody has validated yet."""
        X = to_matrix(chunk, self.computed)
        values = X.dense if isinstance(X, Mixed) else X
        assert_all_finite(values, allow_nan=self.allow_nan, input_name="X")
        return self.result(X, chunk.index if isinstance(chunk, pd.DataFrame) else None)

    def result(self, X: Matrix, index: Any) -> Any:
        """Return the result for validated rows: a Series or DataFrame where there is an index."""
        if self.encoding is not None:
            X = encode(self.encoding, X)
        values = self.function(X)
        if is_sparse(values):
            return values.astype(self.dtype, copy=False)
        shape = (X.shape[0],) if self.n_columns is None else (X.shape[0], self.n_columns)
        values = np.asarray(values, dtype=self.dtype).reshape(shape)
        if index is None:
            return values
        if self.n_columns is None:
            return pd.Series(values, index=index, name=self.names[0] if self.names else None)
        return pd.DataFrame(values, index=index, columns=self.names)


def check_categories(encoding: Encoding | None, found: tuple[str, ...]) -> None:
    """Refuse rows whose categorical columns are others than those of the fit.

    Raises
    ------
    ValueError
    """
    wanted = () if encoding is None else encoding.names
    if found and not wanted:
        raise ValueError(f"column {found[0]!r} is categorical, but the fit took it as numbers")
    if found and found != wanted:
        raise ValueError(
            f"X has the categorical columns {', '.join(found)}, but the model was fitted to "
            f"{', '.join(wanted)}: give the same columns dtype category"
        )
    if wanted and not found:
        raise ValueError(NO_CATEGORIES.format(len(wanted)))


def encode(encoding: Encoding, X: Matrix) -> OneHot:
    """Return rows as the columns that a model has coefficients for.

    Raises
    ------
    ValueError
        If a column isn't categorical that was in the fit, or holds labels that the fit never saw.
    """
    if not isinstance(X, Mixed):
        raise ValueError(NO_CATEGORIES.format(len(encoding.levels)))
    return encoding.known(X)
