"""From a fitted linear model to scikit-learn's."""

from typing import Any, TypeVar

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

Plain = TypeVar("Plain", bound=BaseEstimator)
FITTED = ("coef_", "intercept_", "rank_", "n_features_in_", "feature_names_in_")


def to_sklearn(model: Any, kind: type[Plain]) -> Plain:
    """Return scikit-learn's estimator of the same parameters, with copies of what was fitted."""
    check_is_fitted(model)
    plain = kind(**model.get_params())
    for name in FITTED:
        if hasattr(model, name):
            value = getattr(model, name)
            setattr(plain, name, value.copy() if isinstance(value, np.ndarray) else value)
    return plain
