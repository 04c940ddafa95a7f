"""The rows as they are read, before the first pass: who is done helps who isn't."""

import time
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np

from flowml.runtimes.coded.copies import Copies

SHORTEST = 0.2
"""Seconds that reading a part may always take."""
LOOK_AGAIN = 0.002
"""Seconds between two looks at what has been read."""
GONE_EVERY = 1.0
"""Seconds between two looks at which workers there are."""


Lot: TypeAlias = tuple[int, ...]
"""Parts that are read together, one mostly."""


class Reader(NamedTuple):
    """How far a member is with its own parts.

    Attributes
    ----------
    left : list of tuple of int
        The lots that it hasn't read, in the order in which it will.
    pace : float
        Seconds that it took for each of the others; 0 where there are none.
    current : float
        Seconds that it has been at the first of those left.
    """

    left: Sequence[Lot]
    pace: float = 0.0
    current: float = 0.0


class Reading:
    """Waits for the rows, and has those who are done read what others wouldn't begin with soon.

    So all are done at about one time, as with the backup tasks near the end of a MapReduce job,
    and where all take about as long nothing is read twice. What a member reads for another it does
    in the passes, too.

    Parameters
    ----------
    copies : Copies
        With each member's own parts on their way.
    patience : float
        How many times the usual time for a part others wait for one; infinite where nobody reads
        for others.

    Attributes
    ----------
    gone : set of int
        Members whose workers went meanwhile.
    """

    def __init__(self, copies: Copies, patience: float) -> None:
        self.gone: set[int] = set()
        self._copies, self._patience = copies, patience
        self._own = [copies.coming(seat) for seat in range(len(copies.held))]
        self._readers = [Reader(own) for own in self._own]
        self._since = [0.0] * len(self._own)
        self._paces: dict[int, float] = {}
        self._lent: dict[int, int] = {}
        self._started = self._looked = time.monotonic()

    def run(self) -> dict[int, int]:
        """Wait until every part is at a member; return those that another read than its own.

        Raises
        ------
        Exception
            What reading the rows raised.
        """
        while not self._is_done():
            now = time.monotonic()
            self._copies.look()
            self._note(now - self._started)
            self._help()
            if now > self._looked + GONE_EVERY:
                self._looked, self.gone = now, self._copies.gone()
            time.sleep(LOOK_AGAIN)
        for seat in range(len(self._own)):
            self._copies.make_do(seat)
        held = self._copies.held
        return {part: seat for part, seat in self._lent.items() if part in held[seat]}

    def _is_done(self) -> bool:
        """Tell whether nobody waits for a part that isn't there."""
        held = self._copies.held if self._patience < np.inf else ()
        there = set[int]().union(*held)
        return all(
            seat in self.gone or there.issuperset(parts)
            for seat in range(len(self._own))
            for parts in self._copies.coming(seat)
        )

    def _note(self, now: float) -> None:
        """Note who has read another part."""
        for seat, own in enumerate(self._own):
            left = [lot for lot in own if not self._copies.held[seat].issuperset(lot)]
            pace = self._readers[seat].pace
            if len(left) < len(self._readers[seat].left):
                self._since[seat], pace = now, now / (len(own) - len(left))
                if not left:
                    self._paces[seat] = pace
            current = np.inf if seat in self.gone else now - self._since[seat]
            self._readers[seat] = Reader(left, pace, current)

    def _help(self) -> None:
        """Have those who are done read a part for others, each one at a time."""
        if self._patience == np.inf or len(self._paces) < sum(map(bool, self._own)) / 2:
            return
        usual = float(np.median(list(self._paces.values())))
        idle = [
            seat
            for seat in range(len(self._own))
            if seat not in self.gone and not self._copies.coming(seat)
        ]
        lots = not_soon(self._readers, usual, self._patience)
        wanted = [part for lot in lots for part in reversed(lot)]
        parts = [part for part in wanted if self._lent.get(part, -1) in {-1, *self.gone}]
        lent = dict(zip(parts, idle, strict=False))
        self._lent |= lent
        self._copies.bring({seat: (part,) for part, seat in lent.items()})


def not_soon(readers: Sequence[Reader], usual: float, patience: float) -> list[Lot]:
    """Return the lots that their own member won't begin with soon, the latest first.

    A member that has been at one for too long isn't expected to be done with it, either.

    Parameters
    ----------
    readers : sequence of Reader
    usual : float
        Seconds that others take for a lot.
    patience : float
        How many times that isn't soon.

    Examples
    --------
    >>> even, slower = Reader([(5,)], 1.1, 0.9), Reader([(9,), (10,), (11,)], 1.5, 0.1)
    >>> late = Reader([(12,), (13,)], current=6.0)
    >>> not_soon([even, slower, late], usual=1.0, patience=2.0)
    [(13,), (12,), (11,)]
    """
    soon = patience * usual + SHORTEST
    begins: dict[Lot, float] = {}
    for left, pace, current in readers:
        is_late = current > soon
        each = max(pace or usual, current)
        for place, lot in reversed(list(enumerate(left))):
            begins[lot] = np.inf if is_late else place * each - current
    return sorted((lot for lot in begins if begins[lot] > soon), key=lambda lot: -begins[lot])
