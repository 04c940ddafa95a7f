"""Support vector machines against scikit-learn's, and against their own optimality conditions."""

from typing import Any

import dask.array as da
import numpy as np
import pytest
from sklearn import svm
from sklearn.exceptions import ConvergenceWarning

from flowml.svm import LinearSVC, LinearSVR

N_ROWS, N_FEATURES = 800, 5
pytestmark = pytest.mark.filterwarnings("error::sklearn.exceptions.ConvergenceWarning")


def make_data(n_rows: int = N_ROWS) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    X = random.standard_normal((n_rows, N_FEATURES)) * [1, 2, 0.5, 3, 1] + [0, 2, -1, 1, 0]
    y = X @ [1.0, -2.0, 0.5, 0.1, 0.0] + 3.0 + random.standard_t(3, n_rows)
    return X, y, random.integers(0, 3, n_rows).astype(np.float64)


def labels_of(y: np.ndarray, n_classes: int) -> np.ndarray:
    names = np.array(["apple", "pear", "quince"])
    return names[np.digitize(y, np.quantile(y, np.arange(1, n_classes) / n_classes))]


def unpenalised_intercept(kind: Any, X: Any, y: Any, weight: Any, **options: Any) -> Any:
    """Return liblinear's model: it penalises the intercept, but hardly any more when scaled up."""
    model = kind(**options, intercept_scaling=1e3, tol=1e-10, max_iter=1_000_000)
    return model.fit(X, y, sample_weight=weight)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("C", [0.01, 10.0])
def test_squared_hinge_equals_scikit_learn(n_classes: int, C: float) -> None:
    X, y, weight = make_data()
    label = labels_of(y, n_classes)
    model = LinearSVC(C=C, tol=1e-9).fit(X, label, weight)
    peer = unpenalised_intercept(svm.LinearSVC, X, label, weight, C=C, dual=False)
    np.testing.assert_allclose(model.coef_, peer.coef_, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(model.intercept_, peer.intercept_, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(model.decision_function(X), peer.decision_function(X), atol=1e-3)
    np.testing.assert_array_equal(model.predict(X), peer.predict(X))
    np.testing.assert_array_equal(model.to_sklearn().predict(X), model.predict(X))


@pytest.mark.parametrize("C", [0.01, 1.0, 100.0])
def test_hinge_equals_libsvm(C: float) -> None:
    X, y, weight = make_data()
    label = labels_of(y, 2)
    model = LinearSVC(loss="hinge", C=C, tol=1e-10).fit(X, label, weight)
    peer = svm.SVC(kernel="linear", C=C, tol=1e-8).fit(X, label, weight)
    mine, other = (
        classifier_objective(m.coef_[0], m.intercept_[0], X, label, weight, C)
        for m in (model, peer)
    )
    assert mine <= other * (1 + 1e-12)
    assert mine >= other * (1 - 1e-5)
    np.testing.assert_allclose(model.coef_, peer.coef_, rtol=5e-3, atol=1e-3)


def classifier_objective(
    coef: np.ndarray, intercept: float, X: Any, label: Any, weight: Any, C: float
) -> float:
    sign = np.where(label == np.unique(label)[1], 1.0, -1.0)
    lacking = np.maximum(1 - sign * (X @ coef + intercept), 0)
    return float(0.5 * coef @ coef + C * weight @ lacking)


def test_hinge_of_three_classes_is_that_of_each_against_the_rest() -> None:
    X, y, _ = make_data(30_000)
    label = labels_of(y, 3)
    model = LinearSVC(loss="hinge", C=0.1, tol=1e-10).fit(X, label)
    assert model.n_passes_ <= 7
    for place, name in enumerate(model.classes_):
        alone = LinearSVC(loss="hinge", C=0.1, tol=1e-10).fit(X, label == name)
        np.testing.assert_allclose(model.coef_[place], alone.coef_[0], rtol=1e-8, atol=1e-10)
        np.testing.assert_allclose(model.intercept_[place], alone.intercept_[0], rtol=1e-8)


@pytest.mark.parametrize("loss", ["hinge", "squared_hinge"])
def test_lasso_meets_its_conditions_of_optimality(loss: str) -> None:
    X, y, weight = make_data()
    label, C = labels_of(y, 2), 0.003
    model = LinearSVC("l1", loss, C=C, tol=1e-10).fit(X, label, weight)
    assert 0 < np.count_nonzero(model.coef_) < N_FEATURES
    sign = np.where(label == "pear", 1.0, -1.0)
    margin = sign * model.decision_function(X)
    if loss == "squared_hinge":
        slope = -2 * C * (weight * sign * np.maximum(1 - margin, 0)) @ X
        off = np.abs(np.where(model.coef_[0] != 0, slope + np.sign(model.coef_[0]), 0.0))
        assert off.max() < 1e-6
        assert np.abs(slope).max() < 1 + 1e-6
    else:
        least = l1_hinge(model.coef_[0], model.intercept_[0], X, sign, C * weight)
        random = np.random.default_rng(1)
        for size in (1e-1, 1e-3, 1e-6):
            moves = size * random.standard_normal(N_FEATURES + 1)
            moved = model.coef_[0] + moves[1:], model.intercept_[0] + moves[0]
            assert l1_hinge(*moved, X, sign, C * weight) >= least * (1 - 1e-12)


def l1_hinge(coef: Any, intercept: float, X: Any, sign: Any, weight: Any) -> float:
    lacking = np.maximum(1 - sign * (X @ coef + intercept), 0)
    return float(np.abs(coef).sum() + weight @ lacking)


@pytest.mark.parametrize("loss", ["hinge", "squared_hinge"])
def test_classes_that_are_far_apart_have_a_widest_margin(loss: str) -> None:
    X = np.array([[0.0, 0.0], [0.0, 1.0], [4.0, 0.0], [4.0, 1.0]])
    model = LinearSVC(loss=loss, C=1e5, tol=1e-9).fit(X, [0, 0, 1, 1])
    np.testing.assert_allclose(model.coef_, [[0.5, 0.0]], atol=1e-4)
    np.testing.assert_allclose(model.intercept_, [-1.0], atol=1e-4)


def test_class_weights_are_weights() -> None:
    X, y, weight = make_data()
    label = labels_of(y, 3)
    factors = {"apple": 2.0, "quince": 0.5}
    model = LinearSVC(class_weight=factors, tol=1e-9).fit(X, label, weight)
    times = weight * np.vectorize(lambda name: factors.get(name, 1.0))(label)
    expected = LinearSVC(tol=1e-9).fit(X, label, times)
    np.testing.assert_allclose(model.coef_, expected.coef_, rtol=1e-6)


@pytest.mark.parametrize("epsilon", [0.0, 0.5])
def test_epsilon_insensitive_equals_libsvm(epsilon: float) -> None:
    X, y, weight = make_data()
    model = LinearSVR(epsilon=epsilon, C=0.5, tol=1e-10).fit(X, y, weight)
    peer = svm.SVR(kernel="linear", epsilon=epsilon, C=0.5, tol=1e-8).fit(X, y, weight)
    mine, other = (
        regressor_objective(coef.ravel(), float(np.ravel(intercept)[0]), X, y, weight, epsilon)
        for coef, intercept in ((model.coef_, model.intercept_), (peer.coef_, peer.intercept_))
    )
    assert mine <= other * (1 + 1e-12)
    assert mine >= other * (1 - 1e-6)
    np.testing.assert_allclose(model.coef_, peer.coef_[0], atol=1e-3)


def regressor_objective(
    coef: np.ndarray, intercept: float, X: Any, y: Any, weight: Any, epsilon: float
) -> float:
    beyond = np.maximum(np.abs(y - X @ coef - intercept) - epsilon, 0)
    return float(0.5 * coef @ coef + 0.5 * weight @ beyond)


def test_squared_epsilon_insensitive_equals_scikit_learn() -> None:
    X, y, weight = make_data()
    options: Any = {"loss": "squared_epsilon_insensitive", "epsilon": 0.5, "C": 0.1}
    model = LinearSVR(**options, tol=1e-9).fit(X, y, weight)
    peer = unpenalised_intercept(svm.LinearSVR, X, y, weight, dual=False, **options)
    np.testing.assert_allclose(model.coef_, peer.coef_, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model.to_sklearn().predict(X), model.predict(X))


@pytest.mark.parametrize("make", [lambda: LinearSVR(epsilon=0.2), lambda: LinearSVC(loss="hinge")])
def test_lazy_rows_in_many_blocks_give_the_same_model(make: Any) -> None:
    X, y, _ = make_data(20_000)
    if isinstance(make(), LinearSVC):
        y = (y > 0).astype(np.float64)
    lazy = da.from_array(X, chunks=(1700, -1)), da.from_array(y, chunks=1700)
    model, expected = make().fit(*lazy), make().fit(X, y)
    np.testing.assert_allclose(model.coef_, expected.coef_, rtol=1e-9)


@pytest.mark.parametrize("loss", ["hinge", "squared_hinge"])
def test_a_warm_start_is_where_it_ended(loss: str) -> None:
    X, y, _ = make_data()
    label = labels_of(y, 3)
    model = LinearSVC(loss=loss, warm_start=True, tol=1e-6).fit(X, label)
    coef, n_iter = model.coef_, model.n_iter_
    assert model.fit(X, label).n_iter_ <= min(n_iter, 2)
    np.testing.assert_allclose(model.coef_, coef, rtol=1e-5, atol=1e-12)


@pytest.mark.parametrize(
    ("parameter", "value"),
    [("C", 0.0), ("loss", "log"), ("penalty", "l3"), ("tol", -1.0), ("class_weight", "even")],
)
def test_parameters_are_checked(parameter: str, value: Any) -> None:
    X, y, _ = make_data(50)
    with pytest.raises(ValueError, match=f"{parameter}="):
        LinearSVC(**{parameter: value}).fit(X, y > 0)


def test_one_class_only_is_named() -> None:
    X, _, _ = make_data(50)
    with pytest.raises(ValueError, match="one class only"):
        LinearSVC().fit(X, np.full(50, "apple"))


def test_too_many_columns_for_a_loss_with_kinks_are_refused_before_anything_is_read() -> None:
    X = np.zeros((3, 5000))
    with pytest.raises(ValueError, match="5,001 columns"):
        LinearSVC(loss="hinge").fit(X, [0, 1, 1])
    with pytest.raises(ValueError, match="squared"):
        LinearSVR().fit(X, [0, 1, 1])


def test_too_few_passes_are_a_warning() -> None:
    X, y, _ = make_data()
    with pytest.warns(ConvergenceWarning, match="raise max_iter"):
        LinearSVC(max_iter=1, tol=1e-12).fit(X, labels_of(y, 3))
