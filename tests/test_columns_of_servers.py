"""Wide sparse rows and a parameter server: members pull and push the columns that theirs store."""

import pickle
from typing import Any

import dask.array as da
import numpy as np
import pytest
import scipy.sparse as sp
from distributed import Client

import flowml
from flowml.kernels.column_moments import COLUMN_MOMENTS
from flowml.kernels.linear_loss import Target
from flowml.kernels.rows import Block, rows_of
from flowml.kernels.stored_weights import STORED_WEIGHTS
from flowml.linear_model import SGDClassifier, SGDRegressor
from flowml.losses.squared import SquaredLoss
from flowml.penalties.elastic_net import ElasticNet
from flowml.runtimes.columns import cut, spread, stored_columns
from flowml.runtimes.packed import pack
from flowml.runtimes.parameter_server.clocks import Clocks, Join, Push
from flowml.runtimes.shard import Leaf, summarise_leaves
from flowml.solvers.objective import Objective
from flowml.solvers.sgd import Schedule, Sgd
from flowml.testing import Faults, assert_clean

ROWS, COLUMNS, CHUNK, WORKERS = 6_000, 20_000, 500, 2


def one_chunk(number: int) -> Any:
    """Rows of a few common columns, and of rare ones that depend on the chunk."""
    random = np.random.default_rng(number)
    common = random.integers(0, 50, (CHUNK, 3))
    rare = (random.integers(0, 2_500, (CHUNK, 4)) + 1_500 * number) % COLUMNS
    X = sp.lil_array((CHUNK, COLUMNS))
    for row, columns in enumerate(np.column_stack([common, rare])):
        X[row, columns] = 1.0
    return sp.csr_array(X)


def rows() -> tuple[Any, Any]:
    chunks = [one_chunk(number) for number in range(ROWS // CHUNK)]
    X = sp.vstack(chunks, format="csr")
    coef = np.zeros(COLUMNS)
    coef[:50] = np.linspace(-2, 2, 50)
    noise = np.random.default_rng(99).normal(size=ROWS)
    return X, X @ coef + 1 + 0.5 * noise


def lazy() -> tuple[Any, Any]:
    X, y = rows()
    cuts = range(0, ROWS, CHUNK)
    blocks = [
        da.from_array(X[low : low + CHUNK], chunks=(CHUNK, COLUMNS), asarray=False) for low in cuts
    ]
    return da.concatenate(blocks), da.from_array(y, chunks=CHUNK)


def make(kind: str) -> Any:
    if kind == "regression":
        return SGDRegressor(random_state=0, max_iter=8, tol=1e-9)
    return SGDClassifier("log_loss", random_state=0, max_iter=8, tol=1e-9)


def target(y: Any, kind: str) -> Any:
    if kind == "regression":
        return y
    return (y > 1).astype(int) + (y > 3 if kind == "three classes" else 0)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("kind", ["regression", "two classes", "three classes"])
def test_some_columns_give_the_bits_of_all(client: Client, kind: str) -> None:
    X, y = lazy()
    one = make(kind).fit(X, target(y, kind))
    with flowml.config_context(runtime="parameter_server"):
        other = make(kind).fit(X, target(y, kind))
    np.testing.assert_array_equal(one.coef_, other.coef_)
    np.testing.assert_array_equal(one.intercept_, other.intercept_)
    assert one.n_passes_ == other.n_passes_


def descent() -> tuple[Sgd, list[list[Leaf]]]:
    """Return a solver, and the leaves of two sites."""
    X, y = rows()
    block = Block(X, y)
    counts, moments = STORED_WEIGHTS(None, [block], {}), COLUMN_MOMENTS(None, [block], {})
    deviation = np.sqrt(moments.scatter / moments.weight)
    scale = np.where(deviation > 0, deviation, 1.0)
    objective = Objective(SquaredLoss(), ElasticNet(l2=1e-3), Target(), moments.mean, scale)
    schedule = Schedule(1e-3, 0.5, False, 5, True, 0)
    start, share = np.zeros(objective.shape), counts.stored / counts.weight
    leaves = [
        Leaf(number, [Block(rows_of(X, part), y[part], None, part.start)])
        for number, low in enumerate(range(0, ROWS, CHUNK))
        for part in [slice(low, low + CHUNK)]
    ]
    return Sgd(objective, start, 1e-9, 6, schedule, share), [leaves[:8], leaves[8:]]


def run(cuts: bool, staleness: int) -> tuple[Any, int, int]:
    """Return the state that all clocks lead to, and the bytes of orders and pushes."""
    solver, sites = descent()
    clocks = Clocks(solver, solver.init(), len(sites), staleness)
    names, down, up = solver.along_columns, 0, 0
    columns = [stored_columns(leaves) if cuts else None for leaves in sites]
    for number, some in enumerate(columns):
        clocks.join(number, Join(some))
    while not clocks.over:
        for number, (leaves, some) in enumerate(zip(sites, columns, strict=True)):
            order = clocks.order(number)
            if order is None:
                continue
            down += len(pickle.dumps(order, 5))
            ask = order.ask if some is None else spread(order.ask, names, some)
            nodes = summarise_leaves(leaves, solver.fold, ask)
            if some is not None:
                nodes = {node: cut(summary, names, some) for node, summary in nodes.items()}
            packed = pack(nodes)
            up += packed.data.nbytes
            clocks.push(number, Push(order.round, order.clock, packed))
    return clocks.tell().state, down, up


@pytest.mark.parametrize("staleness", [0, 2])
def test_what_travels_shrinks_to_the_stored_columns(staleness: int) -> None:
    whole, down, up = run(False, staleness)
    some, fewer_down, fewer_up = run(True, staleness)
    for one, other in zip(whole, some, strict=True):
        np.testing.assert_array_equal(one, other)
    _, sites = descent()
    stored = [stored_columns(leaves) for leaves in sites]
    share = sum(len(one.places) for one in stored if one is not None) / (2 * COLUMNS)
    assert 0.2 < share < 0.7
    assert fewer_down < (share + 0.05) * down
    assert fewer_up < (share + 0.15) * up, "the site of more subtrees may store more columns"


def test_rows_that_store_nearly_all_columns_travel_whole() -> None:
    X = sp.csr_array(np.ones((5, 3)))
    assert stored_columns([Leaf(0, [Block(X)])]) is None
    assert stored_columns([Leaf(0, [Block(X.toarray())])]) is None
    assert stored_columns([Leaf(0, [Block(sp.csr_array((5, 3)))])]) is None
    assert stored_columns([]) is None


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_server_that_is_killed_is_made_again_with_its_members_columns(
    faults: Faults,
) -> None:
    X, y = lazy()
    undisturbed = make("regression").set_params(max_iter=40).fit(X, y)
    with Client(faults.cluster) as running:
        serves = min(faults.workers)
        strike = faults.at("pass 3", faults.kill, serves)
        with flowml.config_context(client=running, runtime="parameter_server", callbacks=[strike]):
            model = make("regression").set_params(max_iter=40).fit(X, y)
        assert strike.happened
        assert_clean(running, within=10)
    np.testing.assert_array_equal(model.coef_, undisturbed.coef_)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_with_staleness_they_come_as_near(client: Client) -> None:
    X, y = rows()
    here, target_rows = lazy()
    with flowml.config_context(runtime="parameter_server", staleness=2):
        stale = SGDRegressor(random_state=0, alpha=1e-3, max_iter=20).fit(here, target_rows)
    plain = SGDRegressor(random_state=0, alpha=1e-3, max_iter=20).fit(here, target_rows)
    errors = [np.square(y - model.predict(X)).mean() for model in (stale, plain)]
    assert errors[0] <= 1.02 * errors[1]
