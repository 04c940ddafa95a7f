"""What searches and validation can't use is named before it is fitted, never left out silently."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn import linear_model as peers
from sklearn import model_selection as sk
from sklearn.datasets import load_diabetes, load_iris

from flowml import model_selection as fl
from flowml.linear_model import (
    GeneralizedLinearRegressor,
    LogisticRegression,
    LogisticRegressionCV,
    Ridge,
)
from flowml.svm import LinearSVC

X, y = load_diabetes(return_X_y=True)
flowers, kinds = load_iris(return_X_y=True)
names = np.array(["setosa", "versicolor", "virginica"])[kinds]
ALPHAS = {"alpha": [0.1, 1.0]}
N = len(X)
HALVES = (np.arange(N // 2), np.arange(N // 2, N))


def splits(*pairs: Any) -> Callable[[], Any]:
    return lambda: fl.cross_val_score(Ridge(), X, y, cv=list(pairs))


def halving(**options: Any) -> Callable[[], Any]:
    search = fl.SuccessiveHalvingSearchCV(Ridge(), ALPHAS, n_candidates=2, **options)
    return lambda: search.fit(X, y)


def scored(scoring: Any, estimator: Any = None) -> Callable[[], Any]:
    if estimator is None:
        return lambda: fl.cross_validate(Ridge(), X, y, scoring=scoring)
    return lambda: fl.cross_validate(estimator, flowers, names, scoring=scoring)


def searched(estimator: Any, **options: Any) -> Callable[[], Any]:
    return lambda: fl.GridSearchCV(estimator, ALPHAS, **options).fit(X, y)


CASES: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "rows that aren't there": (
        splits(([0, 1], [2, N])),
        ValueError,
        f"split 0 of cv: its test rows go up to {N}, and X has {N} rows",
    ),
    "rows on both sides": (
        splits(HALVES, (np.arange(N), np.arange(5, 9))),
        ValueError,
        "split 1 of cv: its test rows hold row 5 a second time",
    ),
    "rows counted from the end, again": (
        splits(([0, 1, 2, -N], [5, 6])),
        ValueError,
        "its training rows hold row 0 a second time",
    ),
    "no test rows": (splits((np.arange(9), [])), ValueError, "its test rows must be an array"),
    "no pairs": (splits(1, 2), ValueError, r"cv=\[1, 2\]: give pairs"),
    "row numbers for fits that see parts": (
        lambda: fl.cross_val_score(LogisticRegressionCV(cv=[HALVES]), flowers, kinds),
        TypeError,
        "cv gives rows by their numbers",
    ),
    "labels of a regression": (
        scored("accuracy"),
        ValueError,
        "'accuracy' compares labels, and Ridge predicts numbers",
    ),
    "numbers of a classification": (
        scored("r2", LogisticRegression()),
        ValueError,
        "'r2' compares numbers, and LogisticRegression predicts labels",
    ),
    "probabilities that aren't there": (
        scored("neg_log_loss", LinearSVC()),
        ValueError,
        "needs predict_proba, which LinearSVC hasn't",
    ),
    "no scorer": (scored([]), ValueError, r"scoring=\[\] has no scorer"),
    "several scores of one callable": (
        scored(lambda model, X, y: {"a": 1.0}),
        TypeError,
        "scorer 'score' returned {'a': 1.0}",
    ),
    "a score that is no number": (scored(3), TypeError, "scoring=3: give a name"),
    "an error score that is no number": (
        searched(Ridge(), error_score="nan"),
        ValueError,
        "error_score must be 'raise' or a number",
    ),
    "no estimator": (searched("Ridge"), TypeError, "give an estimator, with fit"),
    "a parameter that isn't there": (
        lambda: fl.GridSearchCV(Ridge(), {"alhpa": [1.0]}).fit(X, y),
        ValueError,
        "Invalid parameter 'alhpa' for estimator Ridge",
    ),
    "more rows than there are": (
        halving(max_resources=1000),
        ValueError,
        "a split has 353 rows to train on",
    ),
    "less than nothing": (halving(min_resources=0), ValueError, "must be at least 1"),
    "more at first than at last": (
        halving(min_resources=400),
        ValueError,
        "no fit gets above 353",
    ),
    "arguments of fit that it hasn't": (
        lambda: fl.cross_val_score(Ridge(), X, y, params={"weights": y}),
        ValueError,
        "params holds 'weights'",
    ),
    "an offset that a search has no column for": (
        lambda: fl.cross_val_score(GeneralizedLinearRegressor(offset="years"), X, y),
        ValueError,
        "y must be two columns, the target and 'years'",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_wrong_is_named(name: str) -> None:
    fit, error, message = CASES[name]
    with pytest.raises(error, match=message):
        fit()


def test_a_class_of_one_row_is_named_where_some_split_lacks_it() -> None:
    rare = np.append(names[:-1], "rarest")
    with (
        pytest.warns(match="least populated class"),
        pytest.raises(ValueError, match="no row of class 'rarest' to train on"),
    ):
        fl.cross_val_score(LogisticRegression(), flowers, rare, cv=3)
    twice = np.append(names[:-2], ["rarest", "rarest"])
    with pytest.warns(match="least populated class"):
        scores = fl.cross_val_score(LogisticRegression(), flowers, twice, cv=3)
    assert np.isfinite(scores).all()


def test_a_callable_chooses_the_best_as_in_scikit_learn() -> None:
    options: dict[str, Any] = {"refit": lambda table: int(table["mean_test_score"].argmin())}
    found = fl.GridSearchCV(Ridge(), ALPHAS, **options).fit(X, y)
    expected = sk.GridSearchCV(peers.Ridge(), ALPHAS, **options).fit(X, y)
    assert (found.best_index_, found.best_params_) == (1, {"alpha": 1.0})
    assert hasattr(found, "best_score_") == hasattr(expected, "best_score_")
    np.testing.assert_allclose(found.predict(X), expected.predict(X))
