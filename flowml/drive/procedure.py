"""The procedure: a fit written as a generator of stages, so that fits can share their passes."""

from collections.abc import Generator, Sequence
from typing import Any, NamedTuple, TypeAlias, TypeVar

from flowml.drive.training import Training
from flowml.kernels.masked import View
from flowml.solvers.masked import Masked
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


def follow(session: Training | None, procedure: Procedure[Result]) -> Result:
    """Run a procedure to its end, a stage after the other; one that has none needs no session."""
    try:
        step = next(procedure)
        while True:
            assert session is not None
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
    used: set[str] = set()
    while answers:
        steps: dict[int, Step] = {}
        for place, answer in answers.items():
            try:
                steps[place] = procedures[place].send(answer)
            except StopIteration as end:
                results[place] = end.value
        answers = {}
        if steps:
            name = _unused(" + ".join(dict.fromkeys(s.stage for s in steps.values())), used)
            state = yield Step(name, Together([step.solver for step in steps.values()]))
            answers = dict(zip(steps, state.members, strict=True))
    return results


def masked(procedure: Procedure[Result], view: View) -> Procedure[Result]:
    """Return the procedure that sees rows through a view, such as a subset of them."""
    answer: Any = None
    try:
        while True:
            step = procedure.send(answer)
            answer = yield Step(step.stage, Masked(step.solver, view))
    except StopIteration as end:
        result: Result = end.value
        return result


def prefixed(procedure: Procedure[Result], prefix: str) -> Procedure[Result]:
    """Return the procedure with stages of names that another part of a fit can't have."""
    answer: Any = None
    try:
        while True:
            step = procedure.send(answer)
            answer = yield Step(f"{prefix} {step.stage}", step.solver)
    except StopIteration as end:
        result: Result = end.value
        return result


def _unused(name: str, used: set[str]) -> str:
    """Return a stage's name, numbered where an earlier stage has it, and note it as used."""
    number, unused = 1, name
    while unused in used:
        number += 1
        unused = f"{name} {number}"
    used.add(unused)
    return unused
