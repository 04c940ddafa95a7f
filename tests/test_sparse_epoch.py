"""Epochs over CSR rows: those of the dense where nothing is left out, the same minimum else."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.linear_model import Ridge

from flowml.kernels.column_moments import COLUMN_MOMENTS
from flowml.kernels.linear_loss import Point, Target
from flowml.kernels.rows import Block, rows_of
from flowml.kernels.sparse_epoch import Lean
from flowml.kernels.stochastic import EPOCH, EpochAsk, Lengths
from flowml.kernels.stored_weights import STORED_WEIGHTS, StoredWeights
from flowml.losses.logistic import LogisticLoss
from flowml.losses.multinomial import MultinomialLoss
from flowml.losses.squared import SquaredLoss
from flowml.penalties.elastic_net import ElasticNet
from flowml.runtimes.shard import Leaf, summarise_leaves
from flowml.runtimes.tree import root
from flowml.solvers.objective import Objective
from flowml.solvers.sgd import Schedule, Sgd

ROWS, COLUMNS = 500, 12


def rows(density: float) -> Block:
    random = np.random.default_rng(0)
    X = sp.random_array((ROWS, COLUMNS), density=density, format="csr", random_state=random)
    y, weight = random.integers(0, 3, ROWS).astype(float), random.uniform(0.5, 2.0, ROWS)
    return Block(X, y, weight, 7)


def lean(ask: EpochAsk, counts: StoredWeights) -> Lean:
    slant = ask.point.center / ask.scale
    return Lean(counts.stored / counts.weight, slant, slant @ slant, ask.start[:, :-1] @ slant)


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize(
    ("density", "penalty"), [(0.2, ElasticNet()), (1.0, ElasticNet(l1=1e-2, l2=1e-1))]
)
def test_an_epoch_is_that_of_the_dense_rows(
    outputs: int, density: float, penalty: ElasticNet
) -> None:
    block = rows(density)
    if outputs == 1:
        block = block._replace(y=(block.y > 0).astype(float))
    if density == 1.0:  # a step's share of a column's price is that of its rows' weights
        block = block._replace(weight=None)
    random = np.random.default_rng(1)
    nothing, center = np.zeros((outputs, COLUMNS)), random.normal(size=COLUMNS)
    loss = LogisticLoss() if outputs == 1 else MultinomialLoss(3)
    point = Point(loss, Target(), nothing, nothing[:, 0], center)
    scale, start = random.uniform(0.5, 2.0, COLUMNS), random.normal(size=(outputs, COLUMNS + 1))
    free = np.ones(start.shape, dtype=bool)
    ask = EpochAsk(point, scale, free, start, penalty, Lengths(0.05, 1, 0.5), 3, 2)
    counts = STORED_WEIGHTS(None, [block], {})
    dense = EPOCH(ask, [block._replace(X=block.X.toarray())], {})
    sparse = EPOCH(ask._replace(lean=lean(ask, counts)), [block], {})
    slant = np.append(center / scale, 0.0)
    assert sparse.weight == dense.weight
    moved = sparse.move[:, :-1] + sparse.move[:, -1:] * slant
    mean = sparse.mean[:, :-1] + sparse.mean[:, -1:] * slant + sparse.weight * start
    np.testing.assert_allclose(moved, dense.move, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(mean, dense.mean, rtol=1e-9, atol=1e-9)


def test_columns_that_no_row_stores_stay() -> None:
    block = rows(0.2)
    X = block.X.tolil()
    X[:, [3, 8]] = 0.0
    block = block._replace(X=sp.csr_array(X), y=(block.y > 0).astype(float))
    counts = STORED_WEIGHTS(None, [block], {})
    nothing, center = np.zeros((1, COLUMNS)), np.ones(COLUMNS)
    start = np.ones((1, COLUMNS + 1))
    ask = EpochAsk(
        Point(LogisticLoss(), Target(), nothing, nothing[:, 0], center),
        np.ones(COLUMNS),
        start > 0,
        start,
        ElasticNet(l1=1e-2, l2=1e-2),
        Lengths(0.1, 0, 0.5),
        3,
    )
    found = EPOCH(ask._replace(lean=lean(ask, counts)), [block], {})
    for led in (found.move, found.mean):
        assert np.flatnonzero(led[0, :COLUMNS] == 0).tolist() == [3, 8]


def test_leaves_that_store_other_columns_find_the_common_minimum() -> None:
    """Each row's part of the penalty makes up for rows that have none of it."""
    random = np.random.default_rng(2)
    X = sp.random_array((8_000, 60), density=0.1, format="lil", random_state=random)
    X[:4_000, :20] = 0.0
    X[6_000:, 40:] = 0.0
    X = sp.csr_array(X)
    y = X @ random.normal(size=60) * 3 + 2 + random.normal(size=8_000)
    weight = random.uniform(0.5, 2.0, 8_000)
    exact = Ridge(0.05 * weight.sum(), solver="sparse_cg", tol=1e-10).fit(X, y, weight)
    cuts = [slice(low, low + 1_000) for low in range(0, 8_000, 1_000)]
    leaves = [
        Leaf(number, [Block(rows_of(X, cut), y[cut], weight[cut], cut.start)])
        for number, cut in enumerate(cuts)
    ]
    counts = STORED_WEIGHTS(None, [Block(X, y, weight)], {})
    moments = COLUMN_MOMENTS(None, [Block(X, y, weight)], {})
    scale = np.sqrt(moments.scatter / moments.weight)
    objective = Objective(SquaredLoss(), ElasticNet(l2=0.05), Target(), moments.mean, scale)
    schedule = Schedule(0.1, 0.5, False, 10, True, 0)
    share = counts.stored / counts.weight
    solver = Sgd(objective, np.zeros(objective.shape), 1e-6, 300, schedule, share)
    state = solver.init()
    while not solver.done(state):
        nodes = summarise_leaves(leaves, solver.fold, solver.ask(state))
        state = solver.step(state, root(nodes, solver.fold))

    def cost(coef: np.ndarray, intercept: float) -> float:
        error = np.average((y - X @ coef - intercept) ** 2, weights=weight)
        return float(error / 2 + 0.025 * coef @ coef)

    coef, intercept = objective.coefficients(state.theta)
    least = cost(exact.coef_, exact.intercept_)
    assert cost(coef[0], intercept[0]) <= least * (1 + 1e-4)
    np.testing.assert_allclose(state.value, cost(coef[0], intercept[0]), rtol=1e-3)
