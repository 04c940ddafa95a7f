"""A member's desk in a coded pass: the leaves it holds, the round it is at, and what is done."""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from flowml.kernels.fold import Ask, Fold
from flowml.kernels.scratch import keep_scratch
from flowml.runtimes.blas import one_blas_thread
from flowml.runtimes.flat import Flat, flatten
from flowml.runtimes.gangs.member import Member, find
from flowml.runtimes.packed import Packed, pack
from flowml.runtimes.shard import Leaf, Shard, align, summarise_leaves
from flowml.runtimes.span import Span, since
from flowml.runtimes.tree import Nodes, root


class Task(NamedTuple):
    """What a member is to do in a round.

    Attributes
    ----------
    round : int
    fold : Fold
    ask : Ask
    parts : dict of int to tuple of int
        The leaves of each part, the parts in the order in which they are to be done.
    coefficients : dict of int to float, or None
        By which the parts' summaries are added up, as vectors; None leaves them as they are.
    """

    round: int
    fold: Fold
    ask: Ask
    parts: Mapping[int, tuple[int, ...]]
    coefficients: Mapping[int, float] | None = None


class Done(NamedTuple):
    """What a member has done of a round.

    Attributes
    ----------
    round : int
    summaries : dict of int to Packed
        Subtrees by part; those that weren't handed over before.
    total : Flat or None
        The parts' sum, where it was asked for and all are done.
    n_parts : int
        How many parts are done.
    span : Span
        From the start of the task to the end of the last of them.
    """

    round: int
    summaries: Mapping[int, Packed]
    total: Flat | None
    n_parts: int
    span: Span


class OverError(Exception):
    """The round is over: nobody waits for its answers."""


@dataclass(eq=False)
class Desk:
    """The leaves of a fit at a member, and where its work stands.

    Parameters
    ----------
    n_threads : int

    Attributes
    ----------
    leaves : dict of int to Leaf
    round : int
        The latest one that is known of; work on earlier ones is given up.
    finished : dict of int to Nodes
        The parts of this round that are done and weren't handed over.
    n_finished : int
    started : float
        When the work on this round began, in seconds since 1970.
    """

    n_threads: int
    leaves: dict[int, Leaf] = field(default_factory=dict)
    round: int = 0
    finished: dict[int, Nodes] = field(default_factory=dict)
    n_finished: int = 0
    started: float = 0.0

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        if self.n_threads > 1:
            self._pool = ThreadPoolExecutor(self.n_threads, "flowml", keep_scratch)

    def advance(self, to: int) -> None:
        """Learn of a round; its predecessors are over."""
        with self._lock:
            if to > self.round:
                self.round, self.finished, self.n_finished = to, {}, 0
                self.started = time.time()

    def each_part(self, task: Task) -> Iterator[tuple[int, Nodes]]:
        """Summarise parts, on all threads, as long as the round lasts."""
        ask = align(task.ask)

        def one(part: int) -> tuple[int, Nodes]:
            return part, summarise_leaves(self._current(task, part), task.fold, ask)

        run = map if self._pool is None else self._pool.map
        yield from run(one, task.parts)

    def keep(self, round_number: int, part: int, nodes: Nodes) -> None:
        """Note a part that is done, for whoever asks first."""
        with self._lock:
            if round_number == self.round:
                self.finished[part] = nodes
                self.n_finished += 1

    def hand_over(self, round_number: int, total: Flat | None = None) -> Done:
        """Return what is done of a round and wasn't handed over."""
        with self._lock:
            if round_number != self.round:
                return Done(round_number, {}, None, 0, since(self.started))
            finished, self.finished = self.finished, {}
            number, span = self.n_finished, since(self.started)
        summaries = {part: pack(nodes) for part, nodes in finished.items()}
        return Done(round_number, summaries, total, number, span)

    def close(self) -> None:
        """Give up what is going on, and drop the leaves."""
        self.round = np.iinfo(np.int64).max
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
        self.leaves = {}

    def _current(self, task: Task, part: int) -> "Current":
        return Current(self, task.round, [self.leaves[number] for number in task.parts[part]])


@dataclass(frozen=True, eq=False)
class Current(Sequence[Leaf]):
    """Leaves that are gone through only while a round lasts: it is looked at before each."""

    desk: Desk
    round: int
    leaves: list[Leaf]

    def __len__(self) -> int:
        """Count the leaves."""
        return len(self.leaves)

    def __getitem__(self, index: int) -> Leaf:  # type: ignore[override]
        """Return a leaf, if it is still wanted."""
        if self.desk.round != self.round:
            raise OverError
        return self.leaves[index]


def sit_down(member: Member, fit: str) -> None:
    """Make room for the leaves of a fit."""
    member.notes[fit] = Desk(member.n_threads)


def take(name: str, fit: str, shards: Sequence[Shard]) -> int:
    """Give shards to the member of this process that has the name, unless the fit is over: a task.

    Raises
    ------
    LookupError
        If the member isn't here: its worker was lost.
    """
    desk: Desk | None = find(name).notes.get(fit)
    if desk is not None:
        desk.leaves |= {leaf.number: leaf for shard in shards for leaf in shard.leaves}
    return len(shards)


def work(member: Member, fit: str, task: Task) -> Done:
    """Do a task; return what is done of it when it is done, or its round is over."""
    desk: Desk | None = member.notes.get(fit)
    if desk is None:
        return Done(task.round, {}, None, 0, since(time.time()))
    desk.advance(task.round)
    try:
        with one_blas_thread():
            if task.coefficients is not None:
                total = _combined(desk, task)
                desk.n_finished = len(task.parts)
                return desk.hand_over(task.round, total)
            for part, nodes in desk.each_part(task):
                desk.keep(task.round, part, nodes)
    except OverError:
        pass
    return desk.hand_over(task.round)


def hand_in(member: Member, fit: str, round_number: int) -> Done | None:
    """Hand over at once what is done so far."""
    desk: Desk | None = member.notes.get(fit)
    return None if desk is None else desk.hand_over(round_number)


def advance(member: Member, fit: str, to: int) -> None:
    """Learn that a round has begun, so that work on those before it is given up."""
    desk: Desk | None = member.notes.get(fit)
    if desk is not None:
        desk.advance(to)


def get_up(member: Member, fit: str) -> None:
    """Let go of a fit's leaves."""
    desk: Desk | None = member.notes.pop(fit, None)
    if desk is not None:
        desk.close()


@np.errstate(invalid="ignore", over="ignore")
def _combined(desk: Desk, task: Task) -> Flat:
    """Add up the parts' summaries, as vectors, times their coefficients."""
    assert task.coefficients is not None
    total: Flat | None = None
    for part, nodes in desk.each_part(task):
        flat = flatten(root(nodes, task.fold), task.fold)
        flat = flat._replace(sums=task.coefficients[part] * flat.sums)
        if total is not None:
            sums, maxima = total.sums + flat.sums, np.maximum(total.maxima, flat.maxima)
            flat = Flat(sums, maxima, flat.form)
        total = flat
    assert total is not None
    return total
