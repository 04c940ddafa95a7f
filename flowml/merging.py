"""Merge models that were fitted apart, where what they keep of their data is enough."""

from functools import reduce
from typing import Any

from sklearn.utils.validation import check_is_fitted


def merge(first: Any, second: Any, *others: Any) -> Any:
    """Return the model that one fit on all the models' rows together would give.

    Parameters
    ----------
    first, second, *others : estimators
        Fitted, of one class, with equal parameters and features: `LinearRegression`, `Ridge` or
        one of the scalers.

    Returns
    -------
    estimator
        A new one; the others stay as they are.

    Raises
    ------
    NotFittedError
        If one isn't fitted.
    TypeError
        If classes differ, or the class needs the rows themselves.
    ValueError
        If parameters or features differ.

    Notes
    -----
    What the models keep is what a pass over their rows had summed up, and such sums add. The
    answers equal those of the one fit up to rounding.

    Examples
    --------
    >>> import numpy as np
    >>> import flowml
    >>> from flowml.linear_model import LinearRegression
    >>> X = np.arange(12.0).reshape(6, 2) ** 2
    >>> y = X @ [1.0, 2.0] + 3.0
    >>> a = LinearRegression().fit(X[:3], y[:3])
    >>> b = LinearRegression().fit(X[3:], y[3:])
    >>> flowml.merge(a, b).coef_.round(9)
    array([1., 2.])
    """
    models = (first, second, *others)
    for model in models:
        if not hasattr(model, "_merged_with"):
            raise TypeError(
                f"{type(model).__name__} can't be merged: its fit needs the rows themselves. "
                "Fit it once on all of them."
            )
        check_is_fitted(model)
    for model in models[1:]:
        check_alike(first, model)
    return reduce(lambda left, right: left._merged_with(right), models)


def check_alike(first: Any, other: Any) -> None:
    """Check that two fitted models differ in nothing but their data.

    Raises
    ------
    TypeError
        If their classes differ.
    ValueError
        If their parameters or features differ.
    """
    name = type(first).__name__
    if type(first) is not type(other):
        raise TypeError(f"merge takes models of one class, not {name} and {type(other).__name__}")
    theirs = other.get_params()
    for parameter, value in first.get_params().items():
        if repr(value) != repr(theirs[parameter]):
            raise ValueError(
                f"the models were made with {parameter}={value!r} and "
                f"{parameter}={theirs[parameter]!r}: merge takes equal parameters"
            )
    if first.n_features_in_ != other.n_features_in_:
        raise ValueError(
            f"the models have {first.n_features_in_} and {other.n_features_in_} features: "
            "merge takes models of the same columns"
        )
    columns, others = (list(getattr(model, "feature_names_in_", ())) for model in (first, other))
    if columns and others and columns != others:
        raise ValueError(
            f"the models' feature names differ: {columns} and {others}; merge takes models of the "
            "same columns in the same order"
        )
