"""Linear models that choose their penalty: against scikit-learn, and how often they read."""

import pickle
from typing import Any

import dask.array as da
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn import linear_model as peers
from sklearn import model_selection as peer_splits
from sklearn.datasets import make_classification

import flowml
from flowml.linear_model import (
    ElasticNetCV,
    LassoCV,
    LogisticRegression,
    LogisticRegressionCV,
    Ridge,
    RidgeCV,
)
from flowml.linear_model.ridge_cv import SCORINGS
from flowml.model_selection import KFold, ShuffleSplit

RTOL = 1e-6
EXACT: dict[str, Any] = {"tol": 1e-12, "max_iter": 100_000}


def make_data(n_rows: int = 300, n_targets: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return correlated columns of unlike sizes away from zero, a sparse truth, and weights."""
    random = np.random.default_rng(1)
    X = random.standard_normal((n_rows, 8)) @ random.standard_normal((8, 8))
    X = X * [1, 10, 0.1, 1, 1, 5, 1, 1] + [0, 100, -3, 0, 5, 0, 0, 1]
    truth = np.zeros((8, n_targets))
    truth[:3] = random.standard_normal((3, n_targets))
    y = X @ truth + random.standard_normal((n_rows, n_targets)) * 3
    return X, y[:, 0] if n_targets == 1 else y, random.uniform(0.5, 2, n_rows)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("ratio", [0.3, [0.2, 0.9, 1.0]])
def test_elastic_net_cv_is_scikit_learns(weighted: bool, fit_intercept: bool, ratio: Any) -> None:
    X, y, weight = make_data()
    options: dict[str, Any] = {"l1_ratio": ratio, "fit_intercept": fit_intercept, **EXACT}
    given = {"sample_weight": weight} if weighted else {}
    model = ElasticNetCV(**options).fit(X, y, **given)
    peer = peers.ElasticNetCV(**options).fit(X, y, **given)
    for name in ("alphas_", "mse_path_", "alpha_", "l1_ratio_", "coef_", "intercept_"):
        np.testing.assert_allclose(getattr(model, name), getattr(peer, name), rtol=RTOL, atol=1e-7)
    assert model.n_passes_ == 1


@pytest.mark.parametrize("positive", [False, True])
def test_lasso_cv_is_scikit_learns(positive: bool) -> None:
    X, y, _ = make_data()
    options: dict[str, Any] = {"positive": positive, "cv": 3, **EXACT}
    model, peer = LassoCV(**options).fit(X, y), peers.LassoCV(**options).fit(X, y)
    for name in ("alphas_", "mse_path_", "alpha_", "coef_", "intercept_"):
        np.testing.assert_allclose(getattr(model, name), getattr(peer, name), rtol=RTOL, atol=1e-7)
    assert 0 <= model.dual_gap_ <= 1e-12 * np.mean(np.square(y - y.mean()))


def test_the_duality_gap_bounds_the_objective() -> None:
    X, y, _ = make_data()
    model = ElasticNetCV(alphas=[0.3], tol=0.05).fit(X, y)
    exact = ElasticNetCV(alphas=[0.3], **EXACT).fit(X, y)

    def objective(coef: np.ndarray, intercept: float) -> float:
        error = y - X @ coef - intercept
        return float(
            0.5 * np.mean(error**2) + 0.15 * np.abs(coef).sum() + 0.075 * np.square(coef).sum()
        )

    above = objective(model.coef_, model.intercept_) - objective(exact.coef_, exact.intercept_)
    assert -1e-9 <= above <= model.dual_gap_ <= 0.05 * np.mean(np.square(y - y.mean()))


@pytest.mark.parametrize("l1_ratio", [0.0, 0.5])
def test_given_alphas_are_taken_as_they_are(l1_ratio: float) -> None:
    X, y, _ = make_data()
    options: dict[str, Any] = {"l1_ratio": l1_ratio, "alphas": [0.01, 1.0, 0.1], **EXACT}
    model, peer = ElasticNetCV(**options).fit(X, y), peers.ElasticNetCV(**options).fit(X, y)
    np.testing.assert_array_equal(model.alphas_, peer.alphas_)
    np.testing.assert_allclose(model.mse_path_, peer.mse_path_, rtol=1e-5)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("n_targets", [1, 3])
def test_leaving_one_out_is_scikit_learns(
    weighted: bool, fit_intercept: bool, n_targets: int
) -> None:
    X, y, weight = make_data(n_targets=n_targets)
    options: dict[str, Any] = {"alphas": [0.1, 5.0, 100.0, 3000.0], "fit_intercept": fit_intercept}
    given = {"sample_weight": weight} if weighted else {}
    for per_target in (False, n_targets > 1):
        model = RidgeCV(**options, alpha_per_target=per_target).fit(X, y, **given)
        peer = peers.RidgeCV(**options, alpha_per_target=per_target).fit(X, y, **given)
        for name in ("alpha_", "best_score_", "coef_", "intercept_"):
            np.testing.assert_allclose(getattr(model, name), getattr(peer, name), rtol=RTOL)
        assert model.n_passes_ == 2


@pytest.mark.parametrize("scoring", SCORINGS)
@pytest.mark.parametrize("n_targets", [1, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_rows_left_out_are_kept_and_scored(
    scoring: str | None, n_targets: int, weighted: bool
) -> None:
    X, y, weight = make_data(n_targets=n_targets)
    given = {"sample_weight": weight} if weighted else {}
    options: dict[str, Any] = {"alphas": [0.1, 5.0, 3000.0], "store_cv_results": True}
    for per_target in (False, n_targets > 1):
        options |= {"scoring": scoring, "alpha_per_target": per_target}
        model, peer = RidgeCV(**options).fit(X, y, **given), peers.RidgeCV(**options)
        peer.fit(X, y, **given)
        for name in ("alpha_", "best_score_", "coef_", "cv_results_"):
            np.testing.assert_allclose(getattr(model, name), getattr(peer, name), rtol=RTOL)
        assert model.cv_results_.shape == peer.cv_results_.shape


def test_rows_left_out_of_lazy_data_are_lazy() -> None:
    X, y, _ = make_data()
    expected = RidgeCV(store_cv_results=True).fit(X, y)
    assert not hasattr(RidgeCV().fit(X, y), "cv_results_")
    lazy = da.from_array(X, chunks=(100, -1)), da.from_array(y, chunks=100)
    model = RidgeCV(store_cv_results=True).fit(*lazy)
    assert isinstance(model.cv_results_, da.Array)
    assert model.n_passes_ == 2
    np.testing.assert_allclose(model.cv_results_.compute(), expected.cv_results_, rtol=RTOL)
    assert not hasattr(pickle.loads(pickle.dumps(model)), "cv_results_")
    again = pickle.loads(pickle.dumps(expected)).cv_results_
    np.testing.assert_array_equal(again, expected.cv_results_)


@pytest.mark.parametrize("scoring", [None, "neg_mean_squared_error", "neg_root_mean_squared_error"])
@pytest.mark.parametrize("n_targets", [1, 2])
def test_ridge_cv_is_scikit_learns(scoring: str | None, n_targets: int) -> None:
    X, y, _ = make_data(n_targets=n_targets)
    options: dict[str, Any] = {"alphas": np.logspace(-2, 4, 13), "cv": 4, "scoring": scoring}
    model, peer = RidgeCV(**options).fit(X, y), peers.RidgeCV(**options).fit(X, y)
    for name in ("alpha_", "best_score_", "coef_", "intercept_"):
        np.testing.assert_allclose(getattr(model, name), getattr(peer, name), rtol=RTOL)
    assert model.n_passes_ == 1


@pytest.mark.parametrize(
    "cv",
    [
        peer_splits.KFold(4, shuffle=True, random_state=0),
        peer_splits.ShuffleSplit(3, test_size=0.3, random_state=0),
        KFold(4, shuffle=True, random_state=0),
        ShuffleSplit(3, test_size=0.3, train_size=0.5, random_state=0),
    ],
    ids=repr,
)
def test_any_splitter_will_do(cv: Any) -> None:
    X, y, _ = make_data()
    model = ElasticNetCV(cv=cv, **EXACT).fit(X, y)
    peer = peers.ElasticNetCV(cv=list(cv.split(X, y)), **EXACT).fit(X, y)
    np.testing.assert_allclose(model.mse_path_, peer.mse_path_, rtol=RTOL)
    assert model.n_passes_ == 1


@pytest.mark.parametrize("kind", ["dask", "unknown chunks", "CSR", "frame"])
def test_kinds_of_input_agree(kind: str) -> None:
    X, y, weight = make_data()
    expected = RidgeCV(cv=5).fit(X, y, weight)
    inputs: Any = {
        "dask": (da.from_array(X, chunks=(70, 3)), y, weight),
        "CSR": (sp.csr_array(X), y, weight),
    }
    if kind in inputs:
        given = inputs[kind]
    else:
        frame = da.from_array(X, chunks=(70, 8)).to_dask_dataframe(columns=list("abcdefgh"))
        lazy = [da.from_array(values, chunks=70) for values in (y, weight)]
        given = (frame, *(values.to_dask_dataframe() for values in lazy))
        if kind == "unknown chunks":
            given = tuple(part.to_dask_array() for part in given)
    found = RidgeCV(cv=5).fit(*given)
    np.testing.assert_allclose(found.coef_, expected.coef_, rtol=1e-9)
    assert found.n_passes_ == (1 if kind in inputs else 2)


def test_the_rows_are_read_once() -> None:
    """Reads of a lazy source are counted where they happen."""
    X, y, _ = make_data()
    reads: list[int] = []

    def read(block: np.ndarray, block_info: Any = None) -> np.ndarray:
        reads.append(block_info[0]["chunk-location"][0])
        return block

    lazy = da.from_array(X, chunks=(100, 8)).map_blocks(read, dtype=float, meta=np.empty((0, 0)))
    with flowml.config_context(keep=False, n_threads=1):
        model = LassoCV(cv=5).fit(lazy, y)
    assert sorted(reads) == [0, 1, 2]
    assert model.n_passes_ == 1


def test_the_chosen_ridge_is_ridge() -> None:
    X, y, _ = make_data()
    model = RidgeCV(cv=5).fit(X, y)
    ridge = Ridge(model.alpha_).fit(X, y)
    np.testing.assert_allclose(model.coef_, ridge.coef_, rtol=1e-9)
    assert model.score(X, y) == pytest.approx(ridge.score(X, y))
    found, expected = model.summary().coefficients, ridge.summary().coefficients
    np.testing.assert_allclose(found, expected, rtol=1e-8)


@pytest.mark.filterwarnings("ignore:columns x0, x8 are collinear")
def test_without_a_penalty_collinear_columns_are_solved_with_the_least_norm() -> None:
    X, y, _ = make_data()
    X = np.column_stack([X, X[:, 0] * 2])
    model = RidgeCV(alphas=[0.0], cv=5).fit(X, y)
    scores = peer_splits.cross_val_score(peers.LinearRegression(), X, y, cv=5)
    assert model.best_score_ == pytest.approx(scores.mean(), rel=1e-9)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RidgeCV(alphas=[-1.0], cv=3), "at least 0"),
        (lambda: RidgeCV(alphas=[0.0]), "above 0"),
        (lambda: RidgeCV(scoring="max_error"), "scoring"),
        (lambda: RidgeCV(cv=3, store_cv_results=True), "incompatible"),
        (lambda: RidgeCV(cv=3, alpha_per_target=True), "incompatible"),
        (lambda: ElasticNetCV(l1_ratio=0.0), "give alphas"),
        (lambda: ElasticNetCV(l1_ratio=2.0), "from 0 to 1"),
        (lambda: LassoCV(alphas=[-1.0]), "at least 0"),
        (lambda: LassoCV(cv=1), "n_splits"),
        (lambda: LassoCV(cv=1000), "greater than the number"),
        (lambda: LassoCV(cv="five"), "Expected `cv`"),
    ],
)
def test_bad_parameters_are_named(make: Any, message: str) -> None:
    X, y, _ = make_data()
    with pytest.raises(ValueError, match=message):
        make().fit(X, y)


def test_a_split_without_rows_that_count_is_named() -> None:
    X, y, _ = make_data()
    weight = np.ones(len(y))
    weight[:60] = 0
    with pytest.raises(ValueError, match=r"split 0 of 5 has no row .* to test on"):
        LassoCV(cv=5).fit(X, y, weight)


def test_too_few_sweeps_are_a_warning() -> None:
    X, y, _ = make_data()
    with pytest.warns(match="raise max_iter or tol"):
        LassoCV(max_iter=1, tol=1e-12).fit(X, y)


# --- logistic regression -------------------------------------------------------------------------


def make_labels(n_classes: int = 2, n_rows: int = 400) -> tuple[np.ndarray, np.ndarray]:
    X, y = make_classification(
        n_rows, 6, n_informative=4, n_classes=n_classes, class_sep=0.5, random_state=0
    )
    return X, np.array(["a", "b", "c"])[y]


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("scoring", ["accuracy", "neg_log_loss"])
def test_logistic_regression_cv_is_scikit_learns(n_classes: int, scoring: str) -> None:
    X, y = make_labels(n_classes)
    options: dict[str, Any] = {"Cs": [0.001, 0.1, 10.0], "cv": 4, "scoring": scoring}
    model = LogisticRegressionCV(**options, tol=1e-10).fit(X, y)
    peer = peers.LogisticRegressionCV(
        **options, tol=1e-10, max_iter=10_000, use_legacy_attributes=False, l1_ratios=(0.0,)
    ).fit(X, y)
    np.testing.assert_allclose(model.scores_, peer.scores_, rtol=1e-6)
    assert (model.C_, model.l1_ratio_) == (peer.C_, peer.l1_ratio_)
    np.testing.assert_allclose(model.coef_, peer.coef_, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model.coefs_paths_, peer.coefs_paths_, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(model.predict_proba(X), peer.predict_proba(X), atol=1e-5)


def test_the_fits_of_logistic_regression_cv_are_those_of_separate_runs() -> None:
    X, y = make_labels()
    ratios, costs = [0.0, 0.5], [0.01, 1.0]
    model = LogisticRegressionCV(Cs=costs, l1_ratios=ratios, cv=3, tol=1e-10).fit(X, y)
    for split, (train, test) in enumerate(peer_splits.StratifiedKFold(3).split(X, y)):
        for i, ratio in enumerate(ratios):
            for j, cost in enumerate(costs):
                alone = LogisticRegression(C=cost, l1_ratio=ratio, tol=1e-10)
                alone.fit(X[train], y[train])
                found = model.coefs_paths_[split, i, j]
                np.testing.assert_allclose(found[:, :-1], alone.coef_, atol=1e-7)
                assert model.scores_[split, i, j] == alone.score(X[test], y[test])
    assert model.n_passes_ <= 12
    refit = LogisticRegression(C=model.C_, l1_ratio=model.l1_ratio_, tol=1e-10).fit(X, y)
    np.testing.assert_allclose(model.coef_, refit.coef_, atol=1e-7)


def test_without_a_refit_the_best_of_each_split_are_averaged() -> None:
    X, y = make_labels()
    options: dict[str, Any] = {"Cs": [0.001, 0.1, 10.0], "cv": 4, "scoring": "neg_log_loss"}
    options |= {"l1_ratios": (0.0,), "refit": False, "tol": 1e-10}
    model = LogisticRegressionCV(**options).fit(X, y)
    peer = peers.LogisticRegressionCV(**options, max_iter=10_000, use_legacy_attributes=False).fit(
        X, y
    )
    assert (model.C_, model.l1_ratio_) == pytest.approx((peer.C_, peer.l1_ratio_))
    np.testing.assert_allclose(model.coef_, peer.coef_, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model.intercept_, peer.intercept_, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(model.predict(X), peer.predict(X))
    with pytest.raises(ValueError, match="refit=True"):
        model.summary()


def test_without_a_refit_shares_of_absolute_values_are_averaged_too() -> None:
    X, y = make_labels()
    ratios, costs = [0.0, 0.5, 1.0], [0.01, 0.1]
    model = LogisticRegressionCV(Cs=costs, l1_ratios=ratios, cv=3, refit=False).fit(X, y)
    best = [np.unravel_index(one.argmax(), one.shape) for one in model.scores_]
    assert model.l1_ratio_ == pytest.approx(np.mean([ratios[i] for i, _ in best]))
    assert pytest.approx(np.mean([costs[j] for _, j in best])) == model.C_
    coef = np.mean([path[place] for path, place in zip(model.coefs_paths_, best, strict=True)], 0)
    np.testing.assert_allclose(model.coef_, coef[:, :-1])
    np.testing.assert_allclose(model.intercept_, coef[:, -1])


@pytest.mark.parametrize("refit", [True, False])
def test_categorical_columns_are_those_of_the_one_hot_matrix(refit: bool) -> None:
    X, y = make_labels(n_rows=3_000)
    kinds = np.random.default_rng(3).choice(["red", "green", "blue"], len(X))
    frame = pd.DataFrame(X).rename(columns=str).assign(kind=pd.Categorical(kinds))
    hot = np.column_stack([X, *(kinds == kind for kind in ("blue", "green", "red"))])
    options: dict[str, Any] = {"Cs": [0.001, 0.1], "cv": 3, "tol": 1e-9, "refit": refit}
    model = LogisticRegressionCV(**options).fit(frame, y)
    dense = LogisticRegressionCV(**options).fit(hot, y)
    np.testing.assert_allclose(model.coefs_paths_, dense.coefs_paths_, atol=1e-6)
    np.testing.assert_allclose(model.coef_, dense.coef_, atol=1e-6)
    np.testing.assert_array_equal(model.scores_, dense.scores_)
    np.testing.assert_array_equal(model.predict(frame), dense.predict(hot))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("shuffle", [False, True])
def test_curvatures_of_a_sample_lead_to_the_minimum(
    weighted: bool, n_classes: int, shuffle: bool
) -> None:
    X, y = make_labels(n_classes, n_rows=60_000)
    weight = np.random.default_rng(2).random(len(X)) if weighted else None
    cv = peer_splits.StratifiedKFold(3, shuffle=shuffle, random_state=0 if shuffle else None)
    options: dict[str, Any] = {"tol": 1e-8, "class_weight": "balanced" if weighted else None}
    model = LogisticRegressionCV(Cs=[0.001, 1.0], l1_ratios=[0.0, 0.5], cv=cv, **options)
    model.fit(X, y, sample_weight=weight)
    assert "curvature" in set(model.history_["stage"])
    train, _ = next(iter(cv.split(X, y)))
    for i, ratio in enumerate([0.0, 0.5]):
        alone = LogisticRegression(C=0.001, l1_ratio=ratio, **options)
        alone.fit(X[train], y[train], None if weight is None else weight[train])
        np.testing.assert_allclose(model.coefs_paths_[0, i, 0, :, :-1], alone.coef_, atol=1e-6)


def test_many_rows_take_few_passes() -> None:
    X, y = make_labels(n_rows=60_000)
    model = LogisticRegressionCV(Cs=5, cv=3, random_state=0).fit(X, y)
    assert model.n_passes_ <= 9  # splits, samples, three of the fits, scores, three to refit


def test_a_class_that_a_split_lacks_is_named() -> None:
    X, y = make_labels()
    order = np.argsort(y)
    with pytest.raises(ValueError, match="split 0 of 2 has no row of class 'a' to train on"):
        LogisticRegressionCV(cv=KFold(2)).fit(X[order], y[order])
