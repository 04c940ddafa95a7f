"""Splitters, validation and searches: scikit-learn's answers, on passes that fits share."""

from typing import Any

import dask.array as da
import numpy as np
import pandas as pd
import pytest
from sklearn import linear_model as peers
from sklearn import model_selection as sk
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler as PeerScaler

import flowml
from flowml import model_selection as fl
from flowml.linear_model import LinearRegression, LogisticRegression, Ridge
from flowml.preprocessing import StandardScaler

EXACT: dict[str, Any] = {"tol": 1e-10}
ALPHAS = {"alpha": [0.1, 10.0, 1000.0]}
COSTS = {"C": [0.01, 1.0], "fit_intercept": [True, False]}


def regression(n_rows: int = 200) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(2)
    X = random.standard_normal((n_rows, 5)) + np.array([0, 10, 0, -5, 1])
    y = X @ [1.0, 0.5, 0.0, 0.0, -2.0] + random.standard_normal(n_rows)
    return X, y, random.uniform(0.5, 2.0, n_rows)


def classification(n_rows: int = 300, n_classes: int = 2) -> tuple[np.ndarray, np.ndarray]:
    X, y = make_classification(
        n_rows, 6, n_informative=4, n_classes=n_classes, class_sep=0.6, random_state=3
    )
    return X, np.array(["no", "yes", "maybe"])[y]


class Reads:
    """A lazy copy of an array that counts how often each of its chunks is read."""

    def __init__(self, X: np.ndarray, n_chunks: int = 4) -> None:
        self.counts: dict[int, int] = {}
        chunks = (-(-len(X) // n_chunks), X.shape[1])
        whole = da.from_array(X, chunks=chunks)
        self.X = whole.map_blocks(self._read, dtype=X.dtype, meta=np.empty((0, 0)))

    def _read(self, block: np.ndarray, block_info: Any = None) -> np.ndarray:
        place = block_info[0]["chunk-location"][0]
        self.counts[place] = self.counts.get(place, 0) + 1
        return block


# --- splitters -----------------------------------------------------------------------------------


@pytest.mark.parametrize("n_rows", [10, 23, 101])
@pytest.mark.parametrize("n_splits", [2, 3])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("KFold", {}),
        ("StratifiedKFold", {}),
        ("GroupKFold", {}),
        ("GroupKFold", {"shuffle": True, "random_state": 3}),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_splitters_are_scikit_learns(
    name: str, options: dict[str, Any], n_splits: int, n_rows: int
) -> None:
    random = np.random.default_rng(n_rows)
    y, groups = random.choice(["c", "a", "b"], n_rows), random.integers(0, 6, n_rows)
    X = np.zeros((n_rows, 1))
    pairs = list(getattr(fl, name)(n_splits, **options).split(X, y, groups))
    expected = list(getattr(sk, name)(n_splits, **options).split(X, y, groups))
    for found, wanted in zip(pairs, expected, strict=True):
        np.testing.assert_array_equal(found[0], wanted[0])
        np.testing.assert_array_equal(found[1], wanted[1])


@pytest.mark.parametrize("stratified", [False, True])
def test_shuffled_parts_are_even_and_random(stratified: bool) -> None:
    X, y = classification(1003, 3)
    kind = fl.StratifiedKFold if stratified else fl.KFold
    tests = [test for _, test in kind(5, shuffle=True, random_state=1).split(X, y)]
    assert sorted(np.concatenate(tests).tolist()) == list(range(1003))
    assert {len(test) for test in tests} <= {200, 201}
    for test in tests:
        if stratified:
            counts = [(y[test] == label).sum() for label in np.unique(y)]
            whole = [(y == label).sum() / 5 for label in np.unique(y)]
            np.testing.assert_allclose(counts, whole, atol=1)
        assert abs(np.corrcoef(np.arange(len(test)), test)[0, 1]) > 0.99  # ascending
        assert 0.35 * 1003 < test.mean() < 0.65 * 1003
    other = [test for _, test in kind(5, shuffle=True, random_state=2).split(X, y)]
    assert any(not np.array_equal(a, b) for a, b in zip(tests, other, strict=True))


def test_shuffle_split_draws_what_was_asked_for() -> None:
    splitter = fl.ShuffleSplit(4, test_size=0.2, train_size=30, random_state=0)
    pairs = list(splitter.split(np.zeros((100, 1))))
    for train, test in pairs:
        assert (len(train), len(test)) == (30, 20)
        assert not set(train) & set(test)
    assert not np.array_equal(pairs[0][1], pairs[1][1])


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("known", [False, True])
def test_lazy_rows_are_split_as_those_in_memory(shuffle: bool, known: bool) -> None:
    """Chunks of any size, counted or not: a row's side depends on its place in the data."""
    X, y, _ = regression(203)
    options = {"random_state": 0} if shuffle else {}
    cv = fl.KFold(4, shuffle=shuffle, **options)
    lazy = da.from_array(X, chunks=((50, 3, 100, 50), 5))
    targets = da.from_array(y, chunks=((50, 3, 100, 50),))
    if not known:
        lazy, targets = (part.to_dask_dataframe().to_dask_array() for part in (lazy, targets))
        targets = targets.reshape(-1) if targets.ndim == 2 else targets
    found = fl.cross_val_score(Ridge(), lazy, targets, cv=cv)
    np.testing.assert_allclose(found, fl.cross_val_score(Ridge(), X, y, cv=cv), rtol=1e-9)


# --- scores --------------------------------------------------------------------------------------


@pytest.mark.parametrize("weighted", [False, True])
def test_scores_of_regressions_are_scikit_learns(weighted: bool) -> None:
    X, y, weight = regression()
    names = ["r2", "neg_mean_squared_error", "neg_mean_absolute_error"]
    params = {"sample_weight": weight} if weighted else None
    found = fl.cross_validate(
        Ridge(), X, y, scoring=names, cv=4, params=params, return_train_score=True
    )
    for number, (train, test) in enumerate(sk.KFold(4).split(X)):
        given = {"sample_weight": weight[train]} if weighted else {}
        peer = peers.Ridge().fit(X[train], y[train], **given)
        for side, rows in (("test", test), ("train", train)):
            w = weight[rows] if weighted else None
            error = y[rows] - peer.predict(X[rows])
            expected = {
                "r2": peer.score(X[rows], y[rows], w),
                "neg_mean_squared_error": -np.average(error**2, weights=w),
                "neg_mean_absolute_error": -np.average(np.abs(error), weights=w),
            }
            for name in names:
                assert found[f"{side}_{name}"][number] == pytest.approx(expected[name], rel=1e-8)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_scores_of_classifiers_are_scikit_learns(n_classes: int) -> None:
    X, y = classification(n_classes=n_classes)
    names = ["accuracy", "neg_log_loss", "f1_macro", "roc_auc_ovr" if n_classes > 2 else "roc_auc"]
    found = fl.cross_validate(LogisticRegression(**EXACT), X, y, scoring=names, cv=4)
    peer = peers.LogisticRegression(tol=1e-10, max_iter=1000)
    expected = sk.cross_validate(peer, X, y, scoring=names, cv=4)
    for name in names:
        np.testing.assert_allclose(found[f"test_{name}"], expected[f"test_{name}"], rtol=1e-6)


def test_estimators_come_back_fitted() -> None:
    X, y, _ = regression()
    found = fl.cross_validate(LinearRegression(), X, y, cv=3, return_estimator=True)
    for estimator, (train, _) in zip(found["estimator"], sk.KFold(3).split(X), strict=True):
        expected = peers.LinearRegression().fit(X[train], y[train])
        np.testing.assert_allclose(estimator.coef_, expected.coef_, rtol=1e-8)


# --- searches ------------------------------------------------------------------------------------


def assert_same_tables(found: dict[str, Any], expected: dict[str, Any], rtol: float) -> None:
    assert found.keys() == expected.keys()
    assert found["params"] == expected["params"]
    for name, column in expected.items():
        if name.startswith("param_"):
            np.testing.assert_array_equal(found[name], column)
            assert found[name].dtype == column.dtype
        elif "score" in name and "time" not in name:
            np.testing.assert_allclose(found[name], column, rtol=rtol, err_msg=name)


def test_grid_search_is_scikit_learns() -> None:
    X, y, _ = regression()
    options: dict[str, Any] = {"cv": 4, "return_train_score": True}
    found = fl.GridSearchCV(Ridge(), ALPHAS, **options).fit(X, y)
    expected = sk.GridSearchCV(peers.Ridge(), ALPHAS, **options).fit(X, y)
    assert_same_tables(found.cv_results_, expected.cv_results_, 1e-8)
    assert found.best_params_ == expected.best_params_
    assert found.best_index_ == expected.best_index_
    assert found.best_score_ == pytest.approx(expected.best_score_)
    np.testing.assert_allclose(found.predict(X), expected.predict(X), rtol=1e-8)
    assert found.score(X, y) == pytest.approx(expected.score(X, y))
    assert found.n_splits_ == 4


def test_grid_search_of_classifiers_is_scikit_learns() -> None:
    X, y = classification(n_classes=3)
    found = fl.GridSearchCV(LogisticRegression(**EXACT), COSTS, cv=3).fit(X, y)
    peer = peers.LogisticRegression(tol=1e-10, max_iter=1000)
    expected = sk.GridSearchCV(peer, COSTS, cv=3).fit(X, y)
    assert_same_tables(found.cv_results_, expected.cv_results_, 1e-9)
    np.testing.assert_array_equal(found.classes_, expected.classes_)
    np.testing.assert_allclose(found.predict_proba(X), expected.predict_proba(X), rtol=1e-4)


def test_several_scores_need_a_name_to_choose_by() -> None:
    X, y, _ = regression()
    names = ["r2", "neg_mean_absolute_error"]
    with pytest.raises(ValueError, match="name of the one to choose by"):
        fl.GridSearchCV(Ridge(), ALPHAS, scoring=names).fit(X, y)
    search = fl.GridSearchCV(Ridge(), ALPHAS, scoring=names, refit="r2").fit(X, y)
    assert search.best_params_ == fl.GridSearchCV(Ridge(), ALPHAS).fit(X, y).best_params_
    assert search.score(X, y) == pytest.approx(search.best_estimator_.score(X, y))


def test_random_search_draws_scikit_learns_candidates() -> None:
    X, y, _ = regression()
    options: dict[str, Any] = {"n_iter": 3, "random_state": 0, "cv": 3}
    found = fl.RandomizedSearchCV(Ridge(), {"alpha": range(1, 100)}, **options).fit(X, y)
    peer = sk.RandomizedSearchCV(peers.Ridge(), {"alpha": range(1, 100)}, **options).fit(X, y)
    assert_same_tables(found.cv_results_, peer.cv_results_, 1e-8)


def test_fits_share_their_passes() -> None:
    """Six candidates on four splits read the rows as often as the one that reads them most."""
    X, y = classification(400)
    grid = {"C": [0.01, 0.1, 1.0], "l1_ratio": [0.0, 0.5]}
    codes = (y == "yes").astype(float)
    cv = fl.KFold(4, shuffle=True, random_state=0)
    separate = []
    for train, _ in cv.split(X):
        for params in sk.ParameterGrid(grid):
            model = LogisticRegression(**params, tol=1e-8).fit(X[train], codes[train])
            separate.append(model)
    reads = Reads(X)
    search = fl.GridSearchCV(LogisticRegression(tol=1e-8), grid, cv=cv, refit=False)
    with flowml.config_context(keep=False):
        search.fit(reads.X, codes)
    assert set(reads.counts.values()) == {search.n_passes_}
    slowest = max(model.n_passes_ for model in separate)
    assert search.n_passes_ <= slowest + 2  # the classes of each split, and the scores
    assert sum(model.n_passes_ for model in separate) > 10 * search.n_passes_


def test_cross_validation_says_how_often_it_read_the_rows() -> None:
    X, y = classification(400)
    reads, codes = Reads(X), (y == "yes").astype(float)
    with flowml.config_context(keep=False):
        found = fl.cross_validate(LogisticRegression(), reads.X, codes, cv=3)
    assert found["n_passes"].shape == (3,)
    assert set(reads.counts.values()) == set(found["n_passes"])
    assert pd.DataFrame(found).shape == (3, 4)
    assert "n_passes" not in fl.cross_validate(peers.LogisticRegression(), X, y, cv=3)


def test_shared_fits_are_those_of_separate_runs() -> None:
    X, y = classification(400, 3)
    found = fl.cross_validate(LogisticRegression(**EXACT), X, y, cv=3, return_estimator=True)
    for model, (train, _) in zip(
        found["estimator"], sk.StratifiedKFold(3).split(X, y), strict=True
    ):
        alone = LogisticRegression(**EXACT).fit(X[train], y[train])
        np.testing.assert_allclose(model.coef_, alone.coef_, rtol=1e-5, atol=1e-7)
        np.testing.assert_array_equal(model.classes_, alone.classes_)


def test_a_split_without_a_class_is_named() -> None:
    X, y = classification(100)
    order = np.argsort(y)
    with pytest.raises(ValueError, match="split 0 of 2 has no row of class 'no' to train on"):
        fl.cross_val_score(LogisticRegression(), X[order], y[order], cv=fl.KFold(2))


def test_a_candidate_that_fails_scores_nan_and_the_others_go_on() -> None:
    X, y, _ = regression()
    with pytest.warns(match="3 fits failed out of a total of 6"):
        search = fl.GridSearchCV(Ridge(), {"alpha": [-1.0, 1.0]}, cv=3).fit(X, y)
    assert np.isnan(search.cv_results_["mean_test_score"][0])
    assert search.best_params_ == {"alpha": 1.0}
    with pytest.raises(ValueError, match="alpha must be at least 0"):
        fl.GridSearchCV(Ridge(), {"alpha": [-1.0, 1.0]}, error_score="raise").fit(X, y)
    with pytest.raises(ValueError, match="alpha must be at least 0"):
        fl.GridSearchCV(Ridge(), {"alpha": [-1.0]}).fit(X, y)


# --- other estimators ----------------------------------------------------------------------------


def pipeline() -> Any:
    return make_pipeline(PeerScaler(), peers.Ridge())


def test_other_estimators_are_searched_as_scikit_learn_does() -> None:
    X, y, weight = regression()
    grid = {"ridge__alpha": [0.1, 100.0]}
    found = fl.GridSearchCV(pipeline(), grid, cv=3).fit(X, y)
    expected = sk.GridSearchCV(pipeline(), grid, cv=3).fit(X, y)
    assert_same_tables(found.cv_results_, expected.cv_results_, 1e-12)
    np.testing.assert_array_equal(found.predict(X), expected.predict(X))
    weighted = fl.cross_val_score(peers.Ridge(), X, y, cv=3, params={"sample_weight": weight})
    np.testing.assert_allclose(
        weighted, sk.cross_val_score(peers.Ridge(), X, y, cv=3, params={"sample_weight": weight})
    )


@pytest.mark.parametrize("where", ["in process", "on the cluster"])
def test_other_estimators_take_lazy_rows(where: str, request: Any) -> None:
    X, y, _ = regression()
    if where == "on the cluster":
        request.getfixturevalue("client")
    lazy = da.from_array(X, chunks=(60, 5)), da.from_array(y, chunks=60)
    found = fl.GridSearchCV(pipeline(), {"ridge__alpha": [0.1, 100.0]}, cv=3).fit(*lazy)
    expected = sk.GridSearchCV(pipeline(), {"ridge__alpha": [0.1, 100.0]}, cv=3).fit(X, y)
    assert_same_tables(found.cv_results_, expected.cv_results_, 1e-9)
    np.testing.assert_allclose(found.best_estimator_.predict(X), expected.predict(X))


def test_scikit_learns_own_tools_take_these_estimators() -> None:
    X, y, _ = regression()
    found = sk.GridSearchCV(Ridge(), ALPHAS, cv=fl.KFold(3)).fit(X, y)
    expected = sk.GridSearchCV(peers.Ridge(), ALPHAS, cv=3).fit(X, y)
    assert_same_tables(found.cv_results_, expected.cv_results_, 1e-8)
    chain = make_pipeline(StandardScaler(), Ridge())
    np.testing.assert_allclose(
        sk.cross_val_score(chain, X, y), sk.cross_val_score(pipeline(), X, y), rtol=1e-8
    )
    nested = sk.cross_val_score(fl.GridSearchCV(Ridge(), ALPHAS, cv=3), X, y, cv=3)
    peer = sk.cross_val_score(sk.GridSearchCV(peers.Ridge(), ALPHAS, cv=3), X, y, cv=3)
    np.testing.assert_allclose(nested, peer, rtol=1e-8)


def test_searches_clone() -> None:
    search = fl.GridSearchCV(Ridge(), ALPHAS, cv=3)
    assert repr(clone(search)) == repr(search)


# --- on the cluster, resumed, watched ------------------------------------------------------------


def test_workers_change_nothing(request: Any) -> None:
    X, y = classification(400)
    codes = (y == "yes").astype(float)
    lazy = da.from_array(X, chunks=(100, 6)), da.from_array(codes, chunks=100)
    search = fl.GridSearchCV(LogisticRegression(random_state=0), {"C": [0.1, 1.0]}, cv=3)
    here = clone(search).fit(*lazy)
    request.getfixturevalue("client")
    there = clone(search).fit(*lazy)
    for name in ("mean_test_score", "std_test_score"):
        np.testing.assert_array_equal(here.cv_results_[name], there.cv_results_[name])
    np.testing.assert_array_equal(here.best_estimator_.coef_, there.best_estimator_.coef_)


def test_a_search_is_resumed_where_it_stopped(tmp_path: Any) -> None:
    X, y = classification(400)
    search = fl.GridSearchCV(LogisticRegression(random_state=0), {"C": [0.1, 1.0]}, cv=3)
    whole = clone(search).fit(X, y)

    def stop(event: Any) -> None:
        if getattr(event, "number", 0) == 3:
            raise KeyboardInterrupt

    saved: dict[str, Any] = {"checkpoint": tmp_path, "checkpoint_seconds": 0}
    with pytest.raises(KeyboardInterrupt), flowml.config_context(callbacks=[stop], **saved):
        clone(search).fit(X, y)
    passes: list[Any] = []
    with flowml.config_context(resume=True, callbacks=[passes.append], **saved):
        resumed = clone(search).fit(X, y)
    read = [event for event in passes if type(event).__name__ == "PassCompleted"]
    assert len(read) == whole.n_passes_ - 3
    assert resumed.n_passes_ == whole.n_passes_
    np.testing.assert_array_equal(
        resumed.cv_results_["mean_test_score"], whole.cv_results_["mean_test_score"]
    )
    np.testing.assert_array_equal(resumed.best_estimator_.coef_, whole.best_estimator_.coef_)


def test_candidates_are_reported() -> None:
    X, y, _ = regression()
    heard: list[Any] = []
    with flowml.config_context(callbacks=[heard.append]):
        fl.GridSearchCV(Ridge(), ALPHAS).fit(X, y)
    scored = [event for event in heard if type(event).__name__ == "CandidateScored"]
    assert [(event.number, event.n_candidates) for event in scored] == [(1, 3), (2, 3), (3, 3)]
    assert scored[0].parameters == "{'alpha': 0.1}"


def test_a_search_is_drawn() -> None:
    X, y, _ = regression()
    axes = fl.GridSearchCV(Ridge(), ALPHAS).fit(X, y).plot_search()
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("alpha", "mean test score")
    assert axes.get_xscale() == "log"


def test_other_parameters_have_lines_of_their_own() -> None:
    X, y, _ = regression()
    grid = {**ALPHAS, "fit_intercept": [True, False]}
    search = fl.GridSearchCV(Ridge(), grid).fit(X, y)
    lines, labels = search.plot_search().get_legend_handles_labels()
    assert labels == ["fit_intercept=False", "fit_intercept=True"]
    tried = search.cv_results_["mean_test_score"][[1, 3, 5]]
    np.testing.assert_array_equal(lines[0][0].get_ydata(), tried)
    with pytest.raises(ValueError, match="'tol' doesn't vary in this search; these do: alpha, fit"):
        search.plot_search("tol")


@pytest.mark.parametrize(
    ("fit", "message"),
    [
        (lambda X, y: fl.cross_val_score(Ridge(), X, y, cv=fl.GroupKFold(2)), "needs groups="),
        (lambda X, y: fl.cross_val_score(Ridge(), X, y, cv=1), "n_splits"),
        (lambda X, y: fl.cross_val_score(Ridge(), X, y, scoring="r3"), "no scorer"),
        (lambda X, y: fl.GridSearchCV(Ridge(), ALPHAS, cv="five").fit(X, y), "Expected `cv`"),
        (lambda X, y: fl.KFold(300).split(X).__next__(), "greater than the number"),
        (lambda X, y: fl.ShuffleSplit(test_size=2.0).split(X).__next__(), "test_size"),
    ],
)
def test_what_is_wrong_is_said(fit: Any, message: str) -> None:
    X, y, _ = regression()
    with pytest.raises(ValueError, match=message):
        fit(X, y)


# --- halving -------------------------------------------------------------------------------------


def test_halving_gives_ever_more_to_ever_fewer() -> None:
    X, y, _ = regression(500)
    grid = {"alpha": np.logspace(-3, 6, 9)}
    search = fl.SuccessiveHalvingSearchCV(
        Ridge(), grid, n_candidates=9, cv=4, random_state=0, return_train_score=True
    ).fit(X, y)
    table = search.cv_results_
    assert table["n_resources"].tolist() == [41] * 9 + [125] * 3 + [375]
    first, second, last = (table["iter"] == number for number in range(3))
    best = np.argsort(-table["mean_test_score"][first])[:3]
    alphas = table["param_alpha"]
    assert set(alphas[second]) == set(alphas[first][best])
    assert search.best_params_ == {"alpha": alphas[last][0]}
    whole = fl.cross_val_score(Ridge(**search.best_params_), X, y, cv=4)
    assert search.best_score_ == pytest.approx(whole.mean(), rel=1e-12)


def test_the_resource_may_be_a_parameter() -> None:
    X, y = classification()
    search = fl.SuccessiveHalvingSearchCV(
        LogisticRegression(),
        {"C": [0.01, 1.0, 100.0]},
        n_candidates=3,
        resource="max_iter",
        max_resources=60,
        random_state=0,
    ).fit(X, y)
    assert search.cv_results_["n_resources"].tolist() == [20, 20, 20, 60]
    assert search.best_estimator_.max_iter == 60
    with pytest.raises(ValueError, match="give max_resources"):
        clone(search).set_params(max_resources=None).fit(X, y)


def test_hyperbands_brackets_share_their_passes() -> None:
    X, y, _ = regression(500)
    search = fl.HyperbandSearchCV(Ridge(), {"alpha": range(1, 1000)}, cv=4, random_state=0)
    search.fit(X, y)
    counts = [(search.cv_results_["bracket"] == number).sum() for number in range(4)]
    assert counts == [27 + 9 + 3 + 1, 12 + 4 + 2, 6 + 2, 4]
    assert search.n_passes_ == 4 * 2 + 1  # four rounds of a fit and its scores, and the refit


def test_other_estimators_are_halved_too() -> None:
    X, y, _ = regression(500)
    options: dict[str, Any] = {"n_candidates": 3, "random_state": 0, "cv": 4}
    own = fl.SuccessiveHalvingSearchCV(Ridge(), {"alpha": [0.1, 1.0, 1e6]}, **options)
    peer = clone(own).set_params(estimator=peers.Ridge())
    found, expected = own.fit(X, y).cv_results_, peer.fit(X, y).cv_results_
    np.testing.assert_allclose(found["mean_test_score"], expected["mean_test_score"], rtol=1e-8)


# --- one split -----------------------------------------------------------------------------------


def test_one_split_has_the_sizes_that_scikit_learn_gives_it() -> None:
    X, y, _ = regression(101)
    for options in ({}, {"test_size": 0.3}, {"test_size": 10, "train_size": 40}):
        found = fl.train_test_split(X, y, random_state=0, **options)
        expected = sk.train_test_split(X, y, random_state=0, **options)
        assert [part.shape for part in found] == [part.shape for part in expected]
        rows = {tuple(row) for row in found[0]} | {tuple(row) for row in found[1]}
        assert len(rows) == len(found[0]) + len(found[1])
        assert rows <= {tuple(row) for row in X}
    last = fl.train_test_split(X, shuffle=False)
    np.testing.assert_array_equal(np.concatenate(last), X)


def test_one_split_of_labels_keeps_their_shares() -> None:
    _, y = classification(1000, 3)
    _, test = fl.train_test_split(y, test_size=0.2, stratify=y, random_state=0)
    for label in np.unique(y):
        assert abs((test == label).sum() - 0.2 * (y == label).sum()) <= 1


@pytest.mark.parametrize("kind", ["array", "unknown chunks", "frame", "dataset", "stratified"])
def test_one_split_of_lazy_rows_is_lazy(kind: str, tmp_path: Any) -> None:
    X = np.arange(2000.0).reshape(1000, 2)
    lazy = da.from_array(X, chunks=((300, 1, 699), 2))
    labels = None
    given: Any = lazy
    if kind == "frame":
        given = lazy.to_dask_dataframe(columns=["a", "b"])
    elif kind == "unknown chunks":
        given = lazy.to_dask_dataframe(columns=["a", "b"]).to_dask_array()
    elif kind == "dataset":
        np.save(tmp_path / "X.npy", X)
        given = flowml.read_npy(tmp_path / "X.npy")
    elif kind == "stratified":
        labels = da.from_array(np.arange(1000) % 2, chunks=((300, 1, 699),))
    train, test = fl.train_test_split(given, test_size=0.2, random_state=0, stratify=labels)
    if kind == "dataset":
        assert (train.n_rows, test.n_rows) == (800, 200)
        train, test = (StandardScaler().fit(side).mean_ * side.n_rows for side in (train, test))
        np.testing.assert_allclose(train + test, X.sum(axis=0))
        return
    if kind == "array":
        assert (train.shape, test.shape) == ((800, 2), (200, 2))
    found = [np.asarray(side.compute()) for side in (train, test)]
    np.testing.assert_array_equal(np.sort(np.concatenate(found)[:, 0]), X[:, 0])
    assert abs(len(found[1]) - 200) <= 3
    assert 300 < found[1][:, 0].mean() < 1700


def test_rows_and_targets_are_split_alike() -> None:
    X, y, _ = regression(500)
    lazy = da.from_array(X, chunks=(130, 5)), da.from_array(y, chunks=130)
    X_train, X_test, y_train, y_test = fl.train_test_split(*lazy, random_state=1)
    order = {tuple(row): target for row, target in zip(X, y, strict=True)}
    for rows, targets in ((X_train, y_train), (X_test, y_test)):
        for row, target in zip(rows.compute(), targets.compute(), strict=True):
            assert order[tuple(row)] == target
