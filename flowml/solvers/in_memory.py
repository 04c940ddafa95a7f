"""Solve on rows that are at hand, without passes over the data."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial, reduce
from typing import Any, TypeAlias

from flowml.config import get_config
from flowml.kernels.fold import Ask, Fold, Memory, Summary
from flowml.kernels.rows import Block, Rows, rows_of
from flowml.solvers.solver import Solver, State

PIECE_ROWS = 8192
"""Rows that a thread takes at once: the sums depend on it, and on no number of threads."""

Adder: TypeAlias = Any
"""A callable ``(fold, ask) -> summary`` over rows at hand."""


def solve_in_memory(solver: Solver, rows: Rows) -> tuple[State, int]:
    """Run a solver on a few rows in memory, until it is done.

    Returns
    -------
    state : State
    n_steps : int
        How often it went over these rows.
    """
    state, n_steps = solver.init(), 0
    with adding_up(rows) as add_up:
        while not solver.done(state):
            state = solver.step(state, add_up(solver.fold, solver.ask(state)))
            n_steps += 1
    return state, n_steps


@contextmanager
def adding_up(rows: Rows) -> Iterator[Adder]:
    """Open what summarises rows on this process's threads, for any fold and ask."""
    pieces = [piece for block in rows for piece in _pieces(block)]
    n_threads = get_config().n_threads or len(os.sched_getaffinity(0))
    memory = Memory()
    if len(pieces) == 1 or n_threads == 1:
        yield partial(_summarise, map, pieces, rows, memory)
        return
    with ThreadPoolExecutor(min(n_threads, len(pieces)), "flowml-sample") as pool:
        yield partial(_summarise, pool.map, pieces, rows, memory)


def _summarise(
    run: Any, pieces: list[Block], rows: Rows, memory: Memory, fold: Fold, ask: Ask
) -> Summary:
    """Summarise pieces and merge them in order; a fold with a memory takes all rows at once."""
    if fold.uses_memory:
        return fold(ask, rows, memory)
    return reduce(fold.merge, run(lambda piece: fold(ask, [piece], {}), pieces))


def _pieces(block: Block) -> list[Block]:
    """Cut a block; one that is small, or empty, stays whole."""
    n_rows = block.X.shape[0]
    if n_rows <= PIECE_ROWS:
        return [block]
    parts = [slice(low, min(low + PIECE_ROWS, n_rows)) for low in range(0, n_rows, PIECE_ROWS)]
    return [consecutive(block, part) for part in parts]


def consecutive(block: Block, part: slice) -> Block:
    """Return consecutive rows of a block, which share its memory."""
    return block._replace(
        X=rows_of(block.X, part),
        y=None if block.y is None else block.y[part],
        weight=None if block.weight is None else block.weight[part],
        start=block.start + part.start,
    )
