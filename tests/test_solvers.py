"""Solvers: every loss and penalty against convex references, and what a fit makes of them."""

import warnings
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import dask.array as da
import numpy as np
import pytest
import scipy.sparse as sp
from scipy.linalg import LinAlgWarning
from scipy.optimize import minimize
from scipy.stats import norm
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import ElasticNet as SklearnElasticNet
from sklearn.linear_model import Lasso as SklearnLasso
from sklearn.linear_model import LogisticRegression as SklearnLogisticRegression

import flowml
from flowml.drive.events import PassCompleted
from flowml.kernels.linear_loss import LOSS_GRADIENT, Target
from flowml.kernels.rows import Block
from flowml.linear_model import ElasticNet, Lasso, LogisticRegression, PoissonRegressor
from flowml.linear_model.solver_choice import SOLVERS, Work, choose_solver
from flowml.losses.epsilon_insensitive import SquaredEpsilonInsensitiveLoss
from flowml.losses.families import Binomial, Gamma, Poisson
from flowml.losses.family_loss import family_loss
from flowml.losses.hinge import ModifiedHuberLoss, SquaredHingeLoss
from flowml.losses.huber import FixedHuberLoss
from flowml.losses.links import LINKS, Log
from flowml.losses.logistic import LogisticLoss
from flowml.losses.loss import Loss
from flowml.losses.multinomial import MultinomialLoss
from flowml.losses.squared import SquaredLoss
from flowml.penalties.elastic_net import ElasticNet as Penalty
from flowml.solvers.in_memory import solve_in_memory
from flowml.solvers.objective import Objective, Start

TOL = 1e-7
N_FEATURES = 4
Array = np.ndarray[Any, Any]

solvers = pytest.mark.parametrize("solver", list(SOLVERS))


def make_rows(n_rows: int = 300, seed: int = 0) -> tuple[Array, Array]:
    """Return correlated columns away from zero, and a predictor."""
    random = np.random.default_rng(seed)
    mix = np.eye(N_FEATURES) + 0.3 * random.standard_normal((N_FEATURES, N_FEATURES))
    X = random.standard_normal((n_rows, N_FEATURES)) @ mix * [1, 5, 0.3, 1] + [0, 3, -2, 1]
    return X, (X - X.mean(axis=0)) @ [1.0, -0.2, 1.0, 0.0] + 0.3


def make_target(name: str, eta: Array, seed: int = 1) -> Array:
    """Draw targets of a predictor."""
    random = np.random.default_rng(seed)
    noisy = eta + random.logistic(size=len(eta))
    if name == "multinomial":
        return np.digitize(noisy, [-1.0, 1.5]).astype(np.float64)
    if name == "poisson":
        return random.poisson(np.exp(0.5 * eta)).astype(np.float64)
    if name == "gamma":
        return random.gamma(2.0, np.exp(0.5 * eta))
    return noisy if name in NUMERIC else (noisy > 0).astype(np.float64)


LOSSES: dict[str, Loss] = {
    "logistic": LogisticLoss(),
    "multinomial": MultinomialLoss(3),
    "squared": SquaredLoss(),
    "poisson": family_loss(Poisson(), Log()),
    "squared hinge": SquaredHingeLoss(),
    "modified Huber": ModifiedHuberLoss(),
    "Huber": FixedHuberLoss(0.5),
    "squared insensitive": SquaredEpsilonInsensitiveLoss(0.5),
    "gamma": family_loss(Gamma(), Log()),
    "probit": family_loss(Binomial(), LINKS["probit"]),
}
NUMERIC = ("squared", "Huber", "squared insensitive")
PENALTIES = {
    "nothing": Penalty(),
    "ridge": Penalty(l2=0.1),
    "lasso": Penalty(l1=0.05),
    "elastic net": Penalty(l1=0.03, l2=0.05),
    "bounds": Penalty(lower=-0.2, upper=0.4),
}


def plain_loss(name: str, y: Array, eta: Array) -> tuple[Array, Array]:
    """Return values and derivatives by η, as a textbook has them."""
    if name == "logistic":
        return np.logaddexp(0, eta) - y * eta, 1 / (1 + np.exp(-eta)) - y
    if name == "multinomial":
        shares = np.exp(eta) / np.exp(eta).sum(axis=1, keepdims=True)
        own = np.eye(3)[y.astype(int)]
        return -np.log((shares * own).sum(axis=1)), shares - own
    if name == "squared":
        return 0.5 * (eta - y) ** 2, eta - y
    if name == "poisson":
        constant = np.where(y > 0, y * np.log(np.maximum(y, 1)) - y, 0.0)
        return np.exp(eta) - y * eta + constant, np.exp(eta) - y
    if name == "gamma":
        return y / np.exp(eta) - 1 - np.log(y) + eta, 1 - y / np.exp(eta)
    error, side = eta - y, 2 * y - 1
    if name == "Huber":
        inner = np.clip(error, -0.5, 0.5)
        return np.where(inner == error, 0.5 * error**2, 0.5 * np.abs(error) - 0.125), inner
    if name == "squared insensitive":
        beyond = np.maximum(np.abs(error) - 0.5, 0)
        return beyond**2, 2 * beyond * np.sign(error)
    if name == "probit":
        slope = -side * np.exp(norm.logpdf(eta) - norm.logcdf(side * eta))
        return -norm.logcdf(side * eta), slope
    lacking = np.maximum(1 - side * eta, 0)
    if name == "modified Huber":
        far = lacking > 2
        return (
            np.where(far, 4 * (lacking - 1), lacking**2),
            -2 * side * np.minimum(lacking, 2),
        )
    return lacking**2, -2 * side * lacking


def plain_objective(
    name: str, penalty: Penalty, data: tuple[Array, Array, Array]
) -> Callable[[Array], tuple[float, Array]]:
    """Return value and gradient of flat positive parts, negative parts and intercepts."""
    X, y, weight = data
    shape = (LOSSES[name].n_outputs, X.shape[1])
    share, size = weight / weight.sum(), shape[0] * shape[1]

    def objective(flat: Array) -> tuple[float, Array]:
        up, down = flat[:size].reshape(shape), flat[size : 2 * size].reshape(shape)
        coef, intercept = up - down, flat[2 * size :]
        eta = X @ coef.T + intercept
        value, slope = plain_loss(name, y, eta if shape[0] > 1 else eta[:, 0])
        weighted = share[:, None] * slope.reshape(eta.shape)
        gradient = weighted.T @ X + penalty.l2 * coef
        total = share @ value + penalty.l1 * (up + down).sum() + 0.5 * penalty.l2 * (coef**2).sum()
        pieces = (gradient + penalty.l1, penalty.l1 - gradient)
        return total, np.concatenate([*(p.ravel() for p in pieces), weighted.sum(axis=0)])

    return objective


def reference(name: str, penalty: Penalty, data: tuple[Array, Array, Array]) -> float:
    """Return the lowest value that scipy finds, with coefficients split into positive parts."""
    outputs, n_features = LOSSES[name].n_outputs, data[0].shape[1]
    size = outputs * n_features
    lower, upper = float(penalty.lower), float(penalty.upper)
    bounds = [(0, max(upper, 0))] * size + [(0, max(-lower, 0))] * size + [(None, None)] * outputs
    found = minimize(
        plain_objective(name, penalty, data),
        np.zeros(2 * size + outputs),
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options={"maxiter": 20_000, "maxfun": 40_000, "ftol": 1e-15, "gtol": 1e-9, "maxcor": 30},
    )
    return float(found.fun)


EDGES = {"one block": [], "many blocks": list(range(20, 300, 20)), "CSR": [120, 120, 200]}


def in_blocks(X: Array, y: Array, weight: Array, kind: str = "uneven and empty") -> list[Block]:
    """Cut rows into blocks; by default they are uneven, and one of them is empty."""
    edges = [0, *EDGES.get(kind, [120, 120, 200]), len(X)]
    if kind == "CSR":
        X = sp.csr_array(X)
    return [Block(X[a:b], y[a:b], weight[a:b], a, i) for i, (a, b) in enumerate(pairwise(edges))]


def solve(
    name: str, penalty: Penalty, data: tuple[Array, Array, Array], solver: str
) -> tuple[Any, Objective]:
    """Minimise from zero, on one leaf."""
    X, y, weight = data
    objective = Objective(LOSSES[name], penalty, Target(), X.mean(axis=0), X.std(axis=0))
    nothing = np.zeros(objective.shape)
    made = SOLVERS[solver].make(objective, Start(nothing, nothing, np.inf), TOL, 5000)
    return solve_in_memory(made, in_blocks(X, y, weight))[0], objective


@pytest.mark.parametrize(
    ("solver", "penalty"),
    [
        (solver, penalty)
        for solver, method in SOLVERS.items()
        for penalty, price in PENALTIES.items()
        if method.takes_kinks or price.is_smooth
    ],
)
@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_and_penalty_is_minimised(solver: str, name: str, penalty: str) -> None:
    price = PENALTIES[penalty]
    X, eta = make_rows()
    weight = np.random.default_rng(5).integers(0, 3, len(X)).astype(np.float64)
    data = X, make_target(name, eta), weight
    state, objective = solve(name, price, data, solver)
    assert state.converged
    coef, intercept = objective.coefficients(state.theta)
    for kind in EDGES:  # what is a minimum on some blocks is one on all
        sums = LOSS_GRADIENT(objective.point(state.theta), in_blocks(*data, kind), {})
        evaluation = objective.evaluate(sums, state.theta)
        assert objective.violation(state.theta, evaluation) <= 1.1 * TOL
    flat = np.concatenate([*(np.maximum(s * coef, 0).ravel() for s in (1, -1)), intercept])
    value, gradient = plain_objective(name, price, data)(flat)
    assert value <= reference(name, price, data) + 1e-10
    # the conditions of Karush, Kuhn and Tucker, in units of the columns' spread about their means
    about_zero = gradient[: coef.size].reshape(coef.shape) - price.l1
    slope = about_zero - np.outer(gradient[2 * coef.size :], X.mean(axis=0))
    scaled = slope / objective.scale
    allowed = price.l1 / objective.scale + 1e-6
    inside = (coef > price.lower) & (coef < price.upper)
    assert (np.abs(scaled[inside]) <= np.broadcast_to(allowed, coef.shape)[inside]).all()
    active = inside & (coef != 0)
    wanted = -price.l1 * np.sign(coef) / objective.scale
    np.testing.assert_allclose(scaled[active], wanted[active], atol=1e-6)
    assert (slope[coef <= price.lower] >= -price.l1 - 1e-6).all()
    assert (slope[coef >= price.upper] <= price.l1 + 1e-6).all()
    np.testing.assert_allclose(gradient[2 * coef.size :], 0, atol=1e-6)


def test_momentum_saves_passes_on_correlated_columns() -> None:
    """Plain proximal steps take some 900."""
    random = np.random.default_rng(0)
    X = random.standard_normal((2000, 40)) + 2.0 * random.standard_normal((2000, 1))
    y = (X @ random.standard_normal(40) + random.logistic(size=2000) > 0).astype(np.float64)
    objective = Objective(
        LOSSES["logistic"], Penalty(l1=1e-3, l2=1e-4), Target(), X.mean(axis=0), X.std(axis=0)
    )
    nothing = np.zeros(objective.shape)
    fista = SOLVERS["fista"].make(objective, Start(nothing, nothing, np.inf), 1e-4, 5000)
    state, _ = solve_in_memory(fista, [Block(X, y, None)])
    assert state.converged
    assert state.n_passes < 250


@pytest.mark.parametrize(
    ("solver", "l1_ratio"),
    [
        (solver, l1_ratio)
        for solver, method in SOLVERS.items()
        for l1_ratio in (0.0, 0.5, 1.0)
        if method.takes_kinks or not l1_ratio
    ],
)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_logistic_regression_equals_scikit_learn(
    solver: str, n_classes: int, l1_ratio: float
) -> None:
    X, eta = make_rows(400)
    X = (X - X.mean(axis=0)) / X.std(axis=0)  # for the sake of scikit-learn's saga
    y = make_target("logistic" if n_classes == 2 else "multinomial", eta)
    ours = LogisticRegression(C=0.1, l1_ratio=l1_ratio, solver=solver, tol=1e-7, max_iter=2000)
    theirs = SklearnLogisticRegression(
        C=0.1, l1_ratio=l1_ratio, solver="saga", tol=1e-10, max_iter=20_000
    )
    ours.fit(X, y)
    theirs.fit(X, y)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=2e-6)
    theirs_centred = theirs.intercept_ - (theirs.intercept_.mean() if n_classes == 3 else 0.0)
    np.testing.assert_allclose(ours.intercept_, theirs_centred, atol=2e-6)
    assert ours.solver_used_ == solver


# --- the choice -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("few", "many"),
    [
        (Work(300), Work(400)),
        (Work(800, rows=2_000), Work(800, rows=100_000)),
        (Work(200, 4), Work(800, 8)),
        (Work(500, rows=1e6, stored=20), Work(5000, rows=1e6, stored=20)),
        (Work(1500, rows=1e7, stored=5), Work(1500, rows=1e7, stored=100)),
        (Work(1000, rows=10, memory=1 << 30), Work(1000, rows=10, memory=1 << 26)),
    ],
    ids=["columns", "rows", "classes", "sparse columns", "values stored", "memory"],
)
def test_the_choice_follows_the_cost_of_curvature(few: Work, many: Work) -> None:
    assert choose_solver("auto", few, kinks=False)[0] == "newton"
    assert choose_solver("auto", many, kinks=False)[0] == "lbfgs"


def test_the_choice_follows_kinks_and_what_is_asked_for() -> None:
    for work, kinked in ((Work(800), "newton"), (Work(2000), "fista")):
        assert choose_solver("auto", work, kinks=True)[0] == kinked
        assert choose_solver("auto", work, kinks=False)[0] == "lbfgs"
    assert "80 GB" in choose_solver("auto", Work(100_000), kinks=True)[1]
    assert choose_solver("admm", Work(100), kinks=True) == ("admm", "as asked for")


def test_a_fit_says_what_was_chosen_and_the_plan_before() -> None:
    X, eta = make_rows()
    y = make_target("logistic", eta)
    model = LogisticRegression().fit(X, y)
    assert model.solver_used_ == "newton"
    assert "5 parameters" in model.solver_reason_
    plan = str(flowml.plan(LogisticRegression(), X, y))
    assert f"newton: {model.solver_reason_}" in plan
    wide = sp.csr_array((20, 5000))
    assert "lbfgs: 5,001 parameters" in str(flowml.plan(LogisticRegression(), wide, y[:20]))
    assert "fista: " in str(flowml.plan(LogisticRegression(l1_ratio=0.5), wide, y[:20]))
    assert "gram: 4 columns" in str(flowml.plan(Lasso(), X, y))


def test_a_solver_that_cannot_is_refused_before_any_pass() -> None:
    X, eta = make_rows()
    y = make_target("logistic", eta)
    events: list[Any] = []
    with flowml.config_context(callbacks=[events.append]):
        with pytest.raises(ValueError, match=r"'lbfgs' can't take .*l1_ratio.*'newton', 'fista'"):
            LogisticRegression(solver="lbfgs", l1_ratio=0.5).fit(X, y)
        with pytest.raises(ValueError, match=r"'newton' would need .*29 GB for 60,001 parameters"):
            LogisticRegression(solver="newton").fit(sp.csr_array((20, 60_000)), y[:20])
    assert not events


# --- warm starts, checkpoints, memory -------------------------------------------------------------


@solvers
def test_a_warm_start_stays_at_the_minimum(solver: str) -> None:
    X, eta = make_rows()
    y = make_target("multinomial", eta)
    chunks = da.from_array(X, chunks=(100, -1)), da.from_array(y, chunks=100)
    model = LogisticRegression(C=0.5, solver=solver, tol=1e-6, max_iter=1000, warm_start=True)
    cold = model.fit(*chunks)
    coef, passes = cold.coef_.copy(), cold.n_passes_
    model.set_params(tol=2e-6).fit(*chunks)
    assert model.n_passes_ <= 3 < passes
    np.testing.assert_allclose(model.coef_, coef, atol=1e-5)


@solvers
def test_a_warm_start_with_another_penalty_gets_where_a_cold_one_does(solver: str) -> None:
    X, eta = make_rows()
    y = make_target("logistic", eta)
    options: dict[str, Any] = {"solver": solver, "tol": 1e-7, "max_iter": 2000}
    warm = LogisticRegression(C=1e-3, warm_start=True, **options).fit(X, y)
    warm.set_params(C=1.0).fit(X, y)
    cold = LogisticRegression(C=1.0, **options).fit(X, y)
    np.testing.assert_allclose(warm.coef_, cold.coef_, atol=1e-5)


def stopped(after: int) -> Callable[[Any], None]:
    """Return a callback that interrupts a fit."""

    def interrupt(event: Any) -> None:
        if isinstance(event, PassCompleted) and event.number == after:
            raise KeyboardInterrupt

    return interrupt


@solvers
def test_resuming_in_mid_fit_gives_the_same_bits(solver: str, tmp_path: Any) -> None:
    X, eta = make_rows(2000)
    y = make_target("multinomial", eta)
    rows = da.from_array(X, chunks=(500, -1)), da.from_array(y, chunks=500)

    def make() -> LogisticRegression:
        return LogisticRegression(C=0.5, solver=solver, tol=1e-7, max_iter=300, random_state=0)

    undisturbed = make().fit(*rows)
    passes = undisturbed.n_passes_
    assert passes > 4
    for after in {3, passes - 1}:
        folder = tmp_path / str(after)
        settings: dict[str, Any] = {"checkpoint": folder, "checkpoint_seconds": 0}
        with (
            flowml.config_context(**settings, callbacks=[stopped(after)]),
            pytest.raises(KeyboardInterrupt),
        ):
            make().fit(*rows)
        seen: list[Any] = []
        with flowml.config_context(**settings, resume=True, callbacks=[seen.append]):
            resumed = make().fit(*rows)
        np.testing.assert_array_equal(resumed.coef_, undisturbed.coef_)
        assert resumed.n_passes_ == passes
        assert sum(isinstance(event, PassCompleted) for event in seen) == passes - after


def test_duals_that_are_lost_are_rebuilt_with_the_same_bits() -> None:
    X, eta = make_rows()
    data = X, make_target("logistic", eta), np.ones(len(X))
    objective = Objective(LogisticLoss(), Penalty(l1=0.03), Target(), X.mean(0), X.std(0))
    nothing = np.zeros(objective.shape)
    admm = SOLVERS["admm"].make(objective, Start(nothing, nothing, np.inf), 1e-9, 26)
    leaves = [[block] for block in in_blocks(*data)]

    def run(forget: Callable[[int, int], bool]) -> Any:
        state, memories, number = admm.init(), [{} for _ in leaves], 0
        while not admm.done(state):
            for place in range(len(leaves)):
                if forget(number, place):
                    memories[place] = {}
            ask, total = admm.ask(state), None
            for rows, memory in zip(leaves, memories, strict=True):
                summary = admm.fold(ask, rows, memory)
                total = summary if total is None else admm.fold.merge(total, summary)
            state, number = admm.step(state, total), number + 1
        return state

    kept = run(lambda number, place: False)
    assert kept.n_passes == 26  # a round and more
    for forget in (lambda number, place: True, lambda number, place: (number + place) % 3 == 0):
        lost = run(forget)
        np.testing.assert_array_equal(lost.theta, kept.theta)
        assert lost.n_passes == kept.n_passes


# --- from coarse to fine --------------------------------------------------------------------------


def make_many(n_rows: int = 100_000, n_features: int = 10) -> tuple[Array, Array, Array]:
    random = np.random.default_rng(3)
    X = random.standard_normal((n_rows, n_features)) + random.standard_normal(n_features)
    coef = random.standard_normal(n_features)
    return X, X @ coef + random.logistic(size=n_rows), random.uniform(size=n_rows)


def check_minimum(model: LogisticRegression, X: Array, y: Array) -> None:
    """Compare with scikit-learn's solution of many digits."""
    exact = SklearnLogisticRegression(
        C=model.C, solver="newton-cholesky", tol=1e-10, max_iter=500
    ).fit(X, y)
    np.testing.assert_allclose(model.coef_, exact.coef_, rtol=1e-4, atol=1e-4)


def test_few_passes_go_over_all_rows() -> None:
    X, noisy, _ = make_many()
    y = noisy > 0
    model = LogisticRegression(random_state=0).fit(X, y)
    assert list(model.history_.stage).count("fit") <= 2 < model.n_sample_iter_
    check_minimum(model, X, y)
    counts = np.random.default_rng(0).poisson(np.exp(np.clip(noisy / 5, -3, 2)))
    poisson = PoissonRegressor(alpha=0.0, random_state=0).fit(X, counts)
    assert list(poisson.history_.stage).count("fit") <= 3


@pytest.mark.parametrize("solver", ["lbfgs", "fista"])
def test_the_sample_saves_passes_of_first_order_solvers(solver: str) -> None:
    X, noisy, _ = make_many()
    y = noisy > 0
    model = LogisticRegression(solver=solver, random_state=0, max_iter=300)
    with_sample = model.fit(X, y).n_passes_
    nothing = np.zeros((1, X.shape[1]))
    model.set_params(warm_start=True)
    model.coef_, model.intercept_ = nothing, np.zeros(1)
    assert with_sample < model.fit(X, y).n_passes_


@pytest.mark.parametrize("kind", ["sorted", "rare", "few mistakes"])
@pytest.mark.parametrize("solver", ["newton", "lbfgs"])
def test_a_sample_that_misleads_is_given_up(solver: str, kind: str) -> None:
    X, noisy, chance = make_many(60_000, 5)
    if kind == "sorted":
        order = np.argsort(noisy)
        X, y = X[order], noisy[order] > 0
    elif kind == "rare":
        y = noisy > np.sort(noisy)[-6]  # five rows, of which the sample hardly sees one
    else:
        eta = X @ np.arange(1.0, 6.0)
        X, eta = X[np.abs(eta) > 1], eta[np.abs(eta) > 1]
        y = eta > 0
        y[np.argsort(chance[: len(y)])[:2]] ^= True  # separable but for two rows
    model = LogisticRegression(solver=solver, random_state=0, max_iter=500, tol=1e-6, C=10.0)
    model.fit(X, y)
    check_minimum(model, X, y)


# --- what has no minimum, or none that is reached -------------------------------------------------


@pytest.mark.parametrize("n_classes", [2, 3])
@solvers
def test_perfect_separation_is_named(solver: str, n_classes: int) -> None:
    X, eta = make_rows(n_classes * 30)
    y = np.argsort(np.argsort(eta)) // 30
    X[:, 0] += 20 * y
    model = LogisticRegression(C=np.inf, solver=solver, max_iter=300)
    with pytest.warns(ConvergenceWarning, match="perfectly separated.*set a finite C"):
        model.fit(X, y)
    assert np.isfinite(model.coef_).all()
    assert model.score(X, y) == 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        LogisticRegression(C=100.0).fit(X, y)


@pytest.mark.parametrize("solver", ["newton", "lbfgs"])
@pytest.mark.parametrize("n_rows", [400, 60_000])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_quasi_separation_names_the_columns(n_classes: int, n_rows: int, solver: str) -> None:
    X, eta = make_rows(n_rows)
    random = np.random.default_rng(0)
    y = np.digitize(eta + random.logistic(size=n_rows), [-1.0, 1.0][: n_classes - 1])
    X[:, 3] = random.uniform(size=n_rows) < 0.05
    y[X[:, 3] == 1] = n_classes - 1
    model = LogisticRegression(C=np.inf, random_state=0, solver=solver)
    with pytest.warns(ConvergenceWarning, match=r"columns x3 separate.*set a finite C, or drop"):
        model.fit(X, y)
    assert model.n_passes_ <= flowml.plan(model, X, y).passes


@pytest.mark.parametrize("solver", ["newton", "lbfgs"])
@pytest.mark.parametrize("n_rare", [4, 30, 1000])
def test_rare_columns_that_do_not_separate_raise_no_alarm(n_rare: int, solver: str) -> None:
    X, eta = make_rows(60_000)
    y = make_target("logistic", eta)
    X[:, 3] = np.arange(len(X)) < n_rare
    y[: n_rare - 1], y[n_rare - 1] = 1, 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = LogisticRegression(C=np.inf, random_state=0, tol=1e-8, solver=solver).fit(X, y)
    exact = SklearnLogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-12).fit(X, y)
    np.testing.assert_allclose(model.coef_, exact.coef_, rtol=1e-3, atol=1e-4)


@solvers
def test_running_out_of_passes_says_what_to_change(solver: str) -> None:
    X, eta = make_rows()
    model = LogisticRegression(solver=solver, max_iter=1, tol=1e-9)
    with pytest.warns(ConvergenceWarning, match="max_iter=1 passes.*above tol=1e-09: raise max"):
        model.fit(X, make_target("logistic", eta))


@pytest.mark.parametrize("solver", ["newton", "lbfgs"])
def test_what_floating_point_cannot_reach_ends_all_the_same(solver: str) -> None:
    X, eta = make_rows()
    model = LogisticRegression(solver=solver, tol=0.0, max_iter=500)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, make_target("logistic", eta))
    assert model.n_passes_ < 400
    assert model.history_.change.iloc[-1] < 1e-9


# --- Newton where the curvature is singular or badly scaled ---------------------------------------


@pytest.mark.parametrize("n_classes", [2, 3])
def test_collinear_and_constant_columns_change_no_prediction(n_classes: int) -> None:
    X, eta = make_rows()
    y = make_target("logistic" if n_classes == 2 else "multinomial", eta)
    more = np.column_stack([X, X[:, 0] - 2 * X[:, 1], np.full(len(X), 7.0), X[:, 2]])
    plain = LogisticRegression(C=np.inf, tol=1e-8).fit(X, y)
    with pytest.warns(LinAlgWarning, match="columns x0, x1, x2, x4, x6 are collinear") as caught:
        model = LogisticRegression(C=np.inf, tol=1e-8).fit(more, y)
    assert [warning.filename for warning in caught] == [__file__]
    np.testing.assert_allclose(model.predict_proba(more), plain.predict_proba(X), atol=1e-7)
    assert abs(model.coef_[0, 5]) < 1e-12


@pytest.mark.parametrize("l1_ratio", [0.0, 0.5])
def test_units_change_nothing_but_coefficients(l1_ratio: float) -> None:
    X, eta = make_rows()
    y, units = make_target("logistic", eta), np.array([1e-6, 1.0, 1e6, 1e3])
    plain = LogisticRegression(C=np.inf, tol=1e-8).fit(X, y)
    scaled = LogisticRegression(C=np.inf, l1_ratio=l1_ratio, tol=1e-8).fit(X * units + 3.0, y)
    np.testing.assert_allclose(scaled.coef_ * units, plain.coef_, rtol=1e-6)


@solvers
def test_without_intercept(solver: str) -> None:
    X, eta = make_rows()
    y = make_target("logistic", eta)
    options: dict[str, Any] = {"C": 0.3, "fit_intercept": False, "max_iter": 3000}
    ours = LogisticRegression(solver=solver, tol=1e-7, **options).fit(X, y)
    theirs = SklearnLogisticRegression(solver="newton-cholesky", tol=1e-10, **options).fit(X, y)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-5)
    assert not ours.intercept_.any()


@solvers
def test_float32_is_fitted_in_double_precision(solver: str) -> None:
    X, eta = make_rows()
    X, y = X.astype(np.float32), make_target("logistic", eta)
    options: dict[str, Any] = {"solver": solver, "tol": 1e-6, "max_iter": 2000}
    single = LogisticRegression(**options).fit(X, y)
    double = LogisticRegression(**options).fit(X.astype(np.float64), y)
    assert single.coef_.dtype == np.float32
    np.testing.assert_allclose(single.coef_, double.coef_, rtol=1e-4, atol=1e-5)


def test_a_warm_start_off_the_gauge_comes_back_to_it() -> None:
    X, eta = make_rows()
    y = make_target("multinomial", eta)
    model = LogisticRegression(C=0.1, tol=1e-7, warm_start=True).fit(X, y)
    coef = model.coef_.copy()
    model.coef_ = coef + 3.0
    model.fit(X, y)
    np.testing.assert_allclose(model.coef_, coef, atol=1e-6)
    assert model.n_passes_ <= 5


# --- lasso and elastic net ------------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["gram", "newton", "fista", "block_descent", "admm"])
@pytest.mark.parametrize("kind", ["lasso", "elastic net", "positive", "no intercept"])
def test_squared_error_equals_scikit_learn(solver: str, kind: str) -> None:
    X, eta = make_rows()
    y, weight = make_target("squared", eta), np.random.default_rng(2).uniform(0, 2, len(X))
    options: dict[str, Any] = {"alpha": 0.2, "positive": kind == "positive"}
    options["fit_intercept"] = kind != "no intercept"
    ours, theirs = (ElasticNet(**options), SklearnElasticNet(**options))
    if kind == "lasso":
        ours, theirs = Lasso(**options), SklearnLasso(**options)
    theirs.set_params(tol=1e-12, max_iter=100_000).fit(X, y, weight)
    tol = 1e-12 if solver == "gram" else 1e-7
    ours.set_params(tol=tol, max_iter=5000, solver=solver).fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=2e-6)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, atol=5e-6)
    np.testing.assert_array_equal(ours.coef_ == 0, theirs.coef_ == 0)
    assert ours.n_passes_ == 1 or solver != "gram"
    assert 0 <= ours.dual_gap_ < 1e-5
    np.testing.assert_allclose(ours.to_sklearn().predict(X), ours.predict(X), rtol=1e-12)


@pytest.mark.parametrize("solver", ["gram", "fista"])
def test_the_duality_gap_is_a_bound(solver: str) -> None:
    X, eta = make_rows()
    y = make_target("squared", eta)

    def value(model: Any) -> float:
        left = y - model.predict(X)
        return 0.5 * np.mean(left**2) + 0.1 * np.abs(model.coef_).sum()

    best = value(Lasso(alpha=0.1, tol=1e-13, max_iter=10_000).fit(X, y))
    for max_iter in (2, 5, 10):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            early = Lasso(alpha=0.1, max_iter=max_iter, tol=0.0, solver=solver).fit(X, y)
        assert value(early) - best <= early.dual_gap_ + 1e-12


def test_a_lasso_of_many_columns_goes_by_steps() -> None:
    random = np.random.default_rng(0)
    X = sp.random_array((400, 800), density=0.05, rng=random, format="csr")
    y = X[:, :5].sum(axis=1) + 0.01 * random.standard_normal(400)
    ours = Lasso(alpha=1e-3, tol=1e-6, max_iter=3000, random_state=0)
    assert ours.set_params(solver="fista").fit(X, y).solver_used_ == "fista"
    theirs = SklearnLasso(alpha=1e-3, tol=1e-10, max_iter=20_000).fit(X, y)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-4)
    np.testing.assert_array_equal(ours.sparse_coef_.toarray()[0], ours.coef_)
    wide = sp.csr_array((10, 3000))
    assert ours.set_params(solver="auto")._choose_solver is not None
    assert "fista" in str(flowml.plan(ours, wide, np.ones(10)))


def test_a_penalty_above_every_slope_leaves_nothing() -> None:
    X, eta = make_rows()
    model = Lasso(alpha=1e3).fit(X, make_target("squared", eta))
    assert not model.coef_.any()
    with pytest.raises(ValueError, match="l1_ratio must be at most 1"):
        ElasticNet(l1_ratio=1.5).fit(X, eta)
    with pytest.raises(ValueError, match="alpha must be at least 0"):
        Lasso(alpha=-1.0).fit(X, eta)


def test_sums_of_no_rows_are_nothing() -> None:
    X, eta = make_rows()
    objective = Objective(LogisticLoss(), Penalty(), Target(), X.mean(0), X.std(0))
    nothing = np.zeros(objective.shape)
    made = SOLVERS["admm"].make(objective, Start(nothing, nothing, np.inf), 1e-6, 50)
    state = made.init()._replace(value=1.0, stiffness=1.0, points=np.stack([nothing, nothing]))
    empty = [Block(X[:0], eta[:0], None)]
    summary = made.fold(made.ask(state), empty, {}).members[2]
    assert summary.weight == 0
    assert not summary.proposed.any()
    assert LOSS_GRADIENT(objective.point(nothing), empty, {}).weight == 0


def test_a_fit_without_a_seed_repeats_to_the_bit() -> None:
    random = np.random.default_rng(0)
    X = random.standard_normal((60_000, 3))
    y = X @ [1.0, -1.0, 0.5] + random.logistic(size=len(X)) > 0
    first, second = LogisticRegression().fit(X, y), LogisticRegression().fit(X, y)
    assert first.n_sample_iter_ > 0
    np.testing.assert_array_equal(first.coef_, second.coef_)
