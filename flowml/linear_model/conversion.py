"""From a fitted linear model to scikit-learn's."""

from inspect import signature
from typing import Any, TypeVar

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.utils.validation import check_is_fitted

Plain = TypeVar("Plain", bound=BaseEstimator)
FITTED = (
    "coef_",
    "intercept_",
    "classes_",
    "rank_",
    "n_iter_",
    "dual_gap_",
    "n_features_in_",
    "feature_names_in_",
)
OURS = ("solver", "tol", "random_state")
"""Parameters of the way to the minimum, which means nothing to another's solvers."""


def to_sklearn(model: Any, kind: type[Plain]) -> Plain:
    """Return scikit-learn's estimator of the same parameters, with copies of what was fitted.

    Raises
    ------
    TypeError
        If the model has categorical columns, which scikit-learn's has not.
    """
    check_convertible(model)
    known = signature(kind).parameters
    parameters = model.get_params(deep=False).items()
    plain = kind(**{key: value for key, value in parameters if key in known and key not in OURS})
    for name in FITTED:
        if hasattr(model, name):
            value = getattr(model, name)
            setattr(plain, name, value.copy() if isinstance(value, np.ndarray) else value)
    return plain


def check_convertible(model: Any) -> None:
    """Refuse a model that isn't fitted, or that scikit-learn has nothing like."""
    check_is_fitted(model)
    if hasattr(model, "encoding_"):
        raise TypeError(
            f"this {type(model).__name__} was fitted to categorical columns, which scikit-learn's "
            "takes only as numbers: encode them before fit, and convert that model"
        )


def to_sklearn_glm(model: Any, kind: type[Plain]) -> Plain:
    """Return scikit-learn's generalised linear model.

    What it keeps beside the coefficients it sets itself, in a fit to two rows of nothing.
    """
    plain = to_sklearn(model, kind)
    shell: Any = clone(plain)
    shell.fit(np.zeros((2, model.n_features_in_)), np.ones(2))
    vars(shell).update(vars(plain))
    return shell
