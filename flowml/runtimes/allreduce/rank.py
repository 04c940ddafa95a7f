"""A rank: a member that runs the whole loop, and gets the same sum as all others in each pass."""

import time
from asyncio import to_thread
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from flowml.kernels.fold import Ask, Fold, Summary
from flowml.runtimes.allreduce.ring import Ring, RingError, Tracker
from flowml.runtimes.allreduce.ring_pass import SUM_ABOVE, Word, packed, said, total
from flowml.runtimes.blas import one_blas_thread
from flowml.runtimes.gangs.member import Member, portable
from flowml.runtimes.gangs.preflight import agree, digest, versions
from flowml.runtimes.passes import iterate
from flowml.runtimes.runtime import Advance, Turn
from flowml.runtimes.shard import align
from flowml.runtimes.span import Spans, since
from flowml.runtimes.threads import Crew
from flowml.runtimes.tree import Nodes
from flowml.solvers.solver import Solver, State

RING, TRACKER = "ring", "tracker"
PREFLIGHT = ("solver and state", "the rows that they hold")
LEASE = 5.0
"""Seconds after which all stop if nobody asks the first rank for news: their client is gone."""


@dataclass
class Diary:
    """What a rank has done and hasn't told yet.

    Parameters
    ----------
    state : State
    facts : tuple of str
        That the other ranks must agree on.
    """

    state: State
    facts: tuple[str, ...]
    turns: list[Turn] = field(default_factory=list)
    asked_at: float = field(default_factory=time.monotonic)
    stopping: bool = False
    spans: Spans = ()

    def note(self, advance: Advance) -> None:
        """Note a pass."""
        self.state, self.turns = advance.state, [*self.turns, *advance.turns]

    def tell(self) -> Advance:
        """Tell what wasn't told yet."""
        state, turns = self.state, tuple(self.turns)
        self.turns = self.turns[len(turns) :]
        self.asked_at = time.monotonic()
        return Advance(state, turns)

    @property
    def is_forgotten(self) -> bool:
        """Whether nobody wants to know any more."""
        return time.monotonic() - self.asked_at > LEASE


def start_tracker(member: Member, address: str, size: int) -> dict[str, Any]:
    """Start the tracker on this member's worker, whose address all others can reach."""
    host = urlsplit(address).hostname or "127.0.0.1"
    tracker = member.notes[TRACKER] = Tracker(host, size)
    return tracker.arguments


def join_ring(member: Member, tracker: dict[str, Any], rank: int, size: int) -> str:
    """Meet the other ranks, and name the versions here."""
    member.notes[RING] = Ring(tracker, rank, size)
    return versions()


def leave_ring(member: Member) -> None:
    """Part from the other ranks."""
    ring: Ring | None = member.notes.pop(RING, None)
    if ring is not None:
        ring.close()


async def stop_tracker(member: Member) -> None:
    """Stop the tracker, where this member has it: ranks that wait there for others give up.

    Beside the member's thread, which may be one that waits.
    """
    tracker = member.notes.pop(TRACKER, None)
    if tracker is not None:
        await to_thread(tracker.close)


def run(
    member: Member, fit: str, solver: Solver, state: State, sum_above: int = SUM_ABOVE
) -> Advance | None:
    """Run the loop until the solver is done, or until all have been told to stop.

    Parameters
    ----------
    member : Member
    fit : str
        Under which it has its leaves.
    solver : Solver
    state : State
        To go on from.
    sum_above : int
        See `ring_pass.SUM_ABOVE`.

    Returns
    -------
    advance : Advance or None
        What wasn't told before; None from all ranks but the first, as they have the same state.
    """
    ring: Ring = member.notes[RING]
    ring.narrow()
    diary = member.notes[fit] = Diary(align(state), (digest((solver, state)), member.kinds[fit]))
    one_pass = partial(_one_pass, ring, member.crews[fit], diary, sum_above)
    try:
        with one_blas_thread():
            for advance in iterate(one_pass, solver, diary.state, lambda: diary.spans):
                diary.note(advance)
                if diary.stopping:
                    break
    except RingError:
        leave_ring(member)  # so that ranks hear of it that wait for this one
        raise
    finally:
        del member.notes[fit]
    return diary.tell() if ring.rank == 0 else None


def tell(member: Member, fit: str) -> Advance | None:
    """Tell how far the loop has come; None while it runs no more."""
    diary: Diary | None = member.notes.get(fit)
    return None if diary is None else diary.tell()


def stop(member: Member, fit: str) -> None:
    """Stop the loop after its next pass, on all ranks."""
    diary: Diary | None = member.notes.get(fit)
    if diary is not None:
        diary.stopping = True


def _one_pass(
    ring: Ring, crew: Crew, diary: Diary, sum_above: int, fold: Fold, ask: Ask
) -> Summary:
    """Summarise this rank's leaves and add up with all others, as every rank does.

    What goes wrong on one goes wrong on all, in the same pass: none is left waiting.
    """
    started = time.time()
    nodes: Nodes = {}
    data: bytes | None = b""
    error: Exception | None = None
    try:
        nodes = crew.summarise(fold, ask)
        data = packed(nodes, fold, sum_above)
    except Exception as failure:
        error = portable(failure)
    stopping = diary.stopping or (ring.rank == 0 and diary.is_forgotten)
    word = Word(data, error, stopping, since(started), diary.facts)
    words = said(ring, word)
    for other in words:
        if other.error is not None:
            raise other.error
    for number, what in enumerate(PREFLIGHT[: len(diary.facts)]):
        agree(what, {word.span.place: word.facts[number] for word in words})
    diary.facts = ()
    diary.stopping = any(word.stop for word in words)
    diary.spans = tuple(word.span for word in words)
    return total(ring, nodes, words, fold)
