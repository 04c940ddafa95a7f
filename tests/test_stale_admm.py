"""Consensus ADMM where each leaf has a sequence of common points of its own."""

import pickle
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import dask.array as da
import numpy as np
import pytest
from distributed import Client
from sklearn.linear_model import Lasso
from sklearn.linear_model import LogisticRegression as SklearnLogisticRegression

import flowml
from flowml.kernels.linear_loss import Target
from flowml.kernels.local_fit import LocalAsk
from flowml.kernels.rows import Array, Block
from flowml.linear_model import LogisticRegression
from flowml.losses.logistic import LogisticLoss
from flowml.losses.squared import SquaredLoss
from flowml.penalties.elastic_net import ElasticNet
from flowml.runtimes.blas import one_blas_thread
from flowml.runtimes.packed import pack
from flowml.runtimes.parameter_server.clocks import Clocks, Order, Push
from flowml.runtimes.shard import Leaf, summarise_leaves
from flowml.runtimes.tree import join, root
from flowml.solvers.admm import ROUND, Admm
from flowml.solvers.objective import Objective, Start
from tests.paces import run, time_taken

ROWS, COLUMNS, TOL = 1_600, 4, 1e-7
ALPHA = 0.03


def rows(kind: str) -> tuple[Array, Array]:
    """Return rows whose blocks differ, so that their own fits do."""
    random = np.random.default_rng(3)
    X = random.normal(size=(ROWS, COLUMNS))
    X += np.repeat(random.normal(size=(8, COLUMNS)), ROWS // 8, axis=0)
    eta = X @ np.linspace(-1, 1, COLUMNS) + 0.3
    if kind == "lasso":
        return X, eta + random.normal(size=ROWS)
    return X, (random.random(ROWS) < 1 / (1 + np.exp(-eta))).astype(float)


def problem(kind: str, tol: float = TOL) -> tuple[Admm, list[Leaf]]:
    """Return a solver and eight leaves."""
    X, y = rows(kind)
    loss = SquaredLoss() if kind == "lasso" else LogisticLoss()
    price = ElasticNet(l1=ALPHA) if kind == "lasso" else ElasticNet(l2=ALPHA)
    objective = Objective(loss, price, Target(), X.mean(axis=0), X.std(axis=0))
    nothing = np.zeros(objective.shape)
    parts = [slice(low, low + ROWS // 8) for low in range(0, ROWS, ROWS // 8)]
    leaves = [Leaf(n, [Block(X[part], y[part], None)]) for n, part in enumerate(parts)]
    return Admm(objective, Start(nothing, nothing, np.inf), tol, 400), leaves


def exact(kind: str) -> Array:
    """Return coefficients and intercept by scikit-learn."""
    X, y = rows(kind)
    if kind == "lasso":
        model: Any = Lasso(alpha=ALPHA, tol=1e-12, max_iter=100_000)
    else:
        model = SklearnLogisticRegression(C=1 / (ALPHA * ROWS), solver="newton-cholesky", tol=1e-12)
    model.fit(X, y)
    return np.append(model.coef_, model.intercept_)


class Sites:
    """Four of them with two leaves each, of which some may forget what lies beside their rows."""

    def __init__(
        self,
        kind: str,
        tol: float = TOL,
        forgets: Callable[[int, int], bool] = lambda number, site: False,
    ) -> None:
        self.solver, leaves = problem(kind, tol)
        self.leaves = [leaves[low : low + 2] for low in range(0, len(leaves), 2)]
        self.forgets = forgets
        self.asked: list[list[LocalAsk]] = [[] for _ in self.leaves]
        self.answers = 0

    def answer(self, site: int, order: Order) -> Push:
        if len(order.ask.live) == 2:
            self.asked[site].append(order.ask.asks[1])
        self.answers += 1
        if self.forgets(self.answers, site):
            for leaf in self.leaves[site]:
                leaf.memory.clear()
        packed = pack(summarise_leaves(self.leaves[site], self.solver.fold, order.ask))
        return Push(order.round, order.clock, packed)

    def run(self, staleness: int, seed: int, state: Any = None) -> Any:
        with one_blas_thread():
            return run(self.solver, self.answer, staleness, seed, state)[0]


def plainly(kind: str) -> Any:
    solver, leaves = problem(kind)
    state = solver.init()
    with one_blas_thread():
        while not solver.done(state):
            nodes = summarise_leaves(leaves, solver.fold, solver.ask(state))
            state = solver.step(state, root(join([nodes], solver.fold), solver.fold))
    return state


def assert_same(one: Any, other: Any) -> None:
    for left, right in zip(one, other, strict=True):
        np.testing.assert_array_equal(left, right)


def test_without_staleness_the_steps_are_those_of_a_plain_loop() -> None:
    assert_same(Sites("ridge").run(0, 0), plainly("ridge"))


@pytest.mark.parametrize("staleness", [1, 3])
@pytest.mark.parametrize("kind", ["ridge", "lasso"])
def test_leaves_that_come_late_end_at_the_minimum(kind: str, staleness: int) -> None:
    for seed in range(2):
        sites = Sites(kind)
        state = sites.run(staleness, seed)
        assert state.converged
        coef, intercept = sites.solver.objective.coefficients(state.theta)
        np.testing.assert_allclose(np.append(coef, intercept), exact(kind), rtol=0, atol=2e-6)
        newest = [{ask.points[-1].tobytes() for ask in asked} for asked in sites.asked]
        assert set.union(*newest) > set.intersection(*newest), "they were at different points"


def test_a_leaf_is_asked_about_what_it_has_seen_and_one_point_more() -> None:
    sites = Sites("ridge")
    sites.run(3, 0)
    for asked in sites.asked:
        for before, now in pairwise(asked):
            if len(now.points) > 2:
                np.testing.assert_array_equal(now.points[:-1], before.points)
                assert now.stiffness == before.stiffness


def test_rounds_begin_together_and_are_hardly_longer_than_without_staleness() -> None:
    sites = Sites("ridge")
    sites.run(3, 1)
    begun = [[ask for ask in asked if len(ask.points) == 2] for asked in sites.asked]
    assert len(begun[0]) >= 2, "a round and more"
    for asked in begun[1:]:
        for one, other in zip(begun[0], asked, strict=True):
            np.testing.assert_array_equal(one.points, other.points)
            assert one.stiffness == other.stiffness
    longest = max(len(ask.points) for asked in sites.asked for ask in asked)
    assert longest <= ROUND + 1 + 3, "those of a loop, and of answers ahead that came to nothing"


def test_duals_that_are_lost_under_staleness_are_rebuilt_with_the_same_bits() -> None:
    kept = Sites("lasso", 1e-4).run(2, 0)
    assert kept.n_passes > ROUND + 1, "a round and more"
    for forgets in (lambda number, site: True, lambda number, site: (number + site) % 3 == 0):
        assert_same(Sites("lasso", 1e-4, forgets).run(2, 0), kept)


def test_a_new_server_goes_on_in_the_middle_of_a_round() -> None:
    sites = Sites("ridge")
    clocks = Clocks(sites.solver, sites.solver.init(), len(sites.leaves), 2)
    while len((state := clocks.tell().state).points) < ROUND // 2:
        for site in range(len(sites.leaves)):
            order = clocks.order(site)
            if order is not None:
                clocks.push(site, sites.answer(site, order))
    end = Sites("ridge").run(2, 0, state)
    assert end.converged
    coef, intercept = sites.solver.objective.coefficients(end.theta)
    np.testing.assert_allclose(np.append(coef, intercept), exact("ridge"), rtol=0, atol=2e-6)


@pytest.mark.parametrize("seed", range(2))
def test_staleness_gains_a_tenth_where_workers_are_slowed_down(seed: int) -> None:
    def taken(staleness: int) -> tuple[float, int]:
        solver, leaves = problem("ridge")
        return time_taken(solver, leaves, solver.done, staleness, seed)

    with one_blas_thread():
        (together, clocks), (stale, stale_clocks) = taken(0), taken(3)
    assert together >= 1.1 * stale
    assert stale_clocks <= 1.5 * clocks


def test_plans_measure_the_longest_ask() -> None:
    sites = Sites("ridge")
    sites.run(0, 0)
    longest = max(len(pickle.dumps(ask)) for asked in sites.asked for ask in asked)
    stage = flowml.plan(LogisticRegression(solver="admm"), *rows("ridge")).stages[-1]
    assert longest == len(pickle.dumps(stage.ask.asks[1]))


@pytest.mark.parametrize("l1_ratio", [0.0, 1.0])
def test_on_a_cluster_it_comes_to_the_same_model(client: Client, l1_ratio: float) -> None:
    X, y = rows("ridge")
    lazy = da.from_array(X, chunks=(200, -1)), da.from_array(y, chunks=200)

    def fitted() -> LogisticRegression:
        return LogisticRegression(C=0.02, l1_ratio=l1_ratio, solver="admm", tol=1e-7).fit(*lazy)

    plain = fitted()
    with flowml.config_context(runtime="parameter_server", staleness=2):
        stale = fitted()
    assert stale.solver_used_ == "admm"
    np.testing.assert_allclose(stale.coef_, plain.coef_, rtol=0, atol=1e-6)
    np.testing.assert_allclose(stale.intercept_, plain.intercept_, rtol=0, atol=1e-6)
