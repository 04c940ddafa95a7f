"""Every estimator's fits share passes in a search, and come out as they would alone."""

from typing import Any

import dask.array as da
import numpy as np
import pandas as pd
import pytest
from sklearn import cluster, metrics
from sklearn import linear_model as peers
from sklearn import model_selection as sk
from sklearn import multiclass as sk_multiclass
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris, load_wine

import flowml
from flowml import model_selection as fl
from flowml.cluster import KMeans
from flowml.datasets import california_housing
from flowml.linear_model import (
    HuberRegressor,
    LogisticRegression,
    LogisticRegressionCV,
    Ridge,
    RidgeClassifier,
)
from flowml.model_selection.shared import shares_passes
from flowml.multiclass import OneVsRestClassifier
from flowml.preprocessing import MinMaxScaler, StandardScaler
from tests.table import ESTIMATORS, EstimatorRow, make_data

EXACT: dict[str, Any] = {"tol": 1e-10}


def spread_after(scaler: Any, X: Any, y: Any = None) -> float:
    """Score a scaler by how the rows come out."""
    return -float(np.abs(scaler.transform(X)).mean())


def own_score(model: Any, X: Any, y: Any = None) -> float:
    """Score rows at once by the estimator's own measure."""
    return float(model.score(X))


def digits() -> tuple[np.ndarray, np.ndarray]:
    X, y = load_digits(return_X_y=True)
    return X[:600], y[:600]


@pytest.mark.parametrize("row", ESTIMATORS, ids=lambda row: row.name)
@pytest.mark.filterwarnings("ignore")
def test_candidates_take_no_more_passes_than_one(row: EstimatorRow) -> None:
    """Three candidates on three splits: the passes of one, and its scores to the bit."""
    X, y, _ = make_data()
    y = row.target(y) if row.with_y else None
    model = row.make()
    parameters = model.get_params(deep=False)
    if "random_state" in parameters:
        model.set_params(random_state=0)
    assert shares_passes(model)
    name = next(iter(parameters))
    scoring = spread_after if hasattr(model, "inverse_transform") else None
    options: dict[str, Any] = {"scoring": scoring, "cv": 3, "error_score": "raise", "refit": False}
    one, three = (
        fl.GridSearchCV(model, {name: [parameters[name]] * count}, **options).fit(X, y)
        for count in (1, 3)
    )
    assert three.n_passes_ == one.n_passes_
    for split in range(3):
        scores = three.cv_results_[f"split{split}_test_score"]
        np.testing.assert_array_equal(scores, one.cv_results_[f"split{split}_test_score"][0])


# --- clusterings ---------------------------------------------------------------------------------


def test_a_search_over_clusterings_is_scikit_learns() -> None:
    X, _ = digits()
    start, grid = X[:10], {"max_iter": [1, 3, 300]}
    found = fl.GridSearchCV(KMeans(10, init=start), grid, cv=3).fit(X)
    peer = cluster.KMeans(10, init=start, n_init=1)
    expected = sk.GridSearchCV(peer, grid, cv=3).fit(X)
    for name in ("split0_test_score", "mean_test_score", "std_test_score"):
        np.testing.assert_allclose(found.cv_results_[name], expected.cv_results_[name], rtol=1e-9)
    assert found.best_params_ == expected.best_params_
    np.testing.assert_array_equal(found.best_estimator_.labels_, expected.best_estimator_.labels_)
    np.testing.assert_array_equal(found.predict(X), expected.predict(X))
    assert found.score(X) == pytest.approx(expected.score(X), rel=1e-12)


def test_scikit_learns_own_tools_take_clusterings_and_scalers() -> None:
    X, _ = digits()
    options: dict[str, Any] = {"init": X[:10], "n_init": 1}
    found = sk.cross_val_score(KMeans(10, **options), X, cv=3)
    np.testing.assert_allclose(found, fl.cross_val_score(KMeans(10, **options), X, cv=3), rtol=1e-9)
    scaled = sk.cross_val_score(StandardScaler(), X, scoring=spread_after, cv=3)
    own = fl.cross_val_score(StandardScaler(), X, scoring=spread_after, cv=3)
    np.testing.assert_allclose(own, scaled, rtol=1e-9)


def test_clusterings_are_scored_by_labels_that_only_scores_know() -> None:
    X, y = digits()
    peer = cluster.KMeans(10, init=X[:10], n_init=1)
    for labels in (y, y.astype(str)):
        found = fl.cross_val_score(
            KMeans(10, init=X[:10]), X, labels, scoring="adjusted_rand_score", cv=3
        )
        cv = sk.KFold(3)
        expected = sk.cross_val_score(peer, X, labels, scoring="adjusted_rand_score", cv=cv)
        np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_lazy_rows_are_read_once_a_pass_for_all_clusterings(tmp_path: Any) -> None:
    X, _ = digits()
    np.save(tmp_path / "X.npy", X)
    grid = {"n_clusters": [2, 5, 9]}
    search = fl.GridSearchCV(KMeans(random_state=0), grid, cv=3)
    with flowml.config_context(keep=False):
        lazy = search.fit(flowml.read_npy(tmp_path / "X.npy"))
    labels, passes = lazy.best_estimator_.labels_, lazy.n_passes_
    here = search.fit(X)
    np.testing.assert_array_equal(labels.compute(), here.best_estimator_.labels_)
    assert passes == here.n_passes_ == lazy.best_estimator_.n_passes_
    alone = [KMeans(k, random_state=0).fit(X).n_passes_ for k in grid["n_clusters"]]
    assert passes < 2 * sum(alone)  # one after the other: about ten times their sum


def test_bounds_of_other_rows_are_not_taken_for_ones_own() -> None:
    """From round to round other fits take the same places, on as many rows, from the same start."""
    X, _ = digits()
    results = []
    for algorithm in ("lloyd", "hamerly"):
        model = KMeans(10, init=X[:10], algorithm=algorithm)
        search = fl.SuccessiveHalvingSearchCV(
            model,
            {"tol": [1e-6, 1e-5, 1e-4]},
            n_candidates=3,
            resource="max_iter",
            max_resources=12,
            scoring=own_score,  # leaves no trace beside the rows
            cv=3,
            random_state=0,
            refit=False,
        )
        results.append(search.fit(X).cv_results_)
    for name in ("split0_test_score", "split1_test_score", "split2_test_score"):
        np.testing.assert_array_equal(results[0][name], results[1][name])


def test_starts_share_their_passes() -> None:
    X, _ = digits()
    starts = [X[100 * n : 100 * n + 8] for n in range(3)]
    given = iter(starts)
    several = KMeans(8, init=lambda X, n_clusters, random_state: next(given), n_init=3).fit(X)
    alone = [KMeans(8, init=start).fit(X) for start in starts]
    best = min(alone, key=lambda model: model.inertia_)
    assert several.inertia_ == best.inertia_
    np.testing.assert_array_equal(several.cluster_centers_, best.cluster_centers_)
    np.testing.assert_array_equal(several.labels_, best.labels_)
    assert several.n_passes_ == max(model.n_passes_ for model in alone)


def test_a_callable_start_is_refused_where_fits_share_passes() -> None:
    X, _ = digits()
    model = KMeans(8, init=lambda X, n_clusters, random_state: X[:n_clusters])
    with pytest.raises(ValueError, match="init can't be a callable, as no fit has its rows"):
        fl.cross_val_score(model, X, cv=3)


# --- estimators made of others -------------------------------------------------------------------


def test_searches_over_searches_are_scikit_learns() -> None:
    X, y = load_iris(return_X_y=True)
    found = fl.cross_val_score(LogisticRegressionCV(Cs=[0.1, 1.0, 10.0], cv=3, **EXACT), X, y, cv=3)
    peer = sk.GridSearchCV(
        peers.LogisticRegression(tol=1e-10, max_iter=10_000), {"C": [0.1, 1.0, 10.0]}, cv=3
    )
    np.testing.assert_allclose(found, sk.cross_val_score(peer, X, y, cv=3), rtol=1e-9)


@pytest.mark.parametrize("name", ["ridge", "one against the rest"])
def test_searches_over_classifiers_of_parts_are_scikit_learns(name: str) -> None:
    X, y = load_wine(return_X_y=True)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    own: Any = RidgeClassifier()
    peer: Any = peers.RidgeClassifier()
    grid = {"alpha": [1.0, 100.0, 1e4]}
    if name != "ridge":
        own = OneVsRestClassifier(LogisticRegression(**EXACT))
        peer = sk_multiclass.OneVsRestClassifier(peers.LogisticRegression(tol=1e-10, max_iter=1000))
        grid = {"estimator__C": [1e-4, 1e-2, 1.0]}
    found = fl.GridSearchCV(own, grid, cv=4).fit(X, y)
    expected = sk.GridSearchCV(peer, grid, cv=4).fit(X, y)
    for column in ("mean_test_score", "std_test_score"):
        np.testing.assert_allclose(found.cv_results_[column], expected.cv_results_[column])
    np.testing.assert_array_equal(found.predict(X), expected.predict(X))


def test_what_is_said_of_each_row_is_said_of_the_best_fit_too() -> None:
    X, y, _ = make_data()
    y[::20] += 50.0
    best = fl.GridSearchCV(HuberRegressor(), {"alpha": [1e-4, 1.0]}).fit(X, y).best_estimator_
    np.testing.assert_array_equal(
        best.outliers_, HuberRegressor(alpha=best.alpha).fit(X, y).outliers_
    )


# --- penalties of logistic regressions -----------------------------------------------------------


def houses() -> tuple[np.ndarray, np.ndarray]:
    frame = pd.read_parquet(california_housing()).select_dtypes("number").dropna()
    value = frame.pop("median_house_value")
    X = frame.to_numpy(dtype=np.float64)
    bounds = value.quantile([0.5, 0.9])
    return X, np.array(["low", "middle", "high"])[np.searchsorted(bounds, value)]


@pytest.mark.parametrize("options", [{}, {"class_weight": "balanced", "fit_intercept": False}])
def test_penalties_are_tried_on_curvatures_in_common(options: dict[str, Any]) -> None:
    """Fits of one loss step with one curvature, and end where each ends alone."""
    X, y = houses()
    model = LogisticRegression(tol=1e-8, **options)
    grid = {"C": [1.0, 1e-4, 0.01], "l1_ratio": [0.0]}
    search = fl.GridSearchCV(model, grid, cv=3, refit=False)
    trials = search._fit(X, y, None, None)
    usual = clone(search).set_params(estimator__tol=1e-5).fit(X, y)
    assert set(usual.history_["stage"]) == {"splits", "survey + labels", "fit", "score"}
    for trial in trials:
        for fitted, (train, _) in zip(
            trial.outcome.estimators, sk.StratifiedKFold(3).split(X, y), strict=True
        ):
            alone = clone(model).set_params(**trial.params).fit(X[train], y[train])
            np.testing.assert_allclose(fitted.coef_, alone.coef_, rtol=1e-4, atol=1e-6)
            np.testing.assert_array_equal(fitted.classes_, alone.classes_)
            assert fitted.n_features_in_ == alone.n_features_in_
            assert fitted.solver_used_ == alone.solver_used_


def test_a_penalty_that_fails_leaves_the_others_alone() -> None:
    X, y = load_iris(return_X_y=True)
    grid = {"C": [-1.0, 1.0], "class_weight": [None, "balanced"]}
    with pytest.warns(match="6 fits failed out of a total of 12.*C must be a number above 0"):
        search = fl.GridSearchCV(LogisticRegression(**EXACT), grid, cv=3).fit(X, y)
    peer = peers.LogisticRegression(tol=1e-10, max_iter=10_000)
    expected = sk.GridSearchCV(peer, {**grid, "C": [1.0]}, cv=3).fit(X, y)
    found = search.cv_results_["mean_test_score"]
    assert np.isnan(found[:2]).all()
    np.testing.assert_allclose(found[2:], expected.cv_results_["mean_test_score"])


# --- scores of all rows at once ------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["in memory", "lazy", "on the cluster"])
def test_scikit_learns_scorers_score_shared_fits(kind: str, request: Any) -> None:
    X, y, _ = make_data()
    if kind == "on the cluster":
        request.getfixturevalue("client")
    rows: Any = (X, y)
    if kind != "in memory":
        rows = da.from_array(X, chunks=(70, -1)), da.from_array(y, chunks=70)
    pinball = metrics.make_scorer(metrics.mean_pinball_loss, alpha=0.9, greater_is_better=False)
    scoring = {"pinball": pinball, "r2": "r2", "d2": "d2_pinball_score"}
    if "d2_pinball_score" not in metrics.get_scorer_names():
        scoring["d2"] = metrics.make_scorer(metrics.d2_pinball_score)
    options: dict[str, Any] = {"scoring": scoring, "cv": 3, "refit": "pinball"}
    grid = {"alpha": [0.1, 10.0, 1000.0]}
    found = fl.GridSearchCV(Ridge(), grid, **options).fit(*rows)
    expected = sk.GridSearchCV(peers.Ridge(), grid, **options).fit(X, y)
    for name in scoring:
        column = f"mean_test_{name}"
        np.testing.assert_allclose(found.cv_results_[column], expected.cv_results_[column])
    assert found.best_params_ == expected.best_params_
    assert found.score(X, y) == pytest.approx(expected.score(X, y))
    assert found.n_passes_ == 3


def test_scalers_are_searched() -> None:
    X, _ = digits()
    grid = {"feature_range": [(0, 1), (-1, 1), (5, 6)]}
    search = fl.GridSearchCV(MinMaxScaler(), grid, scoring=spread_after, cv=3).fit(X)
    assert search.n_passes_ == 2
    assert search.best_params_ == {"feature_range": (0, 1)}
    np.testing.assert_array_equal(search.transform(X), MinMaxScaler().fit_transform(X))
