"""From a fitted linear model to scikit-learn's."""

from inspect import signature
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, clone
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.utils.validation import check_is_fitted

from flowml.kernels.one_hot import Encoding
from flowml.kernels.rows import Array

Plain = TypeVar("Plain", bound=BaseEstimator)
FITTED = (
    "coef_",
    "intercept_",
    "classes_",
    "rank_",
    "n_iter_",
    "dual_gap_",
)
OF_COLUMNS = ("n_features_in_", "feature_names_in_")
OURS = ("solver", "tol", "random_state")
"""Parameters of the way to the minimum, which means nothing to another's solvers."""


def to_sklearn(model: Any, kind: type[Plain]) -> Plain | Pipeline:
    """Return scikit-learn's estimator of the same parameters, with copies of what was fitted.

    Where the model has categorical columns it is the end of a `Pipeline` that takes frames like
    those of the fit, and begins with scikit-learn's `OneHotEncoder` of the same labels.

    Raises
    ------
    NotFittedError
        If the model isn't fitted.
    """
    check_is_fitted(model)
    return behind_encoder(model, _copied(model, kind))


def to_sklearn_glm(model: Any, kind: type[Plain]) -> Plain | Pipeline:
    """Return scikit-learn's generalised linear model.

    What it keeps beside the coefficients it sets itself, in a fit to two rows of nothing.
    """
    check_is_fitted(model)
    plain = _copied(model, kind)
    shell: Any = clone(plain)
    shell.fit(np.zeros((2, len(model.coef_))), np.ones(2))
    vars(shell).update(vars(plain))
    return behind_encoder(model, shell)


def behind_encoder(model: Any, plain: Plain) -> Plain | Pipeline:
    """Return an estimator, behind one that encodes the categorical columns where there are any."""
    encoding: Encoding | None = getattr(model, "encoding_", None)
    if encoding is None:
        return plain
    return make_pipeline(_encoder(model, encoding), plain)


def _copied(model: Any, kind: type[Plain]) -> Plain:
    known = signature(kind).parameters
    parameters = model.get_params(deep=False).items()
    plain = kind(**{key: value for key, value in parameters if key in known and key not in OURS})
    of_columns = () if hasattr(model, "encoding_") else OF_COLUMNS
    for name in (*FITTED, *of_columns):
        if hasattr(model, name):
            value = getattr(model, name)
            setattr(plain, name, value.copy() if isinstance(value, np.ndarray) else value)
    if not of_columns:
        plain.n_features_in_ = model.encoding_.n_columns
    return plain


def _encoder(model: Any, encoding: Encoding) -> ColumnTransformer:
    """Return what makes a frame's columns those that the coefficients belong to, fitted."""
    names = getattr(model, "feature_names_in_", None)
    columns = list(range(model.n_features_in_)) if names is None else names.tolist()
    labelled = [name if names is not None else int(name) for name in encoding.names]
    numbers = [column for column in columns if column not in labelled]
    parts = zip(encoding.levels, encoding.missing, strict=True)
    levels = [_categories(labels, absent) for labels, absent in parts]
    one_hot = OneHotEncoder(
        categories=levels,
        drop="first" if encoding.drop_first else None,
        handle_unknown="ignore" if encoding.ignore_unknown else "error",
    )
    encoder = ColumnTransformer(
        [("numbers", "passthrough", numbers), ("labels", one_hot, labelled)]
    )
    first = {column: found[:1] for column, found in zip(labelled, levels, strict=True)}
    return encoder.fit(pd.DataFrame({column: first.get(column, [0.0]) for column in columns}))


def _categories(labels: Array, absent: bool) -> Array:
    """Return labels as scikit-learn sees those of a frame's column, a missing one at the end."""
    if labels.dtype.kind in "biuf":
        return np.append(labels.astype(np.float64), np.nan) if absent else labels
    return np.array([*labels.tolist(), *([np.nan] if absent else [])], dtype=object)
