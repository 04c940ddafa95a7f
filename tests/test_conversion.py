"""Models of categorical columns as scikit-learn's pipelines, whose predictions are the same."""

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import Pipeline

from flowml.linear_model import (
    CategoricalEncoding,
    ElasticNet,
    GammaRegressor,
    HuberRegressor,
    Lasso,
    LinearRegression,
    LogisticRegression,
    LogisticRegressionCV,
    PoissonRegressor,
    QuantileRegressor,
    Ridge,
    RidgeClassifier,
    SGDClassifier,
    SGDRegressor,
    TweedieRegressor,
)
from flowml.linear_model.categorical import names_of_coefficients
from flowml.svm import LinearSVC, LinearSVR


def frame_of(n_rows: int = 200, missing: bool = True) -> pd.DataFrame:
    """Return numbers between labels of several kinds, some of them missing."""
    random = np.random.default_rng(0)
    text = np.array(["low", "high", "middle", "rare"], dtype=object)
    place = text[np.minimum(random.integers(0, 20, n_rows) // 6, 3)]
    year = random.integers(2019, 2022, n_rows).astype(object)
    if missing:
        place[::17], year[5::13] = None, None
    return pd.DataFrame(
        {
            "place": pd.Categorical(place),
            "size": random.standard_normal(n_rows),
            "year": pd.Categorical(year),
            "age": random.uniform(1.0, 3.0, n_rows),
            "new": pd.Categorical(random.uniform(size=n_rows) < 0.5),
        }
    )


def targets_of(frame: pd.DataFrame, n_classes: int) -> tuple[Any, Any]:
    """Return a positive target, and labels."""
    random = np.random.default_rng(1)
    eta = frame["size"] + (frame["place"] == "low") + 0.5 * (frame["year"] == 2020)
    y = np.exp(0.3 * eta + 0.1 * random.standard_normal(len(frame)))
    names = np.array(["a", "b", "c"])
    return y, names[np.digitize(eta + random.logistic(size=len(eta)), [0.0, 1.0][: n_classes - 1])]


REGRESSORS = [
    LinearRegression(),
    Ridge(),
    Lasso(alpha=0.01),
    ElasticNet(alpha=0.01),
    HuberRegressor(),
    QuantileRegressor(alpha=0.01),
    PoissonRegressor(),
    GammaRegressor(),
    TweedieRegressor(power=1.5),
    SGDRegressor(),
    LinearSVR(),
]
CLASSIFIERS = [
    LogisticRegression(),
    LogisticRegressionCV(Cs=2, cv=2),
    RidgeClassifier(),
    SGDClassifier(loss="log_loss"),
    LinearSVC(),
]


def check_equal(model: Any, plain: Any, frame: pd.DataFrame) -> None:
    assert isinstance(plain, Pipeline)
    for method in ("predict", "predict_proba", "decision_function"):
        if hasattr(model, method):
            ours, theirs = getattr(model, method)(frame), getattr(plain, method)(frame)
            if np.asarray(ours).dtype.kind in "OUT":
                assert (np.asarray(ours) == theirs).all()
            else:
                np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("model", REGRESSORS, ids=lambda model: type(model).__name__)
def test_regressors_of_labels_predict_the_same(model: Any) -> None:
    frame = frame_of()
    y, _ = targets_of(frame, 2)
    model = model.__class__(**model.get_params()).fit(frame, y)
    plain = pickle.loads(pickle.dumps(model.to_sklearn()))
    check_equal(model, plain, frame)
    check_equal(model, plain, frame.iloc[::-1].reset_index(drop=True))
    assert plain.score(frame, y) == pytest.approx(model.score(frame, y), rel=1e-10)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("model", CLASSIFIERS, ids=lambda model: type(model).__name__)
def test_classifiers_of_labels_predict_the_same(model: Any, n_classes: int) -> None:
    frame = frame_of()
    _, y = targets_of(frame, n_classes)
    model = model.__class__(**model.get_params()).fit(frame, y)
    check_equal(model, model.to_sklearn(), frame)


@pytest.mark.parametrize("drop", ["first", "none"])
@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("unknown", ["error", "ignore"])
@pytest.mark.filterwarnings("ignore:Found unknown categories:UserWarning")
def test_labels_that_the_fit_never_saw_are_taken_alike(
    drop: str, missing: bool, unknown: str
) -> None:
    frame = frame_of(missing=missing)
    y, _ = targets_of(frame, 2)
    options = CategoricalEncoding(drop=drop, handle_unknown=unknown)
    model = PoissonRegressor(categorical=options).fit(frame, y)
    plain = model.to_sklearn()
    check_equal(model, plain, frame)
    strange = frame.assign(place=pd.Categorical(["nowhere", *frame["place"][1:]]))
    absent = frame.assign(place=pd.Categorical([None, *frame["place"][1:]]))
    if unknown == "ignore":
        check_equal(model, plain, strange)
        check_equal(model, plain, absent)
        return
    for estimator in (model, plain):
        with pytest.raises(ValueError, match="nowhere"):
            estimator.predict(strange)
    if missing:
        check_equal(model, plain, absent)
        return
    with pytest.raises(ValueError, match="'place' holds a missing label, which the fit never saw"):
        model.predict(absent)
    with pytest.raises(ValueError, match="nan"):
        plain.predict(absent)


def test_columns_of_one_label_and_single_precision() -> None:
    frame = frame_of(missing=False).assign(place=pd.Categorical(["low"] * 200))
    frame = frame.astype({"size": np.float32, "age": np.float32})
    model = LinearRegression().fit(frame, np.arange(200.0))
    predicted = model.to_sklearn().predict(frame)
    np.testing.assert_allclose(predicted, model.predict(frame), rtol=1e-4)


def test_columns_without_names_and_labels_alone() -> None:
    frame = frame_of()[["place", "year"]]
    frame.columns = pd.RangeIndex(2)
    y = np.arange(200.0)
    model = Ridge().fit(frame, y)
    assert names_of_coefficients(model)[4:6] == ["x0=missing", "x1=2019"]
    check_equal(model, model.to_sklearn(), frame)
