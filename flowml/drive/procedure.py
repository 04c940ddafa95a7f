"""The procedure: a fit written as a generator of stages, so that fits can share their passes."""

from collections.abc import Generator, Sequence
from typing import Any, NamedTuple, TypeAlias, TypeVar

from flowml.drive.training import Training
from flowml.solvers.solver import Solver, State
from flowml.solvers.together import Together

Result = TypeVar("Result")


class Step(NamedTuple):
    """What a procedure wants to have solved next.

    Attributes
    ----------
    stage : str
        Its name within the fit: unique, it finds the state again on resume.
    solver : Solver
    """

    stage: str
    solver: Solver


Procedure: TypeAlias = Generator[Step, State, Result]
"""Yields steps, is sent the state that each ends in, and returns what was learned. It must depend
on nothing else, so that it takes the same way again when it is resumed."""


def follow(session: Training, procedure: Procedure[Result]) -> Result:
    """Run a procedure to its end, a stage after the other."""
    try:
        step = next(procedure)
        while True:
            step = procedure.send(session.solve(step.stage, step.solver))
    except StopIteration as end:
        return end.value


def together(procedures: Sequence[Procedure[Result]]) -> Procedure[list[Result]]:
    """Return the procedure that goes through several at once, on shared passes.

    All take their first stage together, then all that have one their second, and so on; each gets
    what it would get alone.
    """
    results: list[Any] = [None] * len(procedures)
    answers: dict[int, Any] = dict.fromkeys(range(len(procedures)))
    while answers:
        steps: dict[int, Step] = {}
        for place, answer in answers.items():
            try:
                steps[place] = procedures[place].send(answer)
            except StopIteration as end:
                results[place] = end.value
        answers = {}
        if steps:
            names = list(dict.fromkeys(step.stage for step in steps.values()))
            solvers = Together([step.solver for step in steps.values()])
            state = yield Step(" + ".join(names), solvers)
            answers = dict(zip(steps, state.members, strict=True))
    return results
