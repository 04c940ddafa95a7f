"""One coded pass: shares handed out, answers decoded as they come, and help for who is late."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np

from flowml.codes.code import Assignment, Decoder, NotFiniteError, Shares
from flowml.codes.decoders import PartsDecoder
from flowml.kernels.fold import Ask, Fold, Summary
from flowml.kernels.rows import Array
from flowml.runtimes.coded.copies import Copies
from flowml.runtimes.coded.desk import Task
from flowml.runtimes.coded.seats import Answered, Seats
from flowml.runtimes.flat import Flat, unflatten
from flowml.runtimes.packed import pack, unpack
from flowml.runtimes.span import Span, Spans, by_place
from flowml.runtimes.tree import join, root

SILENT = 300.0
"""Seconds after which a worker that doesn't answer a short question is taken to be lost."""
GRACE = 0.02
"""Seconds that a message may be under way before its sender is called late."""
LONG = 10.0
"""Times the usual time of the pass before after which nobody is waited for."""
PRESS_EVERY = 0.125
"""Of the usual time: how often one who is late is asked for what it has done so far."""
SHORTEST_WAIT, LONGEST_WAIT = 0.0003, 0.004
"""Seconds between two looks at what came."""
LONGER = 1.3
"""Times the wait before, where nothing came."""


class UndecodableError(RuntimeError):
    """The answers that can still come won't do: the pass is to be made another way."""


class Awaited(Protocol):
    """What answers are taken for."""

    @property
    def done(self) -> bool:
        """Whether there are enough."""


class Question(NamedTuple):
    """What a pass asks.

    Attributes
    ----------
    round : int
    fold : Fold
    ask : Ask
    """

    round: int
    fold: Fold
    ask: Ask


class Rules(NamedTuple):
    """When others help.

    Attributes
    ----------
    patience : float
        After how many times the usual time others begin with what isn't done, where they hold it.
    lending : float
        After how many times it is brought to others who don't; infinite for never. What only a
        lost worker held is brought to others in any case.
    second : dict of int to int
        The seat that a part is brought to, where it can.
    before : float
        The usual time of the pass before, in seconds: after many times as much as that, those who
        aren't done are late even if nobody is.
    """

    patience: float
    lending: float
    second: Mapping[int, int]
    before: float = np.inf


class Came(NamedTuple):
    """What a pass came to.

    Attributes
    ----------
    summary : Summary
    error_bound : float
        0 where it is exact, up to rounding; else the norm of what may be amiss in its numbers.
    seconds : ndarray of shape (n_seats,)
        What each seat takes for a part, or at least takes, where it `gave_up`.
    gave_up : ndarray of shape (n_seats,), bool
    usual : float
        Seconds after which half of them were done.
    decoding : float
        Seconds that were spent on decoding and merging.
    spans : tuple of Span
        Who worked, and when.
    lent : dict of int to int
        Which seat a part was brought to, for another one was late with it or gone.
    missing : int
        Blocks of the gradient that weren't waited for, where columns are coded.
    """

    summary: Summary
    error_bound: float
    seconds: Array
    gave_up: Array
    usual: float
    decoding: float
    spans: Spans
    lent: dict[int, int]
    missing: int = 0


@dataclass(eq=False)
class Ledger:
    """How long the seats took for the parts of a pass.

    Parameters
    ----------
    n_seats : int
    """

    n_seats: int
    started: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.finished: dict[int, float] = {}
        self.progress: dict[int, tuple[int, float]] = {}
        self.spans: list[Span] = []

    @property
    def elapsed(self) -> float:
        """Seconds since the pass began."""
        return time.monotonic() - self.started

    def note(self, answered: Answered) -> None:
        """Note how far a seat is; its first task counts, not what it does for others."""
        seat, done = answered.seat, answered.done
        if done.n_parts:
            self.spans.append(done.span)
        if seat not in self.finished and done.n_parts:
            self.progress[seat] = (done.n_parts, done.span.end - done.span.start)
        if answered.is_task:
            self.finished.setdefault(seat, self.elapsed)

    def usual(self, n_working: int) -> float:
        """Return when half of those who work were done; infinite as long as they aren't."""
        times = sorted(self.finished.values())
        half = (n_working + 1) // 2
        return times[half - 1] if 0 < half <= len(times) else np.inf

    def speeds(self) -> tuple[Array, Array, float]:
        """Return seconds for a part, where they are only known to be more, and the usual time."""
        known = [self.progress.get(seat, (0, 0.0)) for seat in range(self.n_seats)]
        seconds = [took / number if number else self.elapsed for number, took in known]
        gave_up = np.array([number == 0 for number, _ in known])
        return np.array(seconds), gave_up, min(self.usual(len(self.finished)), self.elapsed)


class CodedPass:
    """A pass in which parts are told apart; whoever sends a part's summary first is taken.

    Parameters
    ----------
    seats : Seats
    copies : Copies
    question : Question
    shares : tuple of tuples of int
        The parts that each seat begins with.
    rules : Rules
    """

    def __init__(
        self,
        seats: Seats,
        copies: Copies,
        question: Question,
        shares: Shares,
        rules: Rules,
    ) -> None:
        self._seats, self._copies = seats, copies
        self._question, self._rules = question, rules
        self._first = tuple(tuple(p for p in share if copies.parts[p]) for share in shares)
        n_parts = len(copies.parts)
        everything = tuple(range(n_parts))
        self._decoder = PartsDecoder((everything,) * len(seats), n_parts, whatever)
        self._ledger = Ledger(len(seats))
        self._asked: list[set[int]] = [set() for _ in range(len(seats))]
        self._since = [0.0] * len(seats)
        self._pressed = [0.0] * len(seats)
        self._lent: dict[int, int] = {}
        self._decoding = 0.0

    def run(self) -> Came:
        """Make the pass.

        Raises
        ------
        UndecodableError
            If nobody is left.
        """
        empty = [part for part, leaves in enumerate(self._copies.parts) if not leaves]
        self._decoder.add(0, dict.fromkeys(empty, pack({})))
        self._hand_out()
        follow(self._seats, self._question.round, self._decoder, self._take, self._help)
        started = time.perf_counter()
        subtrees = self._decoder.finish().sum.values()
        fold = self._question.fold
        summary = root(join(map(unpack, subtrees), fold), fold)
        self._decoding += time.perf_counter() - started
        self._seats.advance(self._question.round + 1)
        spans = by_place(self._ledger.spans)
        return Came(summary, 0.0, *self._ledger.speeds(), self._decoding, spans, self._lent)

    def _hand_out(self) -> None:
        """Start those who are present, with what the absent would do where they hold it."""
        present = self._seats.present(self._question.round)
        held = self._copies.held
        orders = {seat: [p for p in self._first[seat] if p in held[seat]] for seat in present}
        covered = {part for order in orders.values() for part in order}
        for part in sorted(self._missing() - covered):
            holders = [seat for seat in present if part in held[seat]]
            if holders:
                orders[min(holders, key=lambda seat: len(orders[seat]))].append(part)
        for seat, parts in orders.items():
            if parts:
                self._start(seat, parts)

    def _start(self, seat: int, parts: Sequence[int]) -> None:
        number, fold, ask = self._question
        leaves = {part: self._copies.parts[part] for part in parts}
        self._asked[seat] |= set(parts)
        self._since[seat] = self._ledger.elapsed
        self._seats.start(seat, Task(number, fold, ask, leaves))

    def _take(self, answered: Answered) -> None:
        self._ledger.note(answered)
        started = time.perf_counter()
        if answered.done.summaries:
            self._decoder.add(answered.seat, answered.done.summaries)
        self._decoding += time.perf_counter() - started

    def _help(self) -> None:
        """Have others do what is missing, once it is late or its worker is lost."""
        present = set(self._seats.present(self._question.round))
        if len(self._seats.lost) == len(self._seats):
            raise UndecodableError("no worker is left that answers")
        missing = self._missing()
        behind = {seat for seat in present if missing & self._asked[seat]}
        usual = self._ledger.usual(sum(map(bool, self._asked)))
        usual = min(usual, LONG * self._rules.before)
        late = self._late(behind, self._rules.patience * usual)
        absent = set(range(len(self._seats))) - present
        carrying = {self._lent[part] for part in missing & set(self._lent)}  # owe nothing, may die
        self._press(late | carrying | (absent - self._seats.lost), usual)
        self._press(self._late(behind, SILENT / 10), SILENT / 10)
        self._copies.look()
        wanted = self._only_of(missing, late | absent)
        wanted -= self._begin(wanted, sorted(present - late))
        if wanted:
            slow = self._late(behind | absent, self._rules.lending * usual)
            self._lend(self._only_of(wanted, slow | self._seats.lost), sorted(present - late))

    def _missing(self) -> set[int]:
        return set(range(len(self._copies.parts))) - set(self._decoder.summaries)

    def _late(self, seats: set[int], after: float) -> set[int]:
        """Return those who have been at it for longer than some seconds."""
        now = self._ledger.elapsed - GRACE
        return {seat for seat in seats if now - self._since[seat] > after}

    def _press(self, seats: set[int], usual: float) -> None:
        """Ask for what is done so far, every now and then."""
        now = self._ledger.elapsed
        for seat in seats:
            if now > self._pressed[seat] + max(GRACE, PRESS_EVERY * usual):
                self._pressed[seat] = now
                self._seats.press(seat, self._question.round)

    def _only_of(self, parts: set[int], seats: set[int]) -> set[int]:
        """Return those of some parts that nobody but some seats has been asked for."""
        others = set(range(len(self._seats))) - seats
        return parts - {part for seat in others for part in self._asked[seat]}

    def _begin(self, wanted: set[int], helpers: list[int]) -> set[int]:
        """Start helpers on parts that they hold, the last first: who is late comes from there."""
        orders: dict[int, list[int]] = {}
        for part in sorted(wanted, reverse=True):
            holders = [seat for seat in helpers if part in self._copies.held[seat]]
            if holders:
                helper = min(holders, key=lambda seat: len(orders.get(seat, ())))
                orders.setdefault(helper, []).append(part)
        for helper, parts in orders.items():
            self._start(helper, parts)
        return {part for parts in orders.values() for part in parts}

    def _lend(self, wanted: set[int], helpers: list[int]) -> None:
        """Bring parts to others, their second holders where those can."""
        lost, counts = self._seats.lost, dict.fromkeys(helpers, 0)
        orders: dict[int, set[int]] = {}
        for part in sorted(wanted if helpers else ()):
            seat = self._lent.get(part, -1)
            if seat in lost | {-1}:
                seat = self._rules.second.get(part, -1)
                if seat not in counts:
                    seat = min(counts, key=lambda helper: counts[helper])
                counts[seat] += 1
                self._lent[part] = seat
            orders.setdefault(seat, set()).add(part)  # again, where what was on its way was lost
        self._copies.bring(orders)


class LinearPass:
    """A pass in which each seat sends a sum of its parts' summaries, as a vector.

    Parameters
    ----------
    seats : Seats
    copies : Copies
    question : Question
        With a fold that is additive.
    assignment : Assignment
        With coefficients, and a piece for each worker.
    decoder : Decoder
    """

    def __init__(
        self,
        seats: Seats,
        copies: Copies,
        question: Question,
        assignment: Assignment,
        decoder: Decoder,
    ) -> None:
        self._seats, self._copies, self._question = seats, copies, question
        self._assignment, self._decoder = assignment, decoder
        self._ledger = Ledger(len(seats))
        self._flats: dict[int, Flat] = {}
        self._decoding = 0.0

    def run(self) -> Came:
        """Make the pass.

        Raises
        ------
        UndecodableError
            If too few can answer, or an answer isn't finite: the parts then tell more.
        """
        for seat in self._seats.present(self._question.round):
            self._start(seat)
        follow(self._seats, self._question.round, self._decoder, self._take, self._watch)
        started = time.perf_counter()
        total, bound = self._decoder.finish()
        maxima = np.max([flat.maxima for flat in self._flats.values()], axis=0, initial=-np.inf)
        form = next(iter(self._flats.values())).form
        summary = unflatten(Flat(total, maxima, form))
        self._decoding += time.perf_counter() - started
        self._seats.advance(self._question.round + 1)
        spans = by_place(self._ledger.spans)
        return Came(summary, bound, *self._ledger.speeds(), self._decoding, spans, {})

    def _start(self, seat: int) -> None:
        number, fold, ask = self._question
        matrix = self._assignment.coefficients
        assert matrix is not None
        parts = self._assignment.parts[seat]
        leaves = {part: self._copies.parts[part] for part in parts}
        coefficients = {part: float(matrix[seat, part]) for part in parts}
        self._seats.start(seat, Task(number, fold, ask, leaves, coefficients))

    def _take(self, answered: Answered) -> None:
        self._ledger.note(answered)
        flat = answered.done.total
        if flat is None:
            return
        started = time.perf_counter()
        try:
            self._decoder.add(answered.seat, flat.sums)
        except NotFiniteError as error:
            raise UndecodableError(str(error)) from error
        self._flats[answered.seat] = flat
        self._decoding += time.perf_counter() - started

    def _watch(self) -> None:
        """See that someone still works, and that those who are late still answer."""
        number = self._question.round
        busy = [s for s in range(len(self._seats)) if self._seats.is_busy(s, number)]
        if not busy:
            raise UndecodableError("too few workers are left for this code")
        if self._ledger.elapsed > SILENT / 10:
            for seat in busy:
                self._seats.press(seat, number)


def follow(
    seats: Seats,
    round_number: int,
    decoder: Awaited,
    take: Callable[[Answered], None],
    otherwise: Callable[[], None],
) -> None:
    """Take answers until there are enough."""
    wait = SHORTEST_WAIT
    while not decoder.done:
        answers = seats.collect(round_number)
        for answered in answers:
            take(answered)
        if decoder.done:
            return
        otherwise()
        for seat in range(len(seats)):
            if seats.silent_for(seat) > SILENT:
                seats.lose(seat)
        wait = SHORTEST_WAIT if answers else min(LONGER * wait, LONGEST_WAIT)
        time.sleep(wait)


def dealt(shares: Shares, n_parts: int) -> Shares:
    """Give each part to one of those who hold it, evenly.

    Examples
    --------
    >>> dealt(((0, 1), (1, 0)), 2)
    ((0,), (1,))
    """
    first: list[list[int]] = [[] for _ in shares]
    for part in range(n_parts):
        holders = [seat for seat, parts in enumerate(shares) if part in parts]
        first[min(holders, key=lambda seat: len(first[seat]))].append(part)
    return tuple(map(tuple, first))


def whatever(payload: object) -> bool:
    """Take any answer: what isn't finite shows in the merged summary."""
    return True
