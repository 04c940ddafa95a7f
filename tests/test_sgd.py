"""Stochastic gradient descent: near the minimum in a few epochs, and the same on any workers."""

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import SGDClassifier as SklearnSGDClassifier

import flowml
from flowml.drive.events import PassCompleted
from flowml.kernels.linear_loss import Point, Target
from flowml.kernels.rows import Block
from flowml.kernels.stochastic import EPOCH, EpochAsk, Lengths
from flowml.linear_model import (
    Lasso,
    LinearRegression,
    LogisticRegression,
    Ridge,
    SGDClassifier,
    SGDRegressor,
)
from flowml.losses.each_class import EachClassLoss
from flowml.losses.logistic import LogisticLoss
from flowml.penalties.elastic_net import ElasticNet as Penalty
from flowml.svm import LinearSVC

Array = np.ndarray[Any, Any]


def make_rows(n_rows: int = 20_000, n_features: int = 6) -> tuple[Array, Array]:
    """Return columns in unlike units and away from zero, and a noisy predictor."""
    random = np.random.default_rng(0)
    mix = np.eye(n_features) + 0.2 * random.standard_normal((n_features, n_features))
    X = random.standard_normal((n_rows, n_features)) @ mix
    eta = X @ random.standard_normal(n_features) + 0.5
    scale = 10.0 ** np.linspace(-2, 2, n_features)
    return X * scale + 5 * scale, eta + random.logistic(size=n_rows)


X, NOISY = make_rows()


SCIKIT_LEARNS: dict[str, Any] = {
    "hinge": lambda s, p: np.maximum(1 - s * p, 0),
    "log_loss": lambda s, p: np.logaddexp(0, -s * p),
    "modified_huber": lambda s, p: np.where(
        s * p >= -1, np.square(np.maximum(1 - s * p, 0)), -4 * s * p
    ),
    "squared_hinge": lambda s, p: np.square(np.maximum(1 - s * p, 0)),
    "squared_error": lambda s, p: 0.5 * np.square(s - p),
    "huber": lambda s, p: np.where(
        np.abs(s - p) <= 0.1, 0.5 * np.square(s - p), 0.1 * np.abs(s - p) - 0.005
    ),
    "epsilon_insensitive": lambda s, p: np.maximum(np.abs(s - p) - 0.1, 0),
    "squared_epsilon_insensitive": lambda s, p: np.square(np.maximum(np.abs(s - p) - 0.1, 0)),
}
LOSSES = list(SCIKIT_LEARNS)


def logistic_objective(model: Any, y: Array, alpha: float) -> float:
    eta = X @ model.coef_[0] + model.intercept_[0]
    return float(np.mean(np.logaddexp(0, eta) - y * eta) + alpha / 2 * (model.coef_**2).sum())


def test_a_few_epochs_come_near_the_minimum() -> None:
    y, alpha = NOISY > 0, 1e-4
    exact = LogisticRegression(C=1 / (alpha * len(X)), tol=1e-8).fit(X, y)
    best = logistic_objective(exact, y, alpha)
    few = SGDClassifier("log_loss", alpha=alpha, random_state=0, tol=1e-4, max_iter=5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        few.fit(X, y)
    assert logistic_objective(few, y, alpha) - best < 3e-4
    model = SGDClassifier("log_loss", alpha=alpha, random_state=0).fit(X, y)
    assert logistic_objective(model, y, alpha) - best < 1e-4
    assert model.n_passes_ == model.n_iter_ + 1
    assert np.mean(model.predict(X) == exact.predict(X)) > 0.995
    np.testing.assert_allclose(model.predict_proba(X), exact.predict_proba(X), atol=0.03)


def test_averaging_is_nearer_than_the_last_step() -> None:
    y = NOISY > 0
    best = logistic_objective(LogisticRegression(C=np.inf, tol=1e-8).fit(X, y), y, 0.0)
    gaps = []
    for average in (True, False):
        model = SGDClassifier("log_loss", penalty=None, average=average, max_iter=8, tol=1e-5)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.set_params(random_state=0).fit(X, y)
        gaps.append(logistic_objective(model, y, 0.0) - best)
    assert 0 <= gaps[0] < gaps[1] / 3


@pytest.mark.parametrize("rate", ["constant", "invscaling", "adaptive"])
def test_rates(rate: str) -> None:
    y = NOISY > 0
    exact = LogisticRegression(C=np.inf).fit(X, y)
    model = SGDClassifier("log_loss", penalty=None, learning_rate=rate, eta0=0.1, max_iter=200)
    model.set_params(random_state=0).fit(X, y)
    assert logistic_objective(model, y, 0.0) - logistic_objective(exact, y, 0.0) < 2e-3


@pytest.mark.parametrize("loss", LOSSES)
def test_losses_of_two_classes_are_scikit_learns(loss: str) -> None:
    y = np.where(NOISY > 1.0, "up", "down")[:6000]  # unlike in number
    standard = ((X - X.mean(axis=0)) / X.std(axis=0))[:6000]
    theirs = SklearnSGDClassifier(loss, random_state=0, average=True, alpha=1e-3).fit(standard, y)
    model = SGDClassifier(loss, random_state=0, alpha=1e-3, tol=1e-4).fit(standard, y)
    assert model.score(standard, y) > theirs.score(standard, y) - 0.01
    # the same objective, by scikit-learn's own loss functions
    eta = np.stack([each.decision_function(standard) for each in (model, theirs)])
    values = SCIKIT_LEARNS[loss](np.where(y == "up", 1.0, -1.0), eta).mean(axis=1)
    penalties = [5e-4 * (each.coef_**2).sum() for each in (model, theirs)]
    ours, reference = values + penalties
    assert ours < reference * 1.01 + 1e-3
    if loss == "modified_huber":
        np.testing.assert_allclose(
            model.to_sklearn().predict_proba(standard), model.predict_proba(standard), atol=1e-12
        )


@pytest.mark.parametrize("loss", LOSSES)
def test_losses_of_several_classes(loss: str) -> None:
    y = np.array(["low", "middle", "top"])[np.digitize(NOISY, [-1.0, 2.0])]
    model = SGDClassifier(loss, random_state=0).fit(X, y)
    assert model.coef_.shape == (3, X.shape[1])
    exact = LinearSVC(loss="squared_hinge", C=1e-3).fit(X, y)
    assert model.score(X, y) > exact.score(X, y) - 0.03
    if loss in ("log_loss", "modified_huber"):
        np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1)
    else:
        assert not hasattr(model, "predict_proba")


def test_each_class_is_told_from_the_rest() -> None:
    random = np.random.default_rng(1)
    y, eta = random.integers(0, 3, 20).astype(np.float64), random.standard_normal((20, 3))
    found = EachClassLoss(LogisticLoss(), 3).derivatives(y, eta)
    for k in range(3):
        alone = LogisticLoss().derivatives((y == k).astype(np.float64), eta[:, k])
        np.testing.assert_array_equal(found.gradient[:, k], alone.gradient)
        np.testing.assert_array_equal(found.curvature[:, k, k], alone.curvature)
    assert found.curvature[:, 0, 1].max() == 0


def test_regression_and_sparse_penalties() -> None:
    exact = Ridge(alpha=1e-4 * len(X)).fit(X, NOISY)
    model = SGDRegressor(random_state=0, tol=1e-4).fit(X, NOISY)
    assert abs(model.score(X, NOISY) - exact.score(X, NOISY)) < 1e-3
    huber = SGDRegressor("huber", epsilon=1.0, penalty=None, random_state=0, tol=1e-4)
    huber.fit(X, NOISY)
    assert abs(huber.score(X, NOISY) - LinearRegression().fit(X, NOISY).score(X, NOISY)) < 0.01
    robust = SGDRegressor("epsilon_insensitive", penalty=None, random_state=0).fit(X, NOISY)
    assert abs(robust.score(X, NOISY) - LinearRegression().fit(X, NOISY).score(X, NOISY)) < 0.01
    standard = (X - X.mean(axis=0)) / X.std(axis=0)
    sparse = SGDRegressor(penalty="l1", alpha=0.5, random_state=0, tol=1e-4)
    lasso = Lasso(alpha=0.5).fit(standard, NOISY)
    sparse.fit(standard, NOISY)
    np.testing.assert_allclose(sparse.coef_, lasso.coef_, atol=0.1)


def test_batches() -> None:
    y = NOISY > 0
    model = SGDClassifier("log_loss", penalty=None, random_state=0)
    for _ in range(3):
        for low in range(0, len(X), 4000):
            batch = slice(low, low + 4000)
            model.partial_fit(X[batch], y[batch], classes=[False, True])
    assert model.score(X, y) > LogisticRegression().fit(X, y).score(X, y) - 0.005
    with pytest.raises(ValueError, match="classes must be passed"):
        SGDClassifier().partial_fit(X, y)
    before = dict(vars(model))
    with pytest.raises(ValueError, match="2, which is not among the classes"):
        model.partial_fit(X[:5], np.array([0, 1, 2, 0, 1]))
    with pytest.raises(ValueError, match="features"):
        model.partial_fit(X[:5, :3], y[:5])
    assert vars(model).keys() == before.keys()
    assert SGDRegressor(random_state=0).partial_fit(X, NOISY).n_iter_ == 1


def test_csr_rows_are_those_of_the_dense() -> None:
    small = np.where(np.abs(X) > 10, np.round(X), 0.0)
    y = NOISY > 0
    dense = SGDClassifier("log_loss", random_state=0, max_iter=10).fit(small, y)
    sparse = SGDClassifier("log_loss", random_state=0, max_iter=10).fit(sp.csr_array(small), y)
    assert np.mean(dense.predict(small) == sparse.predict(small)) > 0.99


def test_resuming_gives_the_same_bits(tmp_path: Any) -> None:
    def interrupt(event: Any) -> None:
        if isinstance(event, PassCompleted) and event.number == 3:
            raise KeyboardInterrupt

    y = NOISY > 0
    undisturbed = SGDClassifier(random_state=0).fit(X, y)
    settings: dict[str, Any] = {"checkpoint": tmp_path, "checkpoint_seconds": 0}
    with flowml.config_context(**settings, callbacks=[interrupt]), pytest.raises(KeyboardInterrupt):
        SGDClassifier(random_state=0).fit(X, y)
    with flowml.config_context(**settings, resume=True):
        resumed = SGDClassifier(random_state=0).fit(X, y)
    np.testing.assert_array_equal(resumed.coef_, undisturbed.coef_)


def test_a_warm_start_goes_on() -> None:
    y = NOISY > 0
    model = SGDClassifier("log_loss", random_state=0, warm_start=True).fit(X, y)
    cold = model.n_iter_
    assert model.fit(X, y).n_iter_ <= cold


def test_steps_that_are_too_long_are_cut() -> None:
    model = SGDRegressor(learning_rate="constant", eta0=1e3, random_state=0).fit(X, NOISY)
    assert np.isfinite(model.coef_).all()
    assert model.score(X, NOISY) > 0.3


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"loss": "modern"}, "loss must be 'hinge'"),
        ({"loss": "huber", "epsilon": 0.0}, "huber needs an epsilon above 0"),
        ({"penalty": "l3"}, "penalty must be 'l2'"),
        ({"learning_rate": "fast"}, "learning_rate must be 'optimal'"),
        ({"learning_rate": "constant", "eta0": 0.0}, "eta0 must be above 0"),
        ({"l1_ratio": 2.0}, "l1_ratio must be at most 1"),
        ({"n_iter_no_change": 0}, "n_iter_no_change must be at least 1"),
    ],
)
def test_parameters_are_checked(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SGDClassifier(**parameters).fit(X, NOISY > 0)


def test_an_epoch_depends_on_ask_and_rows_alone() -> None:
    y = (NOISY > 0).astype(np.float64)
    point = Point(LogisticLoss(), Target(), np.zeros((1, 6)), np.zeros(1), X.mean(axis=0))
    start = np.zeros((1, 7))
    free = np.ones((1, 7), dtype=bool)
    ask = EpochAsk(point, X.std(axis=0), free, start, Penalty(l2=1e-3), Lengths(0.1, 2, 0.5), 7)
    for part in (X, y, start):
        part.flags.writeable = False
    block = Block(X[:500], y[:500], None, 100)
    first, second = EPOCH(ask, [block], {}), EPOCH(ask, [block], {})
    np.testing.assert_array_equal(first.move, second.move)
    moved = EPOCH(ask, [block._replace(start=101)], {})
    assert (moved.move != first.move).any()
    nothing = EPOCH(ask, [Block(X[:0], y[:0], None)], {})
    assert nothing.weight == 0
    whole = EPOCH.merge(first, nothing)
    np.testing.assert_array_equal(whole.mean, second.mean)


def test_a_warning_points_at_the_caller_and_batches_give_none() -> None:
    with pytest.warns(ConvergenceWarning, match="max_iter=1 passes") as caught:
        SGDRegressor(max_iter=1, tol=1e-9).fit(X, NOISY)
    assert [warning.filename for warning in caught] == [__file__]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        SGDRegressor().partial_fit(X, NOISY)


def test_categorical_columns_enter_by_their_labels() -> None:
    kinds = np.array(["u", "v", "w"])[np.random.default_rng(2).integers(0, 3, len(X))]
    frame = pd.DataFrame({"a": X[:, 0], "kind": pd.Categorical(kinds)})
    noise = np.random.default_rng(3).standard_normal(len(X))
    y = np.where(kinds == "v", 3.0, 0.0) + X[:, 0] + noise
    model = SGDRegressor(random_state=0, tol=1e-4).fit(frame, y)
    exact = LinearRegression().fit(frame, y)
    assert abs(model.score(frame, y) - exact.score(frame, y)) < 0.01
    labels = np.where(y > 2, "high", "low")
    classifier = SGDClassifier("log_loss", random_state=0).fit(frame, labels)
    for _ in range(2):
        classifier.partial_fit(frame, labels, classes=["high", "low"])
    assert classifier.score(frame, labels) > 0.8
