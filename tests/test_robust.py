"""Huber's and quantile regression, and the exact minimum of losses made of straight lines."""

import copy
import pickle
import warnings
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
import scipy.sparse as sp
from scipy.optimize import linprog
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import HuberRegressor as SklearnHuberRegressor
from sklearn.linear_model import QuantileRegressor as SklearnQuantileRegressor

import flowml
from flowml.data.arrays import from_arrays
from flowml.drive.events import PassCompleted
from flowml.kernels.linear_loss import Target
from flowml.kernels.near_kinks import NEAR_KINKS, KinkAsk
from flowml.kernels.rows import Block
from flowml.linear_model import HuberRegressor, QuantileRegressor
from flowml.losses.epsilon_insensitive import EpsilonInsensitiveLoss
from flowml.losses.pinball import PinballLoss
from flowml.penalties.elastic_net import ElasticNet
from flowml.solvers.globbing import Globbing
from flowml.solvers.in_memory import solve_in_memory
from flowml.solvers.interior_point import KinkedProblem, minimise_kinks
from flowml.solvers.objective import Objective

N_FEATURES = 5


def make_data(n_rows: int = 600, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    X = random.standard_normal((n_rows, N_FEATURES)) * [1, 2, 0.5, 3, 1] + [0, 5, -3, 1, 0]
    y = X @ [1.0, -2.0, 0.5, 0.1, 0.0] + 3.0 + random.standard_t(2, n_rows)
    return X, y, random.integers(0, 3, n_rows).astype(np.float64)


# --- Huber ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("alpha", [0.0, 1e-4, 50.0])
@pytest.mark.parametrize("epsilon", [1.1, 1.35, 5.0])
def test_huber_equals_scikit_learn(fit_intercept: bool, alpha: float, epsilon: float) -> None:
    X, y, weight = make_data()
    options: Any = {"alpha": alpha, "epsilon": epsilon, "fit_intercept": fit_intercept}
    model = HuberRegressor(**options).fit(X, y, weight)
    peer = SklearnHuberRegressor(**options, tol=1e-9, max_iter=10_000).fit(X, y, weight)
    assert huber(model, X, y, weight) <= huber(peer, X, y, weight) * (1 + 1e-10)
    np.testing.assert_allclose(model.coef_, peer.coef_, atol=1e-3)  # as close as theirs is
    np.testing.assert_allclose(model.intercept_, peer.intercept_, atol=1e-2)
    np.testing.assert_allclose(model.scale_, peer.scale_, rtol=1e-2)
    assert np.count_nonzero(model.outliers_ != peer.outliers_) <= 2


def huber(model: Any, X: np.ndarray, y: np.ndarray, weight: np.ndarray) -> float:
    scale = model.scale_
    z = np.abs(y - X @ model.coef_ - model.intercept_) / scale
    inner = np.minimum(z, model.epsilon)
    loss = scale + scale * inner * (2 * z - inner)
    return float(weight @ loss + model.alpha * model.coef_ @ model.coef_)


def test_huber_is_at_a_minimum() -> None:
    X, y, weight = make_data()
    model = HuberRegressor(alpha=1.0, tol=1e-9).fit(X, y, weight)

    least, moved = huber(model, X, y, weight), copy.copy(model)
    random = np.random.default_rng(1)
    for _ in range(50):
        moves = 1e-4 * random.standard_normal(N_FEATURES + 2)
        moved.coef_ = model.coef_ + moves[2:]
        moved.intercept_, moved.scale_ = model.intercept_ + moves[0], model.scale_ + moves[1]
        assert huber(moved, X, y, weight) > least


@pytest.mark.parametrize("alpha", [0.0, 50.0])
@pytest.mark.parametrize("n_rows", [600, 30_000])
def test_huber_of_an_epsilon_of_one_is_least_absolute_deviations(alpha: float, n_rows: int) -> None:
    X, y, weight = make_data(n_rows)
    options: Any = {"alpha": alpha, "tol": 1e-10}
    model = HuberRegressor(epsilon=1.0, warm_start=True, **options).fit(X, y, weight)
    assert model.scale_ == 0.0
    assert model.n_passes_ <= 7
    value = absolute(model, X, y, weight)
    random, moved = np.random.default_rng(1), copy.copy(model)
    for size in np.logspace(-4, 0, 30):
        moved.coef_ = model.coef_ + size * random.standard_normal(N_FEATURES)
        moved.intercept_ = model.intercept_ + size * random.standard_normal()
        assert absolute(moved, X, y, weight) > value
    if alpha == 0.0:
        peer = QuantileRegressor(**options).fit(X, y, weight)
        assert value == pytest.approx(absolute(peer, X, y, weight), rel=1e-9)
    assert absolute(model.fit(X, y, weight), X, y, weight) == pytest.approx(value, rel=1e-9)


def absolute(model: Any, X: np.ndarray, y: np.ndarray, weight: np.ndarray) -> float:
    deviations = np.abs(y - X @ model.coef_ - model.intercept_)
    alpha = model.alpha if isinstance(model, HuberRegressor) else 0.0
    return float(2 * weight @ deviations + alpha * model.coef_ @ model.coef_)


def test_huber_takes_few_passes_over_many_rows() -> None:
    X, y, _ = make_data(60_000)
    model = HuberRegressor().fit(X, y)
    assert model.n_passes_ <= 4
    peer = SklearnHuberRegressor(tol=1e-9, max_iter=10_000).fit(X, y)
    ones = np.ones(len(y))
    assert huber(model, X, y, ones) <= huber(peer, X, y, ones) * (1 + 1e-10)
    np.testing.assert_allclose(model.coef_, peer.coef_, atol=1e-4)


def test_outliers_are_found_and_moderate_the_fit() -> None:
    X, y, _ = make_data(300)
    y = X @ np.arange(1.0, 6.0) + 0.1 * np.sin(np.arange(300))
    y[::10] += 1000.0
    model = HuberRegressor(epsilon=2.0).fit(X, y)
    np.testing.assert_array_equal(np.flatnonzero(model.outliers_), np.arange(0, 300, 10))
    np.testing.assert_allclose(model.coef_, np.arange(1.0, 6.0), atol=0.05)


def test_lazy_rows_have_lazy_outliers_which_are_not_pickled() -> None:
    X, y, _ = make_data()
    eager = HuberRegressor().fit(X, y)
    lazy = HuberRegressor().fit(da.from_array(X, chunks=(250, -1)), da.from_array(y, chunks=250))
    assert isinstance(lazy.outliers_, da.Array)
    assert lazy.outliers_.shape == (600,)
    np.testing.assert_array_equal(lazy.outliers_.compute(), eager.outliers_)
    assert not hasattr(pickle.loads(pickle.dumps(lazy)), "outliers_")
    dataset = from_arrays(X, y, None, None, None)
    np.testing.assert_array_equal(HuberRegressor().fit(dataset).outliers_, eager.outliers_)
    np.testing.assert_array_equal(
        HuberRegressor().fit(sp.csr_array(X), y).outliers_, eager.outliers_
    )


def test_a_target_that_is_met_exactly_has_no_scale() -> None:
    X, _, _ = make_data(100)
    y = X @ np.arange(1.0, 6.0)
    for alpha in (0.0, 1e-4):
        model = HuberRegressor(alpha=alpha).fit(X, y)
        np.testing.assert_allclose(model.coef_, np.arange(1.0, 6.0), atol=1e-5)
        assert 0 <= model.scale_ < 1e-5


def test_a_warm_start_of_huber_is_where_it_ended() -> None:
    X, y, _ = make_data()
    model = HuberRegressor(warm_start=True).fit(X, y)
    n_cold, coef = model.n_iter_, model.coef_
    assert model.fit(X, y).n_iter_ < n_cold
    np.testing.assert_allclose(model.coef_, coef, rtol=1e-6)


@pytest.mark.parametrize(
    ("parameter", "value"), [("epsilon", 0.9), ("alpha", -1.0), ("tol", -1.0), ("max_iter", 0)]
)
def test_parameters_of_huber_are_checked(parameter: str, value: Any) -> None:
    X, y, _ = make_data(50)
    with pytest.raises(ValueError, match=f"{parameter}="):
        HuberRegressor(**{parameter: value}).fit(X, y)


# --- quantiles -----------------------------------------------------------------------------------


def pinball(model: Any, X: np.ndarray, y: np.ndarray, weight: np.ndarray) -> float:
    error = y - model.predict(X)
    loss = np.where(error > 0, model.quantile, model.quantile - 1) * error
    return float(np.average(loss, weights=weight) + model.alpha * np.abs(model.coef_).sum())


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("quantile", [0.05, 0.5, 0.9])
@pytest.mark.parametrize("alpha", [0.0, 0.02, 0.3])
def test_quantiles_equal_scikit_learn(quantile: float, alpha: float, fit_intercept: bool) -> None:
    X, y, weight = make_data()
    options: Any = {"quantile": quantile, "alpha": alpha, "fit_intercept": fit_intercept}
    model = QuantileRegressor(**options).fit(X, y, weight)
    peer = SklearnQuantileRegressor(**options).fit(X, y, weight)
    assert pinball(model, X, y, weight) <= pinball(peer, X, y, weight) * (1 + 1e-12)
    np.testing.assert_allclose(model.coef_, peer.coef_, atol=1e-9)
    np.testing.assert_allclose(model.intercept_, peer.intercept_, atol=1e-9)


@pytest.mark.parametrize("alpha", [0.0, 0.02])
def test_many_rows_take_few_passes_and_give_the_exact_minimum(alpha: float) -> None:
    X, y, _ = make_data(50_000)
    bound = dual_value(X, y, 0.8, alpha)
    for seed in (None, 7, 23):  # from two of these samples a pass comes within the usual tol
        options: Any = {"alpha": alpha, "random_state": seed}
        model = QuantileRegressor(quantile=0.8, tol=1e-10, **options).fit(X, y)
        assert model.n_passes_ <= 5
        assert model.n_sample_iter_ == 1
        value = pinball(model, X, y, np.ones(len(y)))
        assert abs(value - bound) <= 1e-9 * bound


def dual_value(X: np.ndarray, y: np.ndarray, quantile: float, alpha: float) -> float:
    """Solve the linear program's dual with HiGHS: it bounds the objective from below."""
    n = len(y)
    limits = np.append(np.full(X.shape[1], alpha * n), 0.0)
    A = np.column_stack([X, np.ones(n)]).T
    bounds = [(quantile - 1, quantile)] * n
    if alpha == 0:
        found = linprog(-y, A_eq=A, b_eq=np.zeros(len(A)), bounds=bounds, method="highs-ipm")
    else:
        both = np.concatenate([A, -A])
        found = linprog(-y, A_ub=both, b_ub=np.tile(limits, 2), bounds=bounds, method="highs-ipm")
    return float(-found.fun / n)


def test_repeated_rows_and_whole_numbers_are_no_trouble() -> None:
    random = np.random.default_rng(0)
    X = random.integers(0, 3, (2000, 3)).astype(np.float64)
    y = random.integers(0, 4, 2000).astype(np.float64)
    ones = np.ones(2000)
    for alpha in (0.0, 0.01):
        model = QuantileRegressor(alpha=alpha).fit(X, y)
        peer = SklearnQuantileRegressor(alpha=alpha).fit(X, y)
        assert pinball(model, X, y, ones) <= pinball(peer, X, y, ones) * (1 + 1e-9)


def test_collinear_columns_have_a_minimum_too() -> None:
    X, y, _ = make_data(300)
    X = np.column_stack([X, X[:, 0] + X[:, 1], np.ones(300)])
    model, peer = QuantileRegressor(alpha=0.0).fit(X, y), SklearnQuantileRegressor(alpha=0.0)
    peer.fit(X, y)
    ones = np.ones(300)
    assert pinball(model, X, y, ones) <= pinball(peer, X, y, ones) * (1 + 1e-9)


def test_one_row_and_constant_targets() -> None:
    X, _, _ = make_data(40)
    model = QuantileRegressor().fit(X, np.full(40, 7.0))
    np.testing.assert_allclose(model.predict(X), 7.0)
    assert np.isfinite(QuantileRegressor().fit(X[:1], np.ones(1)).coef_).all()


def test_sorted_rows_and_a_far_warm_start_still_end_at_the_minimum() -> None:
    X, y, _ = make_data(50_000)
    order = np.argsort(y)
    model = QuantileRegressor(alpha=0.0, warm_start=True).fit(X[order], y[order])
    expected = QuantileRegressor(alpha=0.0).fit(X, y).coef_
    np.testing.assert_allclose(model.coef_, expected, rtol=1e-9)
    model.coef_, model.intercept_ = model.coef_ + 10.0, -50.0
    np.testing.assert_allclose(model.fit(X, y).coef_, expected, rtol=1e-9)


def test_too_few_passes_are_a_warning() -> None:
    X, y, _ = make_data(50_000)
    with pytest.warns(ConvergenceWarning, match="raise max_iter"):
        QuantileRegressor(alpha=0.0, max_iter=1).fit(X, y)


@pytest.mark.parametrize(
    ("parameter", "value"), [("quantile", 0.0), ("quantile", 1.0), ("quantile", 2.0), ("alpha", -1)]
)
def test_parameters_of_quantiles_are_checked(parameter: str, value: Any) -> None:
    X, y, _ = make_data(50)
    with pytest.raises(ValueError, match=f"{parameter}="):
        QuantileRegressor(**{parameter: value}).fit(X, y)


# --- what lies beneath ---------------------------------------------------------------------------


def objective_of(loss: Any, penalty: ElasticNet) -> Objective:
    return Objective(loss, penalty, Target(), np.zeros(N_FEATURES), np.ones(N_FEATURES))


@pytest.mark.parametrize("penalty", [ElasticNet(), ElasticNet(0.02), ElasticNet(l2=0.1)], ids=str)
@pytest.mark.parametrize("loss", [PinballLoss(0.3), EpsilonInsensitiveLoss(0.5)], ids=str)
@pytest.mark.parametrize("width", [0.02, 0.3])
def test_any_first_width_leads_to_the_same_minimum(
    loss: Any, penalty: ElasticNet, width: float
) -> None:
    X, y, weight = make_data(3000)
    objective, rows = objective_of(loss, penalty), [Block(X, y, weight)]
    start = np.zeros(objective.shape)
    everything, _ = solve_in_memory(Globbing(objective, start, np.inf, 1e-10, 100), rows)
    found, n_passes = solve_in_memory(Globbing(objective, start, width, 1e-10, 100), rows)
    assert everything.n_passes == 1
    assert 1 < n_passes < 60
    assert found.converged
    np.testing.assert_allclose(found.theta, everything.theta, rtol=1e-8, atol=1e-9)


def test_the_nearest_kinks_are_kept_and_the_others_become_a_sum() -> None:
    X, y, weight = make_data(500)
    objective = objective_of(EpsilonInsensitiveLoss(0.5), ElasticNet())
    point = objective.point(np.full(objective.shape, 0.1))
    pieces = [
        Block(X[i : i + 100], y[i : i + 100], weight[i : i + 100]) for i in range(0, 500, 100)
    ]
    few = NEAR_KINKS(KinkAsk(point, np.inf, 40), pieces, {})
    merged = NEAR_KINKS(KinkAsk(point, np.inf, 40), pieces[:1], {})
    for piece in pieces[1:]:
        merged = NEAR_KINKS.merge(merged, NEAR_KINKS(KinkAsk(point, np.inf, 40), [piece], {}))
    every = NEAR_KINKS(KinkAsk(point, np.inf, 10_000), pieces, {})
    np.testing.assert_array_equal(np.sort(np.abs(every.gap))[:40], np.sort(np.abs(few.gap)))
    np.testing.assert_array_equal(few.gap, merged.gap)
    np.testing.assert_allclose(few.slope, merged.slope)
    assert few.n_far == merged.n_far == len(every.gap) - 40
    rising = np.where(every.gap > 0, -every.below, every.above)
    total = rising @ every.Z
    near = np.where(few.gap > 0, -few.below, few.above) @ few.Z
    np.testing.assert_allclose(few.slope + near, total)


def test_the_interior_point_method_says_how_close_it_is() -> None:
    X, y, weight = make_data(400)
    kept = weight > 0
    problem = KinkedProblem(
        np.zeros(N_FEATURES),
        np.full(N_FEATURES, 2.0),
        X[kept],
        y[kept],
        0.3 * weight[kept],
        0.7 * weight[kept],
    )
    x, gap = minimise_kinks(problem)
    value = problem.value(x)
    assert gap <= 1e-10 * value
    random = np.random.default_rng(2)
    for size in (1e-1, 1e-4, 1e-7):
        assert problem.value(x + size * random.standard_normal(N_FEATURES)) >= value


def test_a_resumed_fit_gives_the_same_bits(tmp_path: Path) -> None:
    X, y, _ = make_data(50_000)
    expected = QuantileRegressor(alpha=0.0, random_state=0).fit(X, y)
    path = tmp_path / "fit.npz"

    def stop(event: Any) -> None:
        if isinstance(event, PassCompleted) and event.number == 2:
            raise KeyboardInterrupt

    with (
        pytest.raises(KeyboardInterrupt),
        flowml.config_context(checkpoint=path, callbacks=(stop,)),
    ):
        QuantileRegressor(alpha=0.0, random_state=0).fit(X, y)
    with flowml.config_context(checkpoint=path, resume=True):
        resumed = QuantileRegressor(alpha=0.0, random_state=0).fit(X, y)
    np.testing.assert_array_equal(resumed.coef_, expected.coef_)
    assert resumed.n_passes_ == expected.n_passes_ > 2


@pytest.mark.parametrize("n_rows", [60, 500])
@pytest.mark.parametrize("epsilon", [1.0001, 1.001, 1.003])
def test_huber_without_a_scale_is_the_median_regression(epsilon: float, n_rows: int) -> None:
    """No scale above zero is best for an ε of up to about the root of n / (n - p)."""
    random = np.random.default_rng(0)
    X = random.standard_normal((n_rows, 5))
    y = X @ np.arange(1.0, 6.0) + random.standard_t(3, size=n_rows)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = HuberRegressor(epsilon=epsilon, alpha=0.0).fit(X, y)
    median = QuantileRegressor(alpha=0.0).fit(X, y)
    np.testing.assert_allclose(model.coef_, median.coef_, rtol=1e-4)
    assert 0.0 < model.scale_ < 1e-6
