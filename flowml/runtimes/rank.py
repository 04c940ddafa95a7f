"""A rank: a member that runs the whole loop, and gets the same sum as all others in each pass."""

import pickle
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from flowml.kernels.fold import Ask, Fold, Summary
from flowml.runtimes.blas import one_blas_thread
from flowml.runtimes.member import Member, portable
from flowml.runtimes.passes import iterate
from flowml.runtimes.ring import Ring, close_tracker, open_tracker
from flowml.runtimes.runtime import Advance, Turn
from flowml.runtimes.shard import align
from flowml.runtimes.span import Span, Spans, since
from flowml.runtimes.threads import Crew
from flowml.runtimes.tree import Nodes, join, root
from flowml.solvers.solver import Solver, State

RING, TRACKER = "ring", "tracker"
LEASE = 60.0
"""Seconds after which a rank that nobody asks for news stops: its client is gone."""


@dataclass
class Diary:
    """What a rank has done and hasn't told yet.

    Parameters
    ----------
    state : State
    """

    state: State
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
    def is_over(self) -> bool:
        """Whether this rank wants all to stop after this pass."""
        return self.stopping or time.monotonic() - self.asked_at > LEASE


class Message(NamedTuple):
    """What a rank sends to all in a pass.

    Attributes
    ----------
    nodes : Nodes
        Its subtrees; none where it holds no rows.
    error : Exception or None
        What went wrong instead.
    stop : bool
        Whether it wants the loop to end after this pass.
    span : Span
        When it worked.
    """

    nodes: Nodes
    error: Exception | None
    stop: bool
    span: Span


def start_tracker(member: Member, address: str, size: int) -> dict[str, Any]:
    """Start the tracker on this member's worker, whose address all others can reach."""
    host = urlsplit(address).hostname or "127.0.0.1"
    member.notes[TRACKER], arguments = open_tracker(host, size)
    return arguments


def join_ring(member: Member, tracker: dict[str, Any], rank: int, size: int) -> None:
    """Meet the other ranks."""
    member.notes[RING] = Ring(tracker, rank, size)


def leave_ring(member: Member) -> None:
    """Part from the other ranks."""
    ring: Ring | None = member.notes.pop(RING, None)
    if ring is not None:
        ring.close()


def stop_tracker(member: Member) -> None:
    """Stop the tracker, where this member has it."""
    tracker = member.notes.pop(TRACKER, None)
    if tracker is not None:
        close_tracker(tracker)


def run(member: Member, fit: str, solver: Solver, state: State) -> Advance:
    """Run the loop until the solver is done, or until all have been told to stop.

    Returns
    -------
    advance : Advance
        What wasn't told before.
    """
    ring: Ring = member.notes[RING]
    diary = member.notes[fit] = Diary(align(state))
    one_pass = partial(_one_pass, ring, member.crews[fit], diary)
    with one_blas_thread():
        for advance in iterate(one_pass, solver, diary.state, lambda: diary.spans):
            diary.note(advance)
            if diary.stopping:
                break
    return member.notes.pop(fit).tell()


def tell(member: Member, fit: str) -> Advance | None:
    """Tell how far the loop has come; None while it runs no more."""
    diary: Diary | None = member.notes.get(fit)
    return None if diary is None else diary.tell()


def stop(member: Member, fit: str) -> None:
    """Stop the loop after its next pass, on all ranks."""
    diary: Diary | None = member.notes.get(fit)
    if diary is not None:
        diary.stopping = True


def _one_pass(ring: Ring, crew: Crew, diary: Diary, fold: Fold, ask: Ask) -> Summary:
    """Summarise this rank's leaves and merge all ranks' subtrees, as every rank does."""
    message = _summarised(crew, diary, fold, ask)
    parts: Sequence[Message] = [pickle.loads(p) for p in ring.gather(pickle.dumps(message, 5))]
    for part in parts:
        if part.error is not None:
            raise part.error
    diary.stopping = any(part.stop for part in parts)
    diary.spans = tuple(part.span for part in parts)
    return root(join((part.nodes for part in parts), fold), fold)


def _summarised(crew: Crew, diary: Diary, fold: Fold, ask: Ask) -> Message:
    """Return what this rank has to say: an error too, for which the others would wait."""
    started = time.time()
    try:
        return Message(crew.summarise(fold, ask), None, diary.is_over, since(started))
    except Exception as error:
        return Message({}, portable(error), True, since(started))
