"""A state cut by columns: ranges step as the whole does, to the bit, with the totals of all."""

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pytest
import scipy.sparse as sp

from flowml.kernels.column_moments import COLUMN_MOMENTS
from flowml.kernels.linear_loss import Target
from flowml.kernels.rows import Array, Block
from flowml.kernels.several import Asks, Summaries
from flowml.kernels.stored_weights import STORED_WEIGHTS
from flowml.losses.each_class import EachClassLoss
from flowml.losses.logistic import LogisticLoss
from flowml.losses.loss import Loss
from flowml.losses.squared import SquaredLoss
from flowml.penalties.elastic_net import ElasticNet
from flowml.runtimes.columns import Columns, cut, joined
from flowml.runtimes.shard import Leaf, summarise_leaves
from flowml.runtimes.tree import root
from flowml.solvers.column_totals import BLOCK, block_sums, combined
from flowml.solvers.objective import Objective
from flowml.solvers.sgd import Schedule, Sgd, SgdState

ROWS, COLUMNS, CHUNK, PASSES = 600, 5 * BLOCK + 1, 200, 8


class Case(NamedTuple):
    """A descent whose state takes some turn."""

    loss: Loss
    penalty: ElasticNet
    schedule: Schedule


CASES = {
    "mean of the steps": Case(
        SquaredLoss(), ElasticNet(l2=1e-2), Schedule(1e-2, 0.5, False, 5, True, 0)
    ),
    "last step": Case(
        SquaredLoss(), ElasticNet(1e-2, 1e-2), Schedule(1e-2, 0.5, False, 5, False, 0, local=2)
    ),
    "several outputs": Case(
        EachClassLoss(LogisticLoss(), 3), ElasticNet(l1=1e-3), Schedule(0.1, 0.5, False, 5, True, 0)
    ),
    "restarts": Case(SquaredLoss(), ElasticNet(l2=1e-2), Schedule(20.0, 0.0, False, 5, True, 0)),
    "shorter steps": Case(SquaredLoss(), ElasticNet(), Schedule(1e-14, 0.0, True, 1, False, 0)),
}


def descent(case: Case) -> tuple[Sgd, list[Leaf]]:
    random = np.random.default_rng(0)
    X = sp.random_array((ROWS, COLUMNS), density=0.01, format="csr", random_state=random)
    score = X @ random.normal(size=COLUMNS) + 0.5 * random.normal(size=ROWS)
    y = score + 2 if case.loss.n_outputs == 1 else np.digitize(score, [-1.0, 1.0]).astype(float)
    counts, moments = (fold(None, [Block(X, y)], {}) for fold in (STORED_WEIGHTS, COLUMN_MOMENTS))
    deviation = np.sqrt(moments.scatter / moments.weight)
    scale = np.where(deviation > 0, deviation, 1.0)
    objective = Objective(case.loss, case.penalty, Target(), moments.mean, scale)
    start = 0.01 * random.normal(size=objective.shape)
    leaves = [
        Leaf(number, [Block(X[low : low + CHUNK], y[low : low + CHUNK], None, low)])
        for number, low in enumerate(range(0, ROWS, CHUNK))
    ]
    return Sgd(objective, start, 1e-9, 99, case.schedule, counts.stored / counts.weight), leaves


def summarised(solver: Sgd, leaves: list[Leaf], ask: Asks) -> Summaries:
    summary: Summaries = root(summarise_leaves(leaves, solver.fold, ask), solver.fold)
    return summary


def any_ranges(random: np.random.Generator) -> list[Columns]:
    blocks = np.sort(random.choice(np.arange(1, 6), random.integers(0, 6), replace=False))
    ends = [0, *(BLOCK * int(block) for block in blocks), COLUMNS]
    return [Columns(np.arange(low, high), COLUMNS) for low, high in pairwise(ends)]


def assert_same(one: Any, other: Any) -> None:
    if isinstance(one, tuple):
        for left, right in zip(one, other, strict=True):
            assert_same(left, right)
    elif isinstance(one, np.ndarray):
        np.testing.assert_array_equal(one, other)
    else:
        assert one == other or one is other


def stepped(solver: Sgd, state: SgdState, summary: Summaries, ranges: list[Columns]) -> SgdState:
    """Step each range by itself, and put the states together."""
    names = solver.along_columns
    solvers, states, parts = (
        [cut(value, names, some) for some in ranges] for value in (solver, state, summary)
    )
    pieces = list(zip(solvers, states, parts, strict=True))
    totals = combined([one.totals(at, part) for one, at, part in pieces])
    after = [one.step_with(at, part, totals) for one, at, part in pieces]
    whole: SgdState = joined(after, names, ranges)
    return whole


@pytest.mark.parametrize("name", CASES)
def test_ranges_step_as_the_whole_does(name: str) -> None:
    solver, leaves = descent(CASES[name])
    random = np.random.default_rng(1)
    state, shortest = solver.init(), 1.0
    for _ in range(PASSES):
        ask = solver.ask(state)
        summary = summarised(solver, leaves, ask)
        whole = solver.step(state, summary)
        for _ in range(3):
            ranges = any_ranges(random)
            assert_same(stepped(solver, state, summary, ranges), whole)
            names = solver.along_columns
            asks = [cut(solver, names, some).ask(cut(state, names, some)) for some in ranges]
            assert_same(arrays_of(joined(asks, names, ranges)), arrays_of(ask))
        state, shortest = whole, min(shortest, whole.length)
    assert state.n_passes == PASSES
    assert (state.n_iter < PASSES) == (name == "restarts")
    assert (shortest < 1.0) == (name in ("restarts", "shorter steps"))


def test_ranges_follow_and_take_as_the_whole_does() -> None:
    solver, leaves = descent(CASES["several outputs"])
    state = solver.init()
    first = summarised(solver, leaves, solver.ask(state))
    then = summarised(solver, leaves, solver.ask(solver.step(state, first)))
    names, ranges = solver.along_columns, any_ranges(np.random.default_rng(3))
    for act, given in ((solver.follow, (first, then)), (solver.taken, (first,))):
        parts = [act(*(cut(one, names, some) for one in given)) for some in ranges]
        assert_same(joined(parts, names, ranges), act(*given))


def test_what_columns_add_at_their_center_is_their_product_with_it() -> None:
    solver, leaves = descent(CASES["several outputs"])
    state = solver.init()
    for _ in range(3):
        state = solver.step(state, summarised(solver, leaves, solver.ask(state)))
    slant = solver.objective.center / solver.objective.scale
    for theta, at in ((state.theta, state.at_theta), (state.last, state.at_last)):
        np.testing.assert_allclose(at, theta[:, :-1] @ slant, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(state.square, slant @ slant, rtol=1e-14)


def test_sums_of_blocks_do_not_depend_on_what_is_beside_them() -> None:
    values: Array = np.random.default_rng(0).normal(size=(2, 3, 4 * BLOCK + 7))
    whole = block_sums(values)
    assert whole.shape == (2, 3, 5)
    for low in range(4):
        np.testing.assert_array_equal(block_sums(values[..., low * BLOCK :]), whole[..., low:])
        one = values[1, 2, low * BLOCK : (low + 1) * BLOCK].copy()
        np.testing.assert_array_equal(block_sums(one), whole[1, 2, [low]])


def arrays_of(ask: Asks) -> tuple[Any, ...]:
    """Return what of an ask can be compared."""
    point, epoch = ask.asks
    price = epoch.penalty
    return (
        (point.coef, point.intercept, point.center),
        epoch._replace(point=None, penalty=(price.l1, price.l2, price.lower, price.upper)),
    )
