"""Cross-validation of one estimator, on passes that the fits of all splits share."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from flowml.kernels.rows import Array
from flowml.model_selection.grid_search_cv import GridSearchCV
from flowml.model_selection.shared import shares_passes


def cross_validate(  # noqa: PLR0913 - scikit-learn's parameters
    estimator: Any,
    X: Any,
    y: Any = None,
    *,
    groups: Any = None,
    scoring: Any = None,
    cv: Any = None,
    params: Mapping[str, Any] | None = None,
    return_train_score: bool = False,
    return_estimator: bool = False,
    error_score: Any = np.nan,
) -> dict[str, Any]:
    """Fit and score an estimator on each split.

    Parameters
    ----------
    estimator : estimator
    X, y : as for the estimator
        Lazy or in memory; y is None for a Dataset, which has its own.
    groups : array of shape (n_rows,), optional
    scoring : str, Scorer, callable, or list or dict of them, default=None
        As for `GridSearchCV`.
    cv : int, splitter or iterable of pairs of index arrays, default=None
        None is 5 splits, stratified for classifiers.
    params : dict, optional
        ``sample_weight``; weighs fits and scores.
    return_train_score, return_estimator : bool, default=False
    error_score : "raise" or float, default=nan
        What a fit that fails scores.

    Returns
    -------
    dict of str to array of shape (n_splits,)
        ``fit_time``, ``score_time``, ``test_score`` (of several scores ``test_<name>``), and what
        else was asked for, as scikit-learn has it. Of an estimator of flowml also ``n_passes``: how
        often the data were read for all splits together, the same number for each.

    Examples
    --------
    >>> import numpy as np
    >>> from flowml.linear_model import LinearRegression
    >>> from flowml.model_selection import cross_validate
    >>> X = np.arange(20.0).reshape(10, 2) ** 2
    >>> found = cross_validate(LinearRegression(), X, X @ [1.0, 2.0])
    >>> found["test_score"].round(6), found["n_passes"]
    (array([1., 1., 1., 1., 1.]), array([3, 3, 3, 3, 3]))
    """
    search = GridSearchCV(
        estimator,
        {},
        scoring=scoring,
        refit=False,
        cv=cv,
        error_score=error_score,
        return_train_score=return_train_score,
    )
    if unknown := sorted(set(params or {}) - {"sample_weight"}):
        raise ValueError(f"params holds {unknown[0]!r}: fits take sample_weight alone")
    weight = (params or {}).get("sample_weight")
    (trial,) = search._fit(X, y, weight, groups, estimators=return_estimator)
    outcome = trial.outcome
    found: dict[str, Any] = {"fit_time": outcome.fit_time, "score_time": outcome.score_time}
    if return_estimator:
        found["estimator"] = list(outcome.estimators)
    if shares_passes(estimator):
        found["n_passes"] = np.full(search.n_splits_, search.n_passes_)
    for side in ("test", "train"):
        found |= {f"{side}_{name}": scores for name, scores in getattr(outcome, side).items()}
    return found


def cross_val_score(  # noqa: PLR0913 - scikit-learn's parameters
    estimator: Any,
    X: Any,
    y: Any = None,
    *,
    groups: Any = None,
    scoring: Any = None,
    cv: Any = None,
    params: Mapping[str, Any] | None = None,
    error_score: Any = np.nan,
) -> Array:
    """Return the score of an estimator on each split.

    Parameters
    ----------
    estimator, X, y, groups, scoring, cv, params, error_score : as for `cross_validate`
        With one score.

    Returns
    -------
    ndarray of shape (n_splits,)

    Examples
    --------
    >>> import numpy as np
    >>> from flowml.linear_model import LinearRegression
    >>> from flowml.model_selection import cross_val_score
    >>> X = np.arange(20.0).reshape(10, 2) ** 2
    >>> cross_val_score(LinearRegression(), X, X @ [1.0, 2.0], cv=3).round(6)
    array([1., 1., 1.])
    """
    if isinstance(scoring, list | tuple | set | dict):
        raise ValueError("cross_val_score takes one score: cross_validate takes several")
    found = cross_validate(
        estimator,
        X,
        y,
        groups=groups,
        scoring=scoring,
        cv=cv,
        params=params,
        error_score=error_score,
    )
    scores: Array = found["test_score"]
    return scores
