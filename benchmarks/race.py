"""The race: contenders side by side, each in its own process, taking turns A B C A B C."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Timer
from typing import Any

from benchmarks.contenders.turn import Result, Turn
from benchmarks.data import write
from benchmarks.job import Contender, Job
from benchmarks.optimum import write_optimum

WARM_UP_TURNS = 2
"""Uncounted: compilers (Numba's, the JVM's), caches and the system's pages settle in these."""

SECONDS_PER_ANSWER = 900.0


class LeftOutError(Exception):
    """A contender can't take part, or stopped on the way; the message is the reason."""


@dataclass
class Outcome:
    """What a contender's turns gave.

    Parameters
    ----------
    seconds : list of float
        One for each counted turn.
    result : dict, or None before the first turn
    facts : dict of str to float
        Of the last turn.
    left_out : str
        Why it has no times; empty where it has.
    """

    seconds: list[float] = field(default_factory=list)
    result: Result | None = None
    facts: dict[str, float] = field(default_factory=dict)
    left_out: str = ""


def race(job: Job, repeats: int, tell: Callable[[str], None]) -> dict[str, Outcome]:
    """Run a job: all contenders prepared, then turn after turn, `repeats` of them counted."""
    outcomes = {contender.name: Outcome() for contender in job.contenders}
    with tempfile.TemporaryDirectory(prefix="flowml-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        write(job.data, folder)
        if job.problem is not None:
            tell(f"the least objective is {write_optimum(job.problem, folder):.15g}")
        turns: dict[str, Callable[[], Turn]] = {}
        for contender in job.contenders:
            with leaving_out(outcomes[contender.name]):
                turns[contender.name] = _join(job, contender, folder, stack)
                tell(f"{contender.name}: ready")
        for number in range(WARM_UP_TURNS + repeats):
            for name, outcome in outcomes.items():
                if outcome.left_out:
                    continue
                with leaving_out(outcome):
                    turn = turns[name]()
                    outcome.result, outcome.facts = turn.result, turn.facts or {}
                    if number >= WARM_UP_TURNS:
                        outcome.seconds.append(turn.seconds)
                    tell(
                        f"{name}: turn {number + 1} of {WARM_UP_TURNS + repeats}, "
                        f"{turn.seconds:.4f} s"
                    )
    for name, outcome in outcomes.items():
        if outcome.left_out:
            tell(f"{name}: left out: {outcome.left_out}")
    return outcomes


def _join(job: Job, contender: Contender, folder: Path, stack: ExitStack) -> Callable[[], Turn]:
    """Prepare a contender and return what makes it take a turn."""
    if not job.fresh:
        return stack.enter_context(contending(contender, folder))

    def turn() -> Turn:
        with contending(contender, folder) as once:
            return once()

    return turn


@contextmanager
def leaving_out(outcome: Outcome) -> Iterator[None]:
    """Note the reason where a contender fails, and go on with the others."""
    try:
        yield
    except LeftOutError as reason:
        outcome.left_out = str(reason)
        outcome.seconds.clear()


@contextmanager
def contending(contender: Contender, folder: Path) -> Iterator[Callable[[], Turn]]:
    """Start a contender's process, ready to take turns."""
    request = {
        "prepare": f"benchmarks.contenders.{contender.prepare}",
        "folder": str(folder),
        "options": contender.options,
    }
    with (
        tempfile.TemporaryFile("w+") as complaints,
        subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", json.dumps(request)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
            cwd=Path(__file__).parent.parent,
        ) as process,
    ):
        assert process.stdin is not None

        def turn() -> Turn:
            assert process.stdin is not None
            print("run", file=process.stdin, flush=True)
            return Turn(**_answer(process, complaints))

        try:
            _answer(process, complaints)
            yield turn
        finally:
            process.stdin.close()
            process.wait(timeout=60)


def _answer(process: subprocess.Popen[str], complaints: Any) -> dict[str, Any]:
    """Read one answer; a process that doesn't give one in time is killed."""
    assert process.stdout is not None
    timer = Timer(SECONDS_PER_ANSWER, process.kill)
    timer.start()
    try:
        line = process.stdout.readline()
    finally:
        timer.cancel()
    if not line:
        complaints.seek(0)
        last = complaints.read().strip().splitlines()[-1:] or ["no message"]
        raise LeftOutError(f"its process ended (limit {SECONDS_PER_ANSWER:g} s): {last[0]}")
    answer: dict[str, Any] = json.loads(line)
    if "error" in answer:
        raise LeftOutError(str(answer["error"]))
    return answer
