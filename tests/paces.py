"""Sites of a parameter server at paces of their own, without a cluster."""

import heapq
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from flowml.runtimes.packed import pack
from flowml.runtimes.parameter_server.clocks import Clocks, Order, Push
from flowml.runtimes.shard import Leaf, summarise_leaves
from flowml.solvers.solver import Solver

SPEEDS = (1.0, 1.0, 3.0, 9.0)
FACTOR, BECOMES_SLOW, RECOVERS = 3.0, 0.2, 0.5
"""Slow for two passes on average, 29 % of the time."""
TICKS = 4
"""Of the Markov chain in the time of a pass."""
MESSAGES = 0.05
"""Of the time of a pass."""


def run(
    solver: Solver,
    answer: Callable[[int, Order], Push],
    staleness: int,
    seed: int,
    state: Any = None,
) -> tuple[Any, int]:
    """Let four sites answer in a random order, each after any time.

    An order is taken when it is to be had, and answered when its turn comes. Returns the end and
    the largest lead.
    """
    random = np.random.default_rng(seed)
    state = solver.init() if state is None else state
    clocks = Clocks(solver, state, len(SPEEDS), staleness)
    orders: list[Order | None] = [None] * len(SPEEDS)
    speeds = random.permutation(SPEEDS)
    lead, turns = 0, 0
    for _ in range(100_000):
        if clocks.over:
            return state, lead
        site = int(random.choice(len(SPEEDS), p=speeds / speeds.sum()))
        order = orders[site] or clocks.order(site)
        orders[site] = order
        if order is not None and random.random() < 0.5:
            clocks.push(site, answer(site, order))
            orders[site] = None
        advance = clocks.tell()
        state, turns = advance.state, turns + len(advance.turns)
        current = [order.clock for order in orders if order is not None]
        lead = max(lead, *(clock - turns for clock in current), 0)
    raise AssertionError("no end")


class Slowness:
    """A worker's speed: whole or a third."""

    def __init__(self, seed: int, worker: int) -> None:
        self.random = np.random.default_rng([seed, worker])
        self.slow = [bool(self.random.random() < BECOMES_SLOW / (BECOMES_SLOW + RECOVERS))]

    def end(self, start: float) -> float:
        """Return when a pass that starts then has ended."""
        at, left = start * TICKS, float(TICKS)
        while left > 1e-12:
            while len(self.slow) <= int(at):
                turns = (RECOVERS if self.slow[-1] else BECOMES_SLOW) / TICKS
                self.slow.append(self.slow[-1] != bool(self.random.random() < turns))
            speed = 1.0 / FACTOR if self.slow[int(at)] else 1.0
            span = min(int(at) + 1 - at, left / speed)
            at, left = at + span, left - span * speed
        return at / TICKS + MESSAGES


def time_taken(
    solver: Solver,
    leaves: Sequence[Leaf],
    is_enough: Callable[[Any], bool],
    staleness: int,
    seed: int,
) -> tuple[float, int]:
    """Return when the state of a whole clock is enough, and after how many clocks.

    Each worker has a leaf and is slowed down at random; the time is only counted, in passes.
    """
    workers = [Slowness(seed, worker) for worker in range(len(leaves))]
    clocks = Clocks(solver, solver.init(), len(leaves), staleness)
    now, n_clocks = 0.0, 0
    running: list[tuple[float, int, Push]] = []
    idle = set(range(len(leaves)))
    while True:
        for worker in sorted(idle):
            order = clocks.order(worker)
            if order is not None:
                packed = pack(summarise_leaves([leaves[worker]], solver.fold, order.ask))
                push = Push(order.round, order.clock, packed)
                heapq.heappush(running, (workers[worker].end(now), worker, push))
                idle.discard(worker)
        now, worker, push = heapq.heappop(running)
        clocks.push(worker, push)
        idle.add(worker)
        advance = clocks.tell()
        n_clocks += len(advance.turns)
        if advance.turns and is_enough(advance.state):
            return now, n_clocks
