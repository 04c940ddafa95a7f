"""Servers that have a range of the columns each: together they do what one does, to the bit."""

import pickle
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

import dask.array as da
import numpy as np
import pytest
import scipy.sparse as sp
from distributed import Client

import flowml
from flowml.drive.events import Incident
from flowml.linear_model import SGDClassifier, SGDRegressor
from flowml.runtimes.columns import cut, joined, stored_columns
from flowml.runtimes.packed import pack
from flowml.runtimes.parameter_server.clocks import Clocks, Join, Order, Push
from flowml.runtimes.parameter_server.holding import Holding
from flowml.runtimes.parameter_server.ranges import Cuts, Range, cut_evenly, cuts_of
from flowml.runtimes.shard import Leaf, summarise_leaves
from flowml.solvers.sgd import Sgd, SgdState
from flowml.testing import Faults, assert_clean
from tests.test_column_totals import CASES, COLUMNS, arrays_of, assert_same, descent

CLOCKS = 7
WIDE, CHUNK = 70_000, 400
"""Columns whose state is for two servers."""
WORKERS = 2
BY_TWO = cut_evenly(COLUMNS, 2)
BY_BLOCK = cut_evenly(COLUMNS, 6)


class Others:
    """Holdings of this process."""

    def __init__(self, holdings: list[Holding]) -> None:
        self.holdings = holdings

    def begin(self, act: Callable[..., Any], *arguments: Any) -> Callable[[], list[Any]]:
        results = [act(holding, *arguments) for holding in self.holdings]
        return lambda: results


class Servers:
    """Clocks whose columns are shared out, and what sites do to them, step by step."""

    def __init__(self, solver: Sgd, leaves: list[Leaf], ranges: tuple[Range, ...], staleness: int):
        names, state = solver.along_columns, solver.init()
        pieces = [[cut(one, names, some.columns) for one in (solver, state)] for some in ranges]
        first, *rest = pieces or [[solver, state]]
        self.solver, self.ranges = solver, ranges
        self.others = [Holding(*piece, len(leaves)) for piece in rest]
        self.clocks = Clocks(*first, len(leaves), staleness, Others(self.others))
        self.sites = [Site(self, number, leaf) for number, leaf in enumerate(leaves)]
        self.turns, self.nbytes = 0, 0

    def state(self) -> SgdState:
        """Return what a client would put together."""
        advance = self.clocks.tell()
        self.turns += len(advance.turns)
        states = [advance.state, *(one.state(self.clocks.told) for one in self.others)]
        columns = [one.columns for one in self.ranges]
        return joined(states, self.solver.along_columns, columns) if columns else states[0]


class Site:
    """Does one thing at a time, at any pace."""

    def __init__(self, servers: Servers, number: int, leaf: Leaf) -> None:
        self.servers, self.number, self.leaf = servers, number, leaf
        names = servers.solver.along_columns
        self.cuts: Cuts = cuts_of(names, servers.ranges, stored_columns([leaf]))
        servers.clocks.join(number, Join(self.cuts.held[0]))
        for other, some in zip(servers.others, self.cuts.held[1:], strict=True):
            other.join(number, some)
        self.order: Order | None = None
        self.ask: Any = None
        self.push: Push | None = None

    def act(self) -> Any:
        """Take an order, fetch the ask, bring summaries or push, whichever is next."""
        clocks, others = self.servers.clocks, self.servers.others
        if self.order is None:
            self.order = clocks.order(self.number)
            self.servers.nbytes += len(pickle.dumps(self.order, 5))
        elif self.ask is None:
            asks = [other.ask(self.number, self.order.version) for other in others]
            self.ask = self.cuts.whole([self.order.ask, *asks])
            return self.ask
        elif self.push is None:
            nodes = summarise_leaves([self.leaf], self.servers.solver.fold, self.ask)
            first, *rest = [pack(piece) for piece in self.cuts.cut(nodes)]
            for other, packed in zip(others, rest, strict=True):
                other.bring(self.number, packed)
            self.push = Push(self.order.round, self.order.clock, first)
        else:
            clocks.push(self.number, self.push)
            self.servers.nbytes += len(pickle.dumps(self.push, 5))
            self.order = self.ask = self.push = None
        return None


@cache
def task(name: str) -> tuple[Sgd, list[Leaf]]:
    """Return a solver of a few passes, and a leaf for each of three sites."""
    solver, leaves = descent(CASES[name])
    return replace(solver, max_epochs=CLOCKS * solver.n_local), leaves


class Run(NamedTuple):
    """What came of a descent: states on the way, all that sites were asked, the largest lead of a
    site, and the bytes that passed the server that leads."""

    states: list[SgdState]
    asks: list[Any]
    lead: int
    nbytes: int


def run(name: str, ranges: tuple[Range, ...], staleness: int, seed: int) -> Run:
    """Let three sites act at random, one nine times as often as another."""
    solver, leaves = task(name)
    servers = Servers(solver, leaves, ranges, staleness)
    random = np.random.default_rng(seed)
    paces = np.array([1.0, 3.0, 9.0])
    states, asks, lead = [], [], 0
    while not servers.clocks.over:
        site = servers.sites[random.choice(3, p=paces / paces.sum())]
        ask = site.act()
        if ask is not None:
            asks.append((site.number, arrays_of(ask)))
        state = servers.state()
        at_work = [one.order.clock for one in servers.sites if one.order is not None]
        lead = max(lead, *(clock - servers.turns for clock in at_work), 0)
        if random.random() < 0.05:
            states.append(state)
    return Run([*states, servers.state()], asks, lead, servers.nbytes)


@cache
def by_one(name: str, staleness: int, seed: int) -> Run:
    return run(name, (), staleness, seed)


@pytest.mark.parametrize("staleness", [0, 2])
@pytest.mark.parametrize("name", CASES)
def test_several_servers_do_what_one_does(name: str, staleness: int) -> None:
    for seed, ranges in enumerate((BY_TWO, BY_BLOCK)):
        wanted, found = by_one(name, staleness, seed), run(name, ranges, staleness, seed)
        for one, other in zip(wanted.states, found.states, strict=True):
            assert_same(one, other)
        for one, other in zip(wanted.asks, found.asks, strict=True):
            assert_same(one, other)
        assert wanted.lead == found.lead <= staleness


def test_sites_run_as_far_ahead_as_they_may() -> None:
    assert max(run("mean of the steps", BY_TWO, 2, seed).lead for seed in range(3)) == 2


def test_its_share_of_the_bytes_passes_a_server() -> None:
    one = run("mean of the steps", (), 2, 0)
    beside = 3_000 * len(one.asks)
    assert one.nbytes > 5 * beside
    for ranges in (BY_TWO, BY_BLOCK):
        share = ranges[0].high / COLUMNS
        several = run("mean of the steps", ranges, 2, 0)
        assert several.nbytes < share * one.nbytes + beside


@cache
def wide_rows() -> tuple[list[Any], Any]:
    """Rows of a few common columns and some of many rare ones, in chunks."""
    random = np.random.default_rng(0)
    chunks = []
    for _ in range(6):
        stored = np.column_stack(
            [random.integers(0, 50, (CHUNK, 3)), random.integers(0, WIDE, (CHUNK, 10))]
        )
        places = np.repeat(np.arange(CHUNK), stored.shape[1]), stored.ravel()
        chunks.append(sp.csr_array((np.ones(stored.size), places), shape=(CHUNK, WIDE)))
    coef = np.zeros(WIDE)
    coef[:50] = np.linspace(-2, 2, 50)
    y = sp.vstack(chunks) @ coef + 1 + 0.5 * random.normal(size=6 * CHUNK)
    return chunks, y


def wide() -> tuple[Any, Any]:
    chunks, y = wide_rows()
    blocks = [da.from_array(one, chunks=one.shape, asarray=False) for one in chunks]
    return da.concatenate(blocks), da.from_array(y, chunks=CHUNK)


def fit(model: Any, data: tuple[Any, Any], **settings: Any) -> tuple[Any, list[str]]:
    """Fit, and return what happened beside."""
    incidents: list[str] = []

    def watch(event: Any) -> None:
        if isinstance(event, Incident):
            incidents.append(event.what)

    callbacks = [watch, *settings.pop("callbacks", [])]
    with flowml.config_context(runtime="parameter_server", callbacks=callbacks, **settings):
        return model.fit(*data), incidents


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("kind", ["regression", "three classes"])
def test_two_servers_give_the_bits_of_any_runtime(client: Client, kind: str) -> None:
    X, y = wide()
    model: Any = SGDRegressor(random_state=0, max_iter=6, tol=1e-9)
    if kind == "three classes":
        model = SGDClassifier("log_loss", random_state=0, max_iter=4, tol=1e-9)
        y = (y > 1).astype(int) + (y > 3)
    served, incidents = fit(model, (X, y))
    assert incidents == ["2 servers share out the 70,000 columns of the state"]
    learned = served.coef_, served.intercept_, served.n_passes_
    plain = model.fit(X, y)
    assert_same(learned, (plain.coef_, plain.intercept_, plain.n_passes_))


def test_the_plan_says_how_many_serve(client: Client) -> None:
    X, y = wide()
    with flowml.config_context(runtime="parameter_server"):
        plan = flowml.plan(SGDRegressor(), X, y)
        narrow = flowml.plan(SGDRegressor(), X[:, :60_000], y)
    assert plan.n_servers == 2
    assert "2 workers have a range of the state's columns each" in str(plan)
    assert narrow.n_servers == 1
    assert flowml.plan(SGDRegressor(), X, y).n_servers == 0


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_with_staleness_two_servers_come_as_near(client: Client) -> None:
    chunks, y = wide_rows()
    X, model = sp.vstack(chunks), SGDRegressor(random_state=0, alpha=1e-3, max_iter=20)

    def objective(fitted: Any) -> float:
        errors = np.square(y - fitted.predict(X)).mean()
        return float(errors / 2 + 1e-3 / 2 * fitted.coef_ @ fitted.coef_)

    stale, _ = fit(model, wide(), staleness=2)
    reached = objective(stale)
    assert reached <= 1.02 * objective(model.fit(*wide()))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    "who", ["the one with a range", pytest.param("the one that leads", marks=pytest.mark.slow)]
)
def test_a_server_that_is_killed_changes_no_bit(faults: Faults, who: str) -> None:
    model = SGDRegressor(random_state=0, max_iter=25, tol=1e-9)
    undisturbed = model.fit(*wide()).coef_
    with Client(faults.cluster) as running:
        serves = (max if who == "the one with a range" else min)(faults.workers)
        strike = faults.at("in pass 3", faults.kill, serves)
        found, incidents = fit(model, wide(), client=running, callbacks=[strike])
        assert strike.happened
        assert_clean(running, within=10)
    np.testing.assert_array_equal(found.coef_, undisturbed)
    assert any("parameter server broke" in what for what in incidents)
