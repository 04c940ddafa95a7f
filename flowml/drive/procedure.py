"""The procedure: a fit written as a generator of stages, so that fits can share their passes."""

import itertools
from collections.abc import Generator, Sequence
from typing import Any, NamedTuple, TypeAlias, TypeVar

from flowml.drive.records import Errands, Records
from flowml.drive.training import Training
from flowml.kernels.masked import View
from flowml.solvers.masked import Masked
from flowml.solvers.solver import Solver
from flowml.solvers.together import Together

Result = TypeVar("Result")
_numbers = itertools.count()


class Step(NamedTuple):
    """What a procedure wants to have solved next.

    Attributes
    ----------
    stage : str
        Its name within the fit; where a later one has the same, it is numbered.
    solver : Solver
    """

    stage: str
    solver: Solver


Procedure: TypeAlias = Generator[Step | Errands, Any, Result]
"""Yields steps and is sent the state that each ends in, or errands and is sent their results, and
returns what was learned. It must depend on nothing else, so that it takes the same way again when
it is resumed."""


def follow(session: Records, procedure: Procedure[Result]) -> Result:
    """Run a procedure to its end, a stage after the other; steps take a training session."""
    used: set[str] = set()
    try:
        request = next(procedure)
        while True:
            stage = _unused(request.stage, used)
            if isinstance(request, Errands):
                answer: Any = session.settle(stage, request)
            else:
                assert isinstance(session, Training)
                answer = session.solve(stage, request.solver)
            request = procedure.send(answer)
    except StopIteration as end:
        return end.value


def together(procedures: Sequence[Procedure[Result]]) -> Procedure[list[Result]]:
    """Return the procedure that goes through several at once, on shared passes.

    All take their first stage together, then all that have one their second, and so on (errands, as
    they read no shards, before the next stage); each gets
    what it would get alone, and keeps its memory beside the rows for itself.
    """
    number = next(_numbers)
    results: list[Any] = [None] * len(procedures)
    answers: dict[int, Any] = dict.fromkeys(range(len(procedures)))
    while answers:
        steps: dict[int, Step] = {}
        for place, answer in answers.items():
            try:
                request = procedures[place].send(answer)
                while isinstance(request, Errands):
                    request = procedures[place].send((yield request))
                steps[place] = request
            except StopIteration as end:
                results[place] = end.value
        answers = {}
        if steps:
            stage = " + ".join(dict.fromkeys(step.stage for step in steps.values()))
            solvers = [step.solver for step in steps.values()]
            state = yield Step(stage, Together(solvers, [f"{number}.{place}" for place in steps]))
            answers = dict(zip(steps, state.members, strict=True))
    return results


def masked(procedure: Procedure[Result], view: View) -> Procedure[Result]:
    """Return the procedure that sees rows through a view, such as a subset of them."""
    answer: Any = None
    try:
        while True:
            step = procedure.send(answer)
            assert isinstance(step, Step), "errands don't see rows through a view"
            answer = yield Step(step.stage, Masked(step.solver, view))
    except StopIteration as end:
        result: Result = end.value
        return result


def prefixed(procedure: Procedure[Result], prefix: str) -> Procedure[Result]:
    """Return the procedure with stages of names that another part of a fit can't have."""
    answer: Any = None
    try:
        while True:
            request = procedure.send(answer)
            answer = yield request._replace(stage=f"{prefix} {request.stage}")
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
