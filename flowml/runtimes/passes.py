"""The loop, pass by pass: ask, pass, step, until done."""

import time
from collections.abc import Callable, Iterator
from typing import TypeAlias

from flowml.kernels.fold import Ask, Fold, Summary
from flowml.runtimes.blas import one_blas_thread
from flowml.runtimes.runtime import Advance, NonFiniteError, Turn
from flowml.runtimes.span import Spans
from flowml.solvers.solver import Solver, State

OnePass: TypeAlias = Callable[[Fold, Ask], Summary]
"""Whoever adds up: a runtime, or one rank of many that all get the same sum."""


def iterate(
    one_pass: OnePass, solver: Solver, state: State, spans: Callable[[], Spans] = tuple
) -> Iterator[Advance]:
    """Run the loop where it is called, telling of every pass.

    Parameters
    ----------
    one_pass : callable
    solver : Solver
    state : State
    spans : callable
        Tells who worked on the last pass.

    Raises
    ------
    NonFiniteError
        If a pass gives a summary that its fold calls not finite.
    """
    while not solver.done(state):
        started = time.perf_counter()
        summary = one_pass(solver.fold, solver.ask(state))
        if not solver.fold.finite(summary):
            raise NonFiniteError(solver.fold.takes_nan)
        with one_blas_thread():  # as on a rank: the number of threads shows in the last bits
            state = solver.step(state, summary)
        turn = Turn(solver.progress(state), time.perf_counter() - started, spans())
        yield Advance(state, (turn,))
