"""One pass over coded columns: predictors by those who are there, then derivatives by enough."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from flowml.codes.directional_derivative import DirectionalDerivativeCode
from flowml.kernels.column_halves import DERIVATIVES, PREDICTORS
from flowml.kernels.fold import Fold, Summary
from flowml.kernels.linear_loss import LossSums, Point, Tally, Told, tell
from flowml.kernels.rows import Array, Block
from flowml.runtimes.coded.coded_pass import (
    GRACE,
    LONG,
    SILENT,
    Came,
    Ledger,
    UndecodableError,
    follow,
)
from flowml.runtimes.coded.desk import Task
from flowml.runtimes.coded.seats import Answered, Seats
from flowml.runtimes.span import by_place

LATE = 2.0
"""Times the time in which half of them were done, after which predictors come without the rest."""
WHOLE = 0
"""The only part of a member, and its only leaf: its pieces, side by side."""


class Columns(NamedTuple):
    """What passes go over.

    Attributes
    ----------
    seats : Seats
    code : DirectionalDerivativeCode
    beside : Block
        y and weights of all rows, and no column.
    """

    seats: Seats
    code: DirectionalDerivativeCode
    beside: Block


@dataclass(eq=False)
class Half:
    """Collects the members' products in one round.

    Parameters
    ----------
    is_enough : callable ``products, late -> bool``
        Tells from the products by seat, and from whether who is missing is late.
    ledger : Ledger
    before : float
        What rounds before usually took, in seconds: after many times that, those who are missing
        are late even if nobody has answered.
    """

    is_enough: Callable[[dict[int, Array], bool], bool]
    ledger: Ledger
    before: float
    products: dict[int, Array] = field(default_factory=dict, init=False)
    n_asked: int = field(default=0, init=False)

    def take(self, answered: Answered) -> None:
        """Take an answer."""
        self.ledger.note(answered)
        if answered.done.total is not None:
            self.products[answered.seat] = answered.done.total.sums

    @property
    def done(self) -> bool:
        """Whether it is time to go on."""
        usual = min(self.ledger.usual(self.n_asked), LONG * self.before)
        return self.is_enough(self.products, self.ledger.elapsed > LATE * usual + GRACE)


class DirectionalPass:
    """Value and gradient of a linear model's loss at some points, exactly.

    *Predictors.* Each member that isn't behind multiplies its pieces by coefficients that make up
    for the columns of those who are (`DirectionalDerivativeCode.spread`). Who turns out to be late
    is made up for by the others in another round, with what the coefficients differ by.

    *Derivatives.* All multiply their pieces by the loss's derivatives; peeling frees the blocks of
    the gradient, and the pass ends with the last.

    Parameters
    ----------
    columns : Columns
    number : int
        The last round before.
    usual : float
        What a round took before, in seconds; infinite where that isn't known.
    points : sequence of Point
        Of one loss, target and center.

    Attributes
    ----------
    number, usual
        The same of the last round of this pass.
    sums : tuple of LossSums
        What it came to, at each point.
    decoding : float
        Seconds for coding coefficients and decoding blocks.
    """

    def __init__(
        self, columns: Columns, number: int, usual: float, points: Sequence[Point]
    ) -> None:
        self._seats, self._code, self._beside = columns
        self._points, self.number, self.usual = points, number, usual
        self.sums: tuple[LossSums, ...] = ()
        self.decoding = 0.0
        self._ledgers: list[Ledger] = []

    def run(self) -> None:
        """Make the pass.

        Raises
        ------
        UndecodableError
            If too few can answer.
        """
        coef = np.vstack([point.coef for point in self._points])
        etas = np.split(self._predictors(coef), len(self._points), axis=1)
        tallies = np.zeros((len(self._points), len(Tally._fields)))
        told = list(map(self._tell, self._points, etas, tallies))
        weighted = np.vstack([each.weighted for each in told])
        sound = np.isfinite(weighted).all(axis=1)
        products = np.full((self._code.n_features, len(weighted)), np.nan)
        if sound.any():
            products[:, sound] = self._derivatives(weighted[sound])
        self._seats.advance(self.number + 1)
        self.sums = tuple(map(_sums, self._points, told, tallies, np.split(products.T, len(told))))

    def came(self, summary: Summary) -> Came:
        """Return what there is to tell of the pass, beside a summary."""
        spans = by_place(span for ledger in self._ledgers for span in ledger.spans)
        speeds = self._ledgers[-1].speeds()
        return Came(summary, 0.0, *speeds, self.decoding, spans, {})

    def _tell(self, point: Point, eta: Array, tally: Array) -> Told:
        """Ask the loss about all rows."""
        target, beside = point.target, self._beside
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            eta = eta + point.intercept + target.added(beside)
            return tell(point.loss, target.read(beside), eta, tally)

    def _predictors(self, coef: Array) -> Array:
        """Return what all columns add to the predictors: (n_rows, n_points * n_outputs)."""
        given: dict[int, Array] = {}
        total = np.zeros((len(self._beside.X), len(coef)))
        sums: dict[int, Array] = {}
        late, behind = list[int](), self._seats.behind(self.number + 1)
        absent = self._spared(behind)
        while True:
            wanted = self._coefficients(coef, absent)
            news = {seat: own - given.get(seat, 0.0) for seat, own in wanted.items()}
            asked = {seat: own for seat, own in news.items() if own.any()}
            products, missing = self._first_half(asked, late)
            for seat, product in products.items():
                given[seat] = wanted[seat]
                sums[seat] = sums.get(seat, 0.0) + product
            if not missing:
                break
            late += missing
            absent = self._spared([*late, *behind])
        for seat in sorted(set(sums) - absent):
            total += sums[seat].reshape(total.shape)
        return total

    def _first_half(
        self, asked: dict[int, Array], before: list[int]
    ) -> tuple[dict[int, Array], list[int]]:
        """Return products, and those who are late with theirs, if the rest can do without them.

        They must do without those, too, who were late `before` in this pass: who is taken back is
        asked anew, and two who are slow would never be waited for.
        """

        def missing(products: dict[int, Array]) -> list[int]:
            return sorted(set(asked) - set(products))

        def is_enough(products: dict[int, Array], is_late: bool) -> bool:
            left = missing(products)
            late = [*before, *left]
            is_late = is_late or bool(set(left) & self._seats.lost)
            return not left or (is_late and set(late) <= self._spared(late))

        half = Half(is_enough, self._ledger(), self.usual)
        self._ask(half, PREDICTORS, asked)
        return half.products, missing(half.products)

    def _derivatives(self, weighted: Array) -> Array:
        """Return the derivatives by columns: (n_features, n_points * n_outputs)."""
        code, n_columns = self._code, len(weighted)
        decoder = code.decoder(n_columns)

        def is_enough(products: dict[int, Array], late: bool) -> bool:
            started = time.perf_counter()
            for seat in [seat for seat in products if seat not in decoded]:
                decoded.add(seat)
                vectors = products[seat].reshape(-1, code.width * n_columns)
                decoder.add(seat, dict(zip(code.pieces[seat], vectors, strict=True)))
            self.decoding += time.perf_counter() - started
            return decoder.done

        decoded: set[int] = set()
        ask = np.ascontiguousarray(weighted.T)
        present = self._seats.present(self.number + 1)
        self._ask(
            Half(is_enough, self._ledger(), self.usual), DERIVATIVES, dict.fromkeys(present, ask)
        )
        started = time.perf_counter()
        gradient: Array = decoder.finish().sum.reshape(-1, n_columns)
        self.decoding += time.perf_counter() - started
        return gradient

    def _ask(self, half: Half, fold: Fold, asks: Mapping[int, Array]) -> None:
        """Make a round of one half."""
        self.number += 1
        half.n_asked = len(asks)
        for seat, ask in asks.items():
            task = Task(self.number, fold, ask, {WHOLE: (WHOLE,)}, {WHOLE: 1.0})
            self._seats.start(seat, task)
        follow(self._seats, self.number, half, half.take, lambda: self._watch(half))
        self.usual = min(half.ledger.usual(half.n_asked), LONG * self.usual)

    def _watch(self, half: Half) -> None:
        """See that enough can still come, and that those who are late still answer."""
        busy = [s for s in range(len(self._seats)) if self._seats.is_busy(s, self.number)]
        self._spared(())
        if not busy and not half.done:
            raise UndecodableError("too few workers are left for this code")
        if half.ledger.elapsed > SILENT / 10:
            for seat in busy:
                self._seats.press(seat, self.number)

    def _coefficients(self, coef: Array, absent: set[int]) -> dict[int, Array]:
        """Return what each seat is to multiply its columns by."""
        started = time.perf_counter()
        solution = self._code.solution(frozenset(absent))
        if solution is None:
            raise UndecodableError("too few workers are left for this code")
        spread = self._code.spread(coef, solution)
        own = {
            seat: spread[list(pieces)].reshape(-1, len(coef))
            for seat, pieces in enumerate(self._code.pieces)
            if seat not in absent
        }
        self.decoding += time.perf_counter() - started
        return own

    def _spared(self, seats: Iterable[int]) -> set[int]:
        """Return those of some seats, the first ones first, that the others can do without."""
        spared = set(self._seats.lost)
        if self._code.solution(frozenset(spared)) is None:
            raise UndecodableError("too few workers are left for this code")
        for seat in seats:
            if self._code.solution(frozenset(spared | {seat})) is not None:
                spared.add(seat)
        return spared

    def _ledger(self) -> Ledger:
        self._ledgers.append(Ledger(len(self._seats)))
        return self._ledgers[-1]


def _sums(point: Point, told: Told, tally: Array, products: Array) -> LossSums:
    """Put a summary together, with derivatives by columns less their center."""
    total, value, spread, largest, broken = Tally(*tally.tolist())
    slope = told.weighted.sum(axis=1, keepdims=True)
    gradient = np.hstack([products - slope * point.center, slope])
    return LossSums(total, value, spread, gradient, None, largest, int(broken), told.pearson)
