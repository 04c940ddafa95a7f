"""The table of a coded fit: members with the parts that they hold, and the code they work under."""

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np
from distributed import Client

from flowml.codes.code import Assignment, Code, runs
from flowml.codes.directional_derivative import DirectionalDerivativeCode
from flowml.codes.lent_parts import LentParts, rehomed
from flowml.codes.moved_shares import MovedShares
from flowml.codes.uncoded import Uncoded
from flowml.data.dataset import Dataset
from flowml.kernels.fold import Ask, Fold
from flowml.pool import Pool
from flowml.runtimes.cluster.graphs import unique_token
from flowml.runtimes.coded.coded_pass import (
    Came,
    CodedPass,
    LinearPass,
    Question,
    UndecodableError,
    dealt,
)
from flowml.runtimes.coded.columns import Encoded, encode
from flowml.runtimes.coded.copies import Copies
from flowml.runtimes.coded.desk import get_up, sit_down
from flowml.runtimes.coded.reading import Reading
from flowml.runtimes.coded.seats import Seats
from flowml.runtimes.coded.stragglers import (
    AUTO,
    REMEMBERED,
    Handling,
    Watch,
    count_parts,
    count_seats,
    first_code,
    rules_of,
)
from flowml.runtimes.elastic.lookout import in_words
from flowml.runtimes.gangs.gang import LOST, Gang
from flowml.runtimes.placement import Placement, Worker, room_of

SETTLED_WITHIN = 0.5
"""Seconds that members have at the end of a fit to answer what they owe."""
SEATED_WITHIN = 60.0
"""Seconds that members have at its start."""
HEARD_WITHIN = 30.0
"""Seconds that a worker may be stopped at the start of a fit before that goes on without it."""


class Table:
    """A gang at work on one fit.

    Parameters
    ----------
    dataset : Dataset
    placement : Placement
    client : distributed.Client
    workers : sequence of Worker
    pool : Pool or None
        Where gangs come from, and go to.
    handling : Handling
        What is done about stragglers.
    """

    def __init__(
        self,
        dataset: Dataset,
        placement: Placement,
        client: Client,
        workers: Sequence[Worker],
        pool: Pool | None,
        handling: Handling,
    ) -> None:
        n_leaves = len(placement.leaves)
        n_seats = count_seats(handling, len(workers), n_leaves)
        workers = tuple(workers[:n_seats])
        parts = cut_parts(placement, workers, count_parts(handling, n_seats, n_leaves))
        self._handling = handling
        self._code = first_code(handling, n_seats, weights_of(dataset, placement, parts))
        self._assignment = self._code.assignment()
        self._next: Code | None = None
        self._leaving: set[int] = set()
        self._with_copies = has_room_for_copies(dataset, workers)
        self._watch: Watch | None = None
        if handling.straggler == AUTO and 1 < n_seats <= n_leaves:
            self._watch = Watch(n_seats, len(parts), self._with_copies)
        self._fit = unique_token()
        self._round = 0
        self._usual = float("inf")
        self._loading = 0.0
        self._known_lost: set[int] = set()
        self._kind = ("gang", client.id, workers)
        self._gang = (
            Gang(client, workers)
            if pool is None
            else pool.borrow(self._kind, lambda: Gang(client, workers))
        )
        self._seats = Seats(self._gang, self._fit)
        self._copies = Copies(dataset, placement, self._gang, self._fit, parts)

    def open(self) -> list[str]:
        """Seat the members and wait for their parts; tell what that takes."""
        started = time.monotonic()
        self._copies.read(self._holdings(self._assignment))  # read as the members sit down
        quiet = self._gang.gather_heard(HEARD_WITHIN)
        for seat in quiet:
            self._seats.lose(seat)
            self._copies.lose(seat)
        self._known_lost.update(quiet)
        for answer in self._gang.ask_all(sit_down, self._fit):
            answer.result(SEATED_WITHIN)
        reading = Reading(self._copies, rules_of(self._code, self._handling).lending)
        lent = reading.run()
        for seat in reading.gone:
            self._seats.lose(seat)
        self._loading = time.monotonic() - started
        news = [
            f"worker {self._address(seat)} wasn't heard of for {HEARD_WITHIN:g} s as the fit "
            "began, which goes on without it: others read its rows"
            for seat in quiet
        ]
        if lent:
            return [*news, *self._lend(lent, "read its rows late", "were read by")]
        held = sum(self._copies.nbytes(parts) for parts in self._copies.held)
        extra = held - self._copies.nbytes(range(len(self._copies.parts)))
        if extra <= 0:
            return news
        return [
            *news,
            f"{self._code.name}: second workers hold copies of {extra / 1e6:.1f} MB of rows",
        ]

    def encode(self, code: DirectionalDerivativeCode) -> Encoded:
        """Have the members' workers make columns of their rows.

        Raises
        ------
        LookupError
            If a worker goes meanwhile.
        """
        return encode(self._gang.client, self._gang.workers, code, self._copies.shards())

    @property
    def n_seats(self) -> int:
        """Members, the lost ones too."""
        return len(self._seats)

    def prepare(self) -> list[str]:
        """Go over to another code, once the rows that it takes have come; tell of it."""
        if self._next is None:
            return []
        wanted = self._needed(self._next)
        self._copies.look()
        if not self._copies.are_there(wanted):
            self._copies.bring(wanted)  # again, where a worker was lost
            return []
        self._work_under(self._next)
        self._next = None
        leaving, self._leaving = sorted(self._leaving - self._seats.lost), set()
        self._known_lost.update(leaving)
        self.part_with([self._gang.workers[seat] for seat in leaving])
        return [f"from here on: {self._code.name}"]

    def has_seats_for(self, n_workers: int) -> bool:
        """Tell whether more can come, or leave: if the code isn't made for a number of them."""
        enough = len(self._seats) + n_workers <= len(self._copies.parts)
        return enough and self._handling.straggler in (AUTO, "none")

    @property
    def workers(self) -> list[Worker]:
        """Those of the members that aren't lost, nor to leave."""
        away = self._seats.lost | self._leaving
        return [one for seat, one in enumerate(self._gang.workers) if seat not in away]

    @property
    def is_settled(self) -> bool:
        """Whether no member is still to leave."""
        return not self._leaving

    def could_seat(self, n_workers: int) -> bool:
        """Tell whether more of so many workers would take part, if all began anew."""
        n_leaves = sum(map(len, self._copies.parts))
        n_seats = count_seats(self._handling, n_workers, n_leaves)
        n_parts = count_parts(self._handling, n_seats, n_leaves)
        try:
            first_code(self._handling, n_seats, [1.0] * n_parts)
        except ValueError:
            return False
        return n_seats > len(self.workers)

    def part_with(self, workers: Sequence[Worker]) -> None:
        """Let members go, whose parts others do."""
        for worker in workers:
            seat = self._gang.workers.index(worker)
            self._seats.dismiss(seat)
            self._copies.lose(seat)

    def regroup(self, staying: Sequence[Worker]) -> tuple[str, ...]:
        """Have workers that came do parts of others, and those that leave give theirs away.

        Passes go on as they were until the rows have moved.
        """
        before, homes = self.workers, self._homes()
        slowness = self._watch.slowness() if self._watch is not None else [1.0] * len(self._seats)
        for worker in staying:
            if worker not in before:
                self._admit(worker)
        slowness += [1.0] * (len(self._seats) - len(slowness))
        there = set(staying)
        self._leaving |= {
            seat
            for seat, worker in enumerate(self._gang.workers)
            if seat not in self._seats.lost and worker not in there
        }
        away = self._leaving | self._seats.lost
        paces = {seat: pace for seat, pace in enumerate(slowness) if seat not in away}
        after = LentParts(len(self._seats), rehomed(homes, paces))
        self._work_under(LentParts(len(self._seats), homes))
        self._next = after
        self._copies.bring(self._needed(after))
        parts = self._copies.parts
        moving = [len(parts[part]) for part, home in enumerate(homes) if home != after.homes[part]]
        return in_words(before, staying, sum(moving), sum(map(len, parts)))

    def run(self, fold: Fold, ask: Ask, linear: bool) -> Came:
        """Make a pass.

        Raises
        ------
        UndecodableError
            If no worker is left.
        """
        code, shares = self._code, self._assignment.parts
        if linear:
            try:
                members = self._seats, self._copies, self._question(fold, ask)
                return LinearPass(*members, self._assignment, code.decoder()).run()
            except UndecodableError:
                pass  # the parts' own summaries tell more
        if self._assignment.linear:
            shares = dealt(shares, len(self._copies.parts))
        members = self._seats, self._copies, self._question(fold, ask)
        rules = rules_of(code, self._handling)._replace(before=self._usual)
        return CodedPass(*members, shares, rules).run()

    def learn(self, came: Came) -> list[str]:
        """Note how long the members took, and decide what the next passes run under."""
        self._usual = came.usual
        lent = self._lend(came.lent, "was late", "were brought to") if came.lent else []
        news = [*lent, *self._tell_lost()]
        if self._watch is None:
            return news
        self._watch.note(came.seconds, came.gave_up, self._seats.lost)
        if self._next is None:
            choice = self._watch.next(self._code)
            codes = [choice.code, without_backups(choice.code)]
            worth = [code for code in codes if self._is_worth_it(code, choice.gain)]
            if choice.code != self._code and worth and worth[0] != self._code:
                self._next = worth[0]
                brought = self._bring(worth[0])
                news.append(f"{choice.reason}; {brought}" if brought else choice.reason)
        return news

    def clear(self, pool: Pool | None) -> None:
        """Let go of everything; the gang serves the next fit, if all of it is there."""
        with suppress(*LOST):
            self._gang.ask_all(get_up, self._fit)
        whole = bool(self._gang.members) and self._seats.settle(SETTLED_WITHIN)
        self._copies.close()
        same = self._gang.workers == self._kind[-1]
        if pool is not None and whole and same:
            pool.give_back(self._kind, self._gang)
        else:
            self._gang.close()

    def _work_under(self, code: Code) -> None:
        self._code, self._assignment = code, code.assignment()

    def _homes(self) -> tuple[int, ...]:
        """Return the seat that does each part."""
        if isinstance(self._code, Uncoded | LentParts | MovedShares):
            return self._code.homes
        shares = dealt(self._assignment.parts, len(self._copies.parts))
        homes = {part: seat for seat, parts in enumerate(shares) for part in parts}
        return tuple(homes[part] for part in sorted(homes))

    def _admit(self, worker: Worker) -> None:
        """Seat another member, unless its worker is gone again."""
        with suppress(*LOST):
            number = self._gang.admit(worker)
            self._seats.admit()
            self._copies.admit()
            try:
                self._gang.ask(number, sit_down, self._fit).result(SEATED_WITHIN)
            except LOST:
                self._seats.lose(number)
        if self._watch is not None:
            self._watch = Watch(len(self._seats), len(self._copies.parts), self._with_copies)

    def _question(self, fold: Fold, ask: Ask) -> Question:
        self._round += 1
        return Question(self._round, fold, ask)

    def _holdings(self, assignment: Assignment) -> dict[int, tuple[int, ...]]:
        """Return the parts that members hold under a code, those that aren't lost."""
        backups = assignment.backups or ((),) * len(assignment.parts)
        pairs = enumerate(zip(assignment.parts, backups, strict=True))
        lost = self._seats.lost
        return {seat: (*first, *second) for seat, (first, second) in pairs if seat not in lost}

    def _needed(self, code: Code) -> dict[int, tuple[int, ...]]:
        """Return the parts that members must hold to work under a code, without mere measures."""
        if not isinstance(code, LentParts):
            return self._holdings(code.assignment())
        homes = enumerate(code.homes)
        pairs = [(home, part) for part, home in homes if home not in self._seats.lost]
        return {seat: tuple(p for s, p in pairs if s == seat) for seat, _ in pairs}

    def _bring(self, code: Code) -> str:
        """Send for what a code takes, and say how much that is."""
        missing = self._missing(code)
        self._copies.bring(self._holdings(code.assignment()))
        megabytes = self._copies.nbytes(missing) / 1e6
        return f"copies of {megabytes:.1f} MB of rows are on their way" if missing else ""

    def _missing(self, code: Code) -> list[int]:
        """Return the parts that are to be copied for a code, as often as they are."""
        wanted, held = self._holdings(code.assignment()), self._copies.held
        return [part for seat in wanted for part in set(wanted[seat]) - held[seat]]

    def _is_worth_it(self, code: Code, gain: float) -> bool:
        """Tell whether a few passes save the time that it takes to bring copies."""
        share = len(self._missing(code)) / len(self._copies.parts)
        return share * self._loading <= REMEMBERED * gain

    def _lend(self, lent: Mapping[int, int], why: str, how: str) -> list[str]:
        """Have parts done by those that they were lent to, from here on; say so."""
        news = []
        for seat, parts in enumerate(self._assignment.parts):
            if some := [part for part in parts if part in lent]:
                others = len({lent[part] for part in some})
                news.append(
                    f"worker {self._address(seat)} {why}: {len(some)} of its {len(parts)} parts "
                    f"{how} {others} other workers, which keep these copies "
                    f"({self._copies.nbytes(some) / 1e6:.1f} MB of rows)"
                )
        if self._watch is not None and isinstance(self._code, Uncoded | LentParts):
            homes = tuple(lent.get(part, home) for part, home in enumerate(self._code.homes))
            self._work_under(LentParts(len(self._seats), homes))
        return news

    def _tell_lost(self) -> list[str]:
        news = []
        for seat in sorted(self._seats.lost - self._known_lost):
            self._copies.lose(seat)
            left = len(self._seats) - len(self._seats.lost)
            news.append(
                f"worker {self._address(seat)} is gone: others do its parts from here on, "
                f"{left} workers are left"
            )
        self._known_lost |= self._seats.lost
        return news

    def _address(self, seat: int) -> str:
        return self._gang.workers[seat].address


def without_backups(code: Code) -> Code:
    """Return moved shares alone, which take fewer copies."""
    return replace(code, patience=np.inf) if isinstance(code, MovedShares) else code


def cut_parts(
    placement: Placement, workers: Sequence[Worker], n_parts: int
) -> list[tuple[int, ...]]:
    """Cut the leaves into parts; neighbours are those that the placement has at one worker."""
    seats = {worker.address: seat for seat, worker in enumerate(workers)}
    shards = sorted(placement.shards, key=lambda shard: seats.get(shard.worker, 0))
    leaves = [leaf for shard in shards for leaf in shard.leaves]
    return [tuple(leaves[place] for place in run) for run in runs(len(leaves), n_parts)]


def weights_of(
    dataset: Dataset, placement: Placement, parts: Sequence[tuple[int, ...]]
) -> list[float]:
    """Return how many rows the parts have; 1 for each where that isn't known."""
    blocks = [[block for leaf in part for block in placement.leaves[leaf]] for part in parts]
    rows = [[dataset.parts[block].rows for block in part] for part in blocks]
    if any(count is None for part in rows for count in part):
        return [1.0] * len(parts)
    return [float(sum(count or 0 for count in part)) for part in rows]


def has_room_for_copies(dataset: Dataset, workers: Sequence[Worker]) -> bool:
    """Tell whether the workers have room for the rows twice, as far as it is known."""
    if dataset.nbytes is None or any(worker.memory == 0 for worker in workers):
        return True
    return 2 * dataset.nbytes <= sum(map(room_of, workers))
