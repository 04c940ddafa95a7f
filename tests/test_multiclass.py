"""Ridge classification, and one classifier for each class on shared passes."""

from typing import Any

import dask.array as da
import numpy as np
import pandas as pd
import pytest
from sklearn import linear_model as peers
from sklearn.ensemble import RandomForestClassifier
from sklearn.multiclass import OneVsRestClassifier as SklearnOneVsRestClassifier

import flowml
from flowml.linear_model import HuberRegressor, LogisticRegression, Ridge, RidgeClassifier
from flowml.multiclass import OneVsRestClassifier
from flowml.svm import LinearSVC

CUTS: Any = {2: [0.6], 3: [0.3, 0.7]}
classes = pytest.mark.parametrize("n_classes", [2, 3])


def make_data(n_classes: int, n_rows: int = 500) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    X = random.standard_normal((n_rows, 4)) * [1, 2, 0.5, 3] + [0, 2, -1, 1]
    score = X @ [1.0, -2.0, 0.5, 0.1] + 2 * random.standard_normal(n_rows)
    names = np.array(["ash", "beech", "cedar"])
    labels = names[np.digitize(score, np.quantile(score, CUTS[n_classes]))]
    return X, labels, random.integers(0, 3, n_rows).astype(np.float64)


# --- ridge classification ------------------------------------------------------------------------


@classes
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("class_weight", [None, {"ash": 3.0}])
def test_ridge_classifier_equals_scikit_learn(
    n_classes: int, fit_intercept: bool, class_weight: Any
) -> None:
    X, y, weight = make_data(n_classes)
    options = {"alpha": 2.0, "fit_intercept": fit_intercept, "class_weight": class_weight}
    model = RidgeClassifier(**options).fit(X, y, weight)
    peer = peers.RidgeClassifier(**options).fit(X, y, weight)
    np.testing.assert_allclose(model.coef_, np.atleast_2d(peer.coef_), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(model.intercept_, peer.intercept_, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(model.decision_function(X), peer.decision_function(X), rtol=1e-9)
    np.testing.assert_array_equal(model.predict(X), peer.predict(X))
    assert model.n_passes_ == 2
    plain = model.to_sklearn()
    np.testing.assert_array_equal(plain.predict(X), model.predict(X))
    np.testing.assert_array_equal(plain.classes_, model.classes_)


def test_balanced_classes_weigh_the_same() -> None:
    X, y, _ = make_data(3)
    model = RidgeClassifier(class_weight="balanced").fit(X, y)
    peer = peers.RidgeClassifier(class_weight="balanced").fit(X, y)
    np.testing.assert_allclose(model.coef_, peer.coef_, rtol=1e-9)


def test_one_class_only_is_named() -> None:
    X, _, _ = make_data(2)
    for model in (RidgeClassifier(), OneVsRestClassifier(LogisticRegression())):
        with pytest.raises(ValueError, match="one class only"):
            model.fit(X, np.full(len(X), "ash"))


@pytest.mark.parametrize(("parameter", "value"), [("alpha", -1.0), ("class_weight", "even")])
def test_parameters_are_checked(parameter: str, value: Any) -> None:
    X, y, _ = make_data(2, 50)
    with pytest.raises(ValueError, match=f"{parameter}="):
        RidgeClassifier(**{parameter: value}).fit(X, y)


# --- one against the rest ------------------------------------------------------------------------


@classes
@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        (LogisticRegression(tol=1e-9), peers.LogisticRegression(tol=1e-9)),
        (RidgeClassifier(), peers.RidgeClassifier()),
        (Ridge(), peers.Ridge()),
        (peers.LogisticRegression(), peers.LogisticRegression()),
        (RandomForestClassifier(5, random_state=0), RandomForestClassifier(5, random_state=0)),
    ],
    ids=lambda estimator: f"{type(estimator).__module__.split('.')[0]} {type(estimator).__name__}",
)
def test_one_vs_rest_equals_scikit_learn(mine: Any, theirs: Any, n_classes: int) -> None:
    X, y, _ = make_data(n_classes)
    model = OneVsRestClassifier(mine).fit(X, y)
    peer = SklearnOneVsRestClassifier(theirs).fit(X, y)
    np.testing.assert_array_equal(model.predict(X), peer.predict(X))
    assert len(model.estimators_) == len(peer.estimators_)
    assert hasattr(model, "predict_proba") == hasattr(peer, "predict_proba")
    if hasattr(peer, "predict_proba"):
        np.testing.assert_allclose(model.predict_proba(X), peer.predict_proba(X), atol=1e-7)
    if hasattr(peer, "decision_function"):
        expected = peer.decision_function(X)
        np.testing.assert_allclose(model.decision_function(X), expected, atol=1e-6)


@pytest.mark.parametrize(
    "estimator", [LogisticRegression(), LinearSVC(loss="hinge"), RidgeClassifier()], ids=str
)
def test_shared_passes_are_those_of_the_longest_and_change_nothing(estimator: Any) -> None:
    X, y, weight = make_data(3, 5000)
    model = OneVsRestClassifier(estimator).fit(X, y, weight)
    alone = [
        estimator.__class__(**estimator.get_params()).fit(X, y == name, weight)
        for name in model.classes_
    ]
    assert model.n_passes_ == 1 + max(one.n_passes_ for one in alone)
    assert model.n_passes_ < sum(one.n_passes_ for one in alone)
    for member, one in zip(model.estimators_, alone, strict=True):
        np.testing.assert_array_equal(member.coef_, one.coef_)
        np.testing.assert_array_equal(member.intercept_, one.intercept_)


def test_lazy_rows_are_read_once_a_pass() -> None:
    X, y, _ = make_data(3, 2000)
    reads: list[int] = []

    def counted(block: np.ndarray) -> np.ndarray:
        reads.append(len(block))
        return block

    chunks = da.from_array(X, chunks=(500, -1)).map_blocks(counted, dtype=X.dtype, meta=X[:0])
    lazy = da.from_array(y, chunks=500)
    with flowml.config_context(keep=False):
        model = OneVsRestClassifier(LogisticRegression()).fit(chunks, lazy)
    assert sum(reads) == 2000 * model.n_passes_
    expected = OneVsRestClassifier(LogisticRegression()).fit(X, y)
    np.testing.assert_allclose(model.coef_, expected.coef_, rtol=1e-9)
    found = model.predict(chunks)
    assert isinstance(found, da.Array)
    np.testing.assert_array_equal(found.compute(), expected.predict(X))


def test_regressors_tell_classes_apart_too() -> None:
    X, y, _ = make_data(3)
    model = OneVsRestClassifier(HuberRegressor()).fit(X, y)
    assert model.score(X, y) > 0.5
    assert not hasattr(model, "predict_proba")


def test_frames_keep_their_names_and_labels_their_index() -> None:
    X, y, _ = make_data(3, 100)
    frame = pd.DataFrame(X, columns=["a", "b", "c", "d"], index=np.arange(100) * 2)
    for estimator in (LogisticRegression(), peers.LogisticRegression()):
        model = OneVsRestClassifier(estimator).fit(frame, pd.Series(y, index=frame.index))
        pd.testing.assert_index_equal(model.predict(frame).index, frame.index)
        assert isinstance(model.decision_function(frame), np.ndarray)
        assert list(model.feature_names_in_) == list(frame.columns)


def test_what_is_no_estimator_is_refused() -> None:
    X, y, _ = make_data(2, 50)
    with pytest.raises(TypeError, match="must be an estimator"):
        OneVsRestClassifier("logistic").fit(X, y)


def test_categorical_columns_enter_by_their_labels() -> None:
    X, y, _ = make_data(3, 300)
    frame = pd.DataFrame(X, columns=["a", "b", "c", "d"])
    frame["tree"] = pd.Categorical(np.where(X[:, 0] > 0, "old", "young"))
    for estimator in (LogisticRegression(), LinearSVC(loss="hinge")):
        model = OneVsRestClassifier(estimator).fit(frame, y)
        alone = estimator.__class__(**estimator.get_params()).fit(frame, y == "beech")
        np.testing.assert_array_equal(model.estimators_[1].coef_, alone.coef_)
        assert model.score(frame, y) > 0.5
