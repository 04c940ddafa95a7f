"""The seats of a coded pass: members that are given tasks, and what they owe."""

import time
from typing import Any, NamedTuple

from flowml.runtimes.coded.desk import Done, Task, advance, get_up, hand_in, work
from flowml.runtimes.gangs.gang import LOST, Answer, Gang

MOST_OWED = 2
"""Tasks of earlier rounds that a member may owe: more would pile up at one that is paused."""
AT_ONCE = 10.0
"""Seconds within which an answer that is there is taken over from Dask's own thread."""


class Owed(NamedTuple):
    """An answer that is awaited.

    Attributes
    ----------
    round : int
    is_task : bool
        Else what was done of one was asked for.
    answer : Answer
    since : float
        By `time.monotonic`.
    """

    round: int
    is_task: bool
    answer: Answer
    since: float


class Answered(NamedTuple):
    """What came from a seat.

    Attributes
    ----------
    seat : int
    is_task : bool
        Whether it is the answer to a task, else to the question what was done of one.
    done : Done
    """

    seat: int
    is_task: bool
    done: Done


class Seats:
    """Members, numbered, with the answers that they owe from this round and earlier ones.

    Parameters
    ----------
    gang : Gang
    fit : str

    Attributes
    ----------
    lost : set of int
        Seats whose workers are gone, for good.
    """

    def __init__(self, gang: Gang, fit: str) -> None:
        self.gang = gang
        self.fit = fit
        self.lost: set[int] = set()
        self._owed: list[list[Owed]] = [[] for _ in gang.workers]

    def __len__(self) -> int:
        """Count the seats, the lost ones too."""
        return len(self._owed)

    def admit(self) -> None:
        """Add a seat for another member of the gang."""
        self._owed.append([])

    def present(self, round_number: int) -> list[int]:
        """Return the seats that aren't lost, and don't owe too much of earlier rounds."""
        return [
            seat
            for seat, owed in enumerate(self._owed)
            if seat not in self.lost
            and sum(one.is_task and one.round < round_number for one in owed) < MOST_OWED
        ]

    def start(self, seat: int, task: Task) -> None:
        """Give a seat a task."""
        self._ask(seat, task.round, True, self.gang.call(seat, work, self.fit, task))

    def press(self, seat: int, round_number: int) -> None:
        """Ask a seat for what it has done so far, unless it owes the answer to that already."""
        if seat not in self.lost and all(owed.is_task for owed in self._owed[seat]):
            answer = self.gang.ask(seat, hand_in, self.fit, round_number)
            self._ask(seat, round_number, False, answer)

    def advance(self, round_number: int) -> None:
        """Tell those who still work that a round has begun, so that they give up."""
        for seat in self.present(round_number):
            if any(owed.is_task for owed in self._owed[seat]):
                self.gang.ask(seat, advance, self.fit, round_number)

    def is_busy(self, seat: int, round_number: int) -> bool:
        """Tell whether a seat owes the answer to a task of this round."""
        return any(owed.is_task and owed.round == round_number for owed in self._owed[seat])

    def behind(self, round_number: int) -> list[int]:
        """Return the seats that owe a task of an earlier round, the longest waited for first."""
        since = {
            seat: min(one.since for one in tasks)
            for seat, owed in enumerate(self._owed)
            if (tasks := [one for one in owed if one.is_task and one.round < round_number])
        }
        return sorted(since, key=lambda seat: since[seat])

    def silent_for(self, seat: int) -> float:
        """Return for how many seconds a short question has been waiting."""
        waits = (owed.since for owed in self._owed[seat] if not owed.is_task)
        return time.monotonic() - min(waits, default=time.monotonic())

    def collect(self, round_number: int) -> list[Answered]:
        """Return the answers of a round that have come; those of earlier ones are refused.

        Raises
        ------
        Exception
            What a member's work on this round raised.
        """
        found: list[Answered] = []
        for seat in range(len(self)):
            came = [owed for owed in self._owed[seat] if owed.answer.done()]
            self._owed[seat] = [owed for owed in self._owed[seat] if owed not in came]
            for owed in came:
                done = self._read(seat, owed, round_number)
                if isinstance(done, Done) and done.round == round_number:
                    found.append(Answered(seat, owed.is_task, done))
        return found

    def lose(self, seat: int) -> None:
        """Note that a seat's worker is gone."""
        self.lost.add(seat)
        self._owed[seat] = []

    def dismiss(self, seat: int) -> None:
        """Let a seat's member go, for good."""
        self.gang.ask(seat, get_up, self.fit)
        self.lose(seat)
        self.gang.dismiss(seat)

    def settle(self, within: float) -> bool:
        """Wait for what is owed, for some seconds; tell whether all of it came."""
        deadline = time.monotonic() + within
        while any(not owed.answer.done() for each in self._owed for owed in each):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.002)
        return not self.lost

    def _ask(self, seat: int, round_number: int, is_task: bool, answer: Answer) -> None:
        self._owed[seat].append(Owed(round_number, is_task, answer, time.monotonic()))

    def _read(self, seat: int, owed: Owed, round_number: int) -> Any:
        try:
            reply = owed.answer.reply(AT_ONCE)
        except LOST:
            self.lose(seat)
            return None
        if reply.error is not None and owed.round == round_number:
            raise reply.error
        return reply.value
