"""Solve on rows that are at hand, without passes over the data."""

from flowml.kernels.fold import Memory
from flowml.kernels.rows import Rows
from flowml.solvers.solver import Solver, State


def solve_in_memory(solver: Solver, rows: Rows) -> tuple[State, int]:
    """Run a solver on a few rows in memory, until it is done.

    Returns
    -------
    state : State
    n_steps : int
        How often it went over these rows.
    """
    state, memory, n_steps = solver.init(), Memory(), 0
    while not solver.done(state):
        state = solver.step(state, solver.fold(solver.ask(state), rows, memory))
        n_steps += 1
    return state, n_steps
