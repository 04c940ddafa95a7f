"""Block coordinate descent where parts of the gradient are missing: what stays, falls and ends."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowml.codes.directional_derivative import DirectionalDerivativeCode
from flowml.kernels.linear_loss import LOSS_GRADIENT, LossSums, Target
from flowml.kernels.rows import Block
from flowml.losses.logistic import LogisticLoss
from flowml.losses.loss import Loss
from flowml.losses.multinomial import MultinomialLoss
from flowml.penalties.elastic_net import ElasticNet
from flowml.solvers.block_descent import MOST_UNSEEN, BlockDescent, BlockDescentState
from flowml.solvers.fista import Fista
from flowml.solvers.in_memory import solve_in_memory
from flowml.solvers.newton import Newton
from flowml.solvers.objective import Objective, Start

ROWS, FEATURES, BLOCKS = 400, 12, 6
Array = np.ndarray[Any, Any]
Missing = Callable[[], Array]
"""Draws which columns' slopes don't come in a pass."""
PENALTIES = {"ridge": ElasticNet(l2=0.02), "elastic net": ElasticNet(l1=0.02, l2=0.01)}
LOSSES: dict[str, Loss] = {"logistic": LogisticLoss(), "multinomial": MultinomialLoss(3)}


def problem(loss: str = "logistic", penalty: str = "ridge") -> tuple[Objective, Block]:
    """Return an objective and its rows: columns of unlike units that have something in common."""
    random = np.random.default_rng(0)
    X = random.normal(size=(ROWS, FEATURES)) + 0.5 * random.normal(size=(ROWS, 1))
    X = X * np.geomspace(0.1, 10.0, FEATURES) + random.normal(size=FEATURES)
    scale, n_classes = X.std(axis=0), 2 if loss == "logistic" else 3
    scores = (X - X.mean(axis=0)) / scale @ random.normal(size=(FEATURES, n_classes))
    y = (scores + random.gumbel(size=scores.shape)).argmax(axis=1).astype(np.float64)
    objective = Objective(LOSSES[loss], PENALTIES[penalty], Target(), X.mean(axis=0), scale)
    return objective, Block(X, y, None)


def make(objective: Objective, tol: float = 1e-8, max_passes: int = 5_000) -> BlockDescent:
    nothing = np.zeros(objective.shape)
    return BlockDescent(objective, Start(nothing, nothing, np.inf), tol, max_passes)


def without(sums: LossSums, missing: Array) -> LossSums:
    gradient = sums.gradient.copy()
    gradient[:, :-1][:, missing] = np.nan
    return sums._replace(gradient=gradient)


def columns_of(blocks: Array) -> Array:
    return np.repeat(blocks, FEATURES // BLOCKS)


def descend(solver: BlockDescent, rows: Block, missing: Missing) -> list[BlockDescentState]:
    """Return all states of a descent whose passes leave out what they may."""
    states = [solver.init()]
    while not solver.done(states[-1]):
        sums = solver.fold(solver.ask(states[-1]), [rows], {})
        if solver.takes_missing(states[-1]):
            sums = without(sums, missing())
        states.append(solver.step(states[-1], sums))
    return states


def draws(kind: str, seed: int = 0) -> Missing:
    """Return a pattern of what is missing: a share at random, always the same, all, nothing."""
    random = np.random.default_rng(seed)
    always = np.arange(BLOCKS) % 3 == 0
    patterns = {
        "at random": lambda: random.random(BLOCKS) < 0.4,
        "the same": lambda: always,
        "all": lambda: np.ones(BLOCKS, dtype=bool),
        "nothing": lambda: np.zeros(BLOCKS, dtype=bool),
    }
    return lambda: columns_of(patterns[kind]())


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("kind", ["at random", "the same", "all", "nothing"])
def test_the_limit_is_the_minimum(kind: str, loss: str, penalty: str) -> None:
    objective, rows = problem(loss, penalty)
    nothing = np.zeros(objective.shape)
    peer = Newton if penalty == "ridge" else Fista
    reference = peer(objective, Start(nothing, nothing, np.inf), 1e-10, 10_000)
    expected, _ = solve_in_memory(reference, [rows])
    assert expected.converged
    states = descend(make(objective), rows, draws(kind))
    assert states[-1].converged
    np.testing.assert_allclose(states[-1].theta, expected.theta, atol=1e-6)
    np.testing.assert_array_equal(states[-1].theta == 0.0, expected.theta == 0.0)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), penalty=st.sampled_from(list(PENALTIES)))
def test_what_is_missing_stays_and_the_objective_never_rises(seed: int, penalty: str) -> None:
    objective, rows = problem(penalty=penalty)
    solver, random = make(objective, tol=1e-6), np.random.default_rng(seed)
    state = solver.init()
    for _ in range(40):
        missing = columns_of(random.random(BLOCKS) < random.random())
        missing &= solver.takes_missing(state)
        sums = without(solver.fold(solver.ask(state), [rows], {}), missing)
        after = solver.step(state, sums)
        if after.n_iter > state.n_iter:  # else the step before is made again, shorter
            assert (after.tried[:, :-1][:, missing] == after.theta[:, :-1][:, missing]).all()
        else:
            np.testing.assert_array_equal(after.theta, state.theta)
            stays = state.tried == state.theta
            assert (after.tried == after.theta)[stays].all()
        assert after.value <= state.value * (1.0 + 1e-12)
        state = after
        if solver.done(state):
            break


def test_only_a_whole_pass_ends_the_descent() -> None:
    objective, rows = problem()
    solver = make(objective, tol=1e-6)
    end = descend(solver, rows, draws("nothing"))[-1]
    there = solver.init()._replace(tried=end.theta)
    whole = solver.fold(solver.ask(there), [rows], {})
    before = solver.step(there, whole)
    assert before.converged
    partial = solver.step(there, without(whole, draws("the same")()))
    assert not solver.done(partial)
    assert not solver.takes_missing(there)
    assert not solver.takes_missing(solver.step(before._replace(tried=end.theta), whole))


def test_nothing_is_left_out_for_ever() -> None:
    objective, rows = problem()
    solver = make(objective)
    states = descend(solver, rows, draws("the same"))
    assert max(state.unseen.max() for state in states) == MOST_UNSEEN
    moved = [np.flatnonzero(a.theta[0] != b.theta[0]) for a, b in pairwise(states)]
    last = dict.fromkeys(range(FEATURES), 0)
    accepted = [where for where in moved[1:] if len(where)]
    for number, where in enumerate(accepted):
        for column in where:
            assert number - last.get(column, number) <= MOST_UNSEEN + 1
            last[column] = number


def test_passes_are_few_where_columns_are_well_conditioned() -> None:
    random = np.random.default_rng(1)
    X = random.normal(size=(2_000, 40))
    y = (X @ random.normal(size=40) + random.logistic(size=2_000) > 0).astype(np.float64)
    for penalty in PENALTIES.values():
        objective = Objective(LogisticLoss(), penalty, Target(), X.mean(axis=0), X.std(axis=0))
        state, n_passes = solve_in_memory(make(objective, tol=1e-6), [Block(X, y, None)])
        assert state.converged
        assert n_passes <= 30


def test_steps_along_blocks_as_a_code_frees_them() -> None:
    """Workers are missing at random, more than the parities make up for."""
    objective, rows = problem()
    code = DirectionalDerivativeCode(6, BLOCKS, FEATURES, weight=3, seed=1)
    encoded = [code.encode(rows.X, worker) for worker in range(code.n_workers)]
    random, solver = np.random.default_rng(0), make(objective, tol=1e-7)
    state, n_partial = solver.init(), 0
    while not solver.done(state):
        point = solver.ask(state)
        exact = LOSS_GRADIENT(point, [rows], {})
        eta = rows.X @ point.coef[0] + point.intercept
        residual = point.loss.derivatives(rows.y, eta).gradient
        decoder = code.decoder()
        n_here = 3 if solver.takes_missing(state) else code.n_workers
        for worker in random.permutation(code.n_workers)[:n_here]:
            decoder.add(worker, code.derivatives(encoded[worker], residual, worker))
        gradient = np.append(decoder.finish().sum - residual.sum() * point.center, residual.sum())
        for block in decoder.missing:
            gradient[code.coordinates(block)] = np.nan
        seen = np.isfinite(gradient)
        np.testing.assert_allclose(gradient[seen], exact.gradient[0, seen], rtol=1e-9, atol=1e-9)
        n_partial += not seen.all()
        state = solver.step(state, exact._replace(gradient=gradient[np.newaxis]))
    assert state.converged
    assert n_partial > 5
    expected = descend(make(objective, tol=1e-9), rows, draws("nothing"))[-1]
    np.testing.assert_allclose(state.theta, expected.theta, atol=1e-6)
