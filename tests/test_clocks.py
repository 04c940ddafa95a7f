"""What a parameter server decides: who may go on, from which state, and when all is done."""

from typing import NamedTuple

import numpy as np
import pytest

from flowml.kernels.fold import Fold
from flowml.kernels.rows import Array
from flowml.runtimes.packed import pack
from flowml.runtimes.parameter_server.clocks import Clocks, Order, Push
from flowml.runtimes.runtime import NonFiniteError
from flowml.solvers.solver import Progress
from tests.paces import SPEEDS, run

N_SITES = len(SPEEDS)


class Sum(NamedTuple):
    """What sites answer."""

    total: Array


def add(left: Sum, right: Sum) -> Sum:
    return Sum(left.total + right.total)


class Walk(NamedTuple):
    """Where the walk is."""

    x: Array
    steps: int
    moved: float


class Contraction:
    """x ← Σ (A_k x + b_k) / n: a fixed point to which mixed sums lead too."""

    fold = Fold(lambda ask, rows: Sum(ask), add)

    def __init__(self, tol: float = 1e-12, max_passes: int = 500, common: tuple[int, ...] = ()):
        random = np.random.default_rng(0)
        self.maps = random.uniform(-0.3, 0.3, size=(N_SITES, 3, 3))
        self.shifts = random.normal(size=(N_SITES, 3))
        self.tol, self.max_passes, self.common = tol, max_passes, common

    def init(self) -> Walk:
        return Walk(np.zeros(3), 0, np.inf)

    def ask(self, state: Walk) -> Array:
        return state.x

    def step(self, state: Walk, summary: Sum) -> Walk:
        x = summary.total / N_SITES
        return Walk(x, state.steps + 1, float(np.abs(x - state.x).max()))

    def done(self, state: Walk) -> bool:
        return state.moved <= self.tol or state.steps >= self.max_passes

    def mixes(self, state: Walk) -> bool:
        return state.steps not in self.common

    def progress(self, state: Walk) -> Progress:
        return Progress(float("nan"), state.moved)

    def answer(self, site: int, order: Order) -> Push:
        total = self.maps[site] @ order.ask + self.shifts[site]
        return Push(order.round, order.clock, pack({(0, site): Sum(total)}))

    @property
    def fixed_point(self) -> Array:
        return np.linalg.solve(np.eye(3) - self.maps.mean(axis=0), self.shifts.mean(axis=0))


def plainly(solver: Contraction) -> Walk:
    state = solver.init()
    while not solver.done(state):
        totals = [solver.maps[k] @ state.x + solver.shifts[k] for k in range(N_SITES)]
        state = solver.step(state, Sum((totals[0] + totals[1]) + (totals[2] + totals[3])))
    return state


@pytest.mark.parametrize("seed", range(3))
def test_without_staleness_all_take_the_same_steps(seed: int) -> None:
    solver = Contraction()
    state, lead = run(solver, solver.answer, 0, seed)
    wanted = plainly(Contraction())
    np.testing.assert_array_equal(state.x, wanted.x)
    assert state.steps == wanted.steps
    assert lead == 0


@pytest.mark.parametrize("staleness", [1, 2, 5])
def test_nobody_runs_further_ahead_and_all_end_at_the_same_point(staleness: int) -> None:
    leads = []
    for seed in range(4):
        solver = Contraction()
        state, lead = run(solver, solver.answer, staleness, seed)
        np.testing.assert_allclose(state.x, solver.fixed_point, rtol=0, atol=1e-11)
        leads.append(lead)
    assert max(leads) == staleness


def test_a_state_that_does_not_mix_is_asked_for_by_all() -> None:
    seen: list[tuple[int, ...]] = []

    class Watched(Contraction):
        def answer(self, site: int, order: Order) -> Push:
            seen.append((site, *order.ask.view(np.int64).tolist()))
            return super().answer(site, order)

    solver = Watched(max_passes=9, common=(4,))
    state, _ = run(solver, solver.answer, 3, 0)
    assert state.steps == 9
    points: dict[tuple[int, ...], set[int]] = {}
    for site, *point in seen:
        points.setdefault(tuple(point), set()).add(site)
    in_common = [point for point, sites in points.items() if len(sites) == N_SITES]
    assert len(in_common) >= 3, "the start, the one that doesn't mix, and the end"


def test_the_end_is_judged_on_one_state() -> None:
    """At a loose tolerance a mixed sum would stop where a step from the end still moves far."""
    for seed in range(5):
        solver = Contraction(tol=0.05)
        state, _ = run(solver, solver.answer, 5, seed)
        before = np.linalg.solve(solver.maps.mean(axis=0), state.x - solver.shifts.mean(axis=0))
        assert np.abs(state.x - before).max() <= 0.05 * (1 + 1e-9)


def test_answers_that_come_twice_or_late_are_dropped() -> None:
    solver = Contraction()
    clocks = Clocks(solver, solver.init(), N_SITES, 2)
    orders = [clocks.order(site) for site in range(N_SITES)]
    for site, order in enumerate(orders):
        assert order is not None
        clocks.push(site, solver.answer(site, order))
        clocks.push(site, solver.answer(site, order))
    advance = clocks.tell()
    assert len(advance.turns) == 1
    first = orders[0]
    assert first is not None
    clocks.push(0, solver.answer(0, first))
    again = clocks.order(0)
    assert again is not None
    assert again.clock == 1


def test_a_sum_that_is_not_finite_is_an_error() -> None:
    solver = Contraction()
    solver.shifts[2] = np.nan
    with pytest.raises(NonFiniteError):
        run(solver, solver.answer, 2, 0)
