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


class Predicted(NamedTuple):
    """What columns added to the predictors of some points.

    Attributes
    ----------
    coef : ndarray of shape (n_points * n_outputs, n_features)
    sums : ndarray of shape (n_rows, n_points * n_outputs)
    """

    coef: Array
    sums: Array


class Before(NamedTuple):
    """What a pass goes by of the one before.

    Attributes
    ----------
    number : int
        Its last round.
    usual : float
        What a round took, in seconds; infinite where that isn't known.
    predicted : Predicted or None
        None where they overflow, too.
    """

    number: int = 0
    usual: float = np.inf
    predicted: Predicted | None = None


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
    """Value and gradient of a linear model's loss at some points, exactly, or but for some blocks.

    *Predictors.* Each member that isn't behind multiplies its pieces by coefficients that make up
    for the columns of those who are (`DirectionalDerivativeCode.spread`). Who turns out to be late
    is made up for by the others in another round, with what the coefficients differ by.

    *Derivatives.* All multiply their pieces by the loss's derivatives; peeling frees the blocks of
    the gradient, and the pass ends with the last.

    *Gaps.* Where blocks may be missing, it ends once half of the members have answered and the
    others are late. Derivatives that aren't freed are NaN. Predictors are never short of anything:
    if more members are behind than can be made up for, what the coefficients changed by since the
    pass before is multiplied instead, and blocks that were missing there haven't changed.

    Parameters
    ----------
    columns : Columns
    before : Before
    points : sequence of Point
        Of one loss, target and center.
    gaps : bool
        Whether blocks may be missing.

    Attributes
    ----------
    after : Before
        What this pass leaves to the next.
    sums : tuple of LossSums
        What it came to, at each point.
    missing : int
        How many blocks aren't in it.
    error_bound : float
        About their norm.
    decoding : float
        Seconds for coding coefficients and decoding blocks.
    """

    def __init__(
        self, columns: Columns, before: Before, points: Sequence[Point], gaps: bool
    ) -> None:
        self._seats, self._code, self._beside = columns
        self._points, self._gaps, self.after = points, gaps, before
        self._first = before.number + 1
        self._moved: Array = np.ones(self._code.n_blocks, dtype=bool)
        self.sums: tuple[LossSums, ...] = ()
        self.missing, self.error_bound, self.decoding = 0, 0.0, 0.0
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
        self._seats.advance(self._next)
        self.sums = tuple(map(_sums, self._points, told, tallies, np.split(products.T, len(told))))

    def came(self, summary: Summary) -> Came:
        """Return what there is to tell of the pass, beside a summary."""
        spans = by_place(span for ledger in self._ledgers for span in ledger.spans)
        speeds = self._ledgers[-1].speeds()
        return Came(
            summary, self.error_bound, *speeds, self.decoding, spans, {}, missing=self.missing
        )

    def _tell(self, point: Point, eta: Array, tally: Array) -> Told:
        """Ask the loss about all rows."""
        target, beside = point.target, self._beside
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            eta = eta + point.intercept + target.added(beside)
            return tell(point.loss, target.read(beside), eta, tally)

    @property
    def _next(self) -> int:
        return self.after.number + 1

    def _predictors(self, coef: Array) -> Array:
        """Return what all columns add to the predictors: (n_rows, n_points * n_outputs)."""
        before, behind = self.after.predicted, set(self._seats.behind(self._first))
        known = self._gaps and before is not None and before.coef.shape == coef.shape
        if known and not behind <= self._spared(behind):
            assert before is not None
            change = coef - before.coef
            self._moved = self._code.blocks_of(np.any(change, axis=0))
            sums = before.sums + self._products(change)
        else:
            sums = self._products(coef)
        kept = Predicted(coef, sums) if np.isfinite(sums).all() else None
        self.after = self.after._replace(predicted=kept)
        return sums

    def _products(self, coef: Array) -> Array:
        """Return the columns times coefficients that are zero but for the blocks that moved."""
        given: dict[int, Array] = {}
        total = np.zeros((len(self._beside.X), len(coef)))
        sums: dict[int, Array] = {}
        late = list[int]()
        while True:
            absent = self._spared([*late, *self._seats.behind(self._first)])
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
        for seat in sorted(set(sums) - absent):
            total += sums[seat].reshape(total.shape)
        return total

    def _first_half(
        self, asked: dict[int, Array], before: list[int]
    ) -> tuple[dict[int, Array], list[int]]:
        """Return products, and those who are late with theirs, if the rest can do without them.

        They must do without those, too, who were late `before` in this pass (who is taken back is
        asked anew, and two who are slow would never be waited for), and those who are behind with
        earlier ones, as long as they are: to spare another one would bring them back.
        """

        def missing(products: dict[int, Array]) -> list[int]:
            return sorted(set(asked) - set(products))

        def is_enough(products: dict[int, Array], is_late: bool) -> bool:
            left = missing(products)
            late = [*before, *self._seats.behind(self._first), *left]
            is_late = is_late or bool(set(left) & self._seats.lost)
            return not left or (is_late and set(late) <= self._spared(late))

        half = Half(is_enough, self._ledger(), self.after.usual)
        if asked:
            self._ask(half, PREDICTORS, asked)
        return half.products, missing(half.products)

    def _derivatives(self, weighted: Array) -> Array:
        """Return the derivatives by columns about their center: (n_features, n_columns)."""
        code, n_columns = self._code, len(weighted)
        decoder = code.decoder(n_columns)
        present = set(self._seats.present(self._next))
        behind = set(self._seats.behind(self._next))

        def is_enough(products: dict[int, Array], late: bool) -> bool:
            started = time.perf_counter()
            for seat in [seat for seat in products if seat not in decoded]:
                decoded.add(seat)
                vectors = products[seat].reshape(-1, code.width * n_columns)
                decoder.add(seat, dict(zip(code.pieces[seat], vectors, strict=True)))
            self.decoding += time.perf_counter() - started
            late = late or present - set(products) <= behind
            return decoder.done or (self._gaps and late and 2 * len(products) >= len(self._seats))

        decoded: set[int] = set()
        ask = np.ascontiguousarray(weighted.T)
        half = Half(is_enough, self._ledger(), self.after.usual)
        self._ask(half, DERIVATIVES, dict.fromkeys(sorted(present), ask))
        started = time.perf_counter()
        gradient: Array = decoder.finish().sum.reshape(-1, n_columns)
        gradient -= np.outer(self._points[0].center, weighted.sum(axis=1))
        for block in decoder.missing:
            gradient[code.coordinates(block)] = np.nan
        self.missing = len(decoder.missing)
        self.error_bound = decoder.bound(gradient[np.isfinite(gradient)])
        self.decoding += time.perf_counter() - started
        return gradient

    def _ask(self, half: Half, fold: Fold, asks: Mapping[int, Array]) -> None:
        """Make a round of one half."""
        number, half.n_asked = self._next, len(asks)
        self.after = self.after._replace(number=number)
        for seat, ask in asks.items():
            task = Task(number, fold, ask, {WHOLE: (WHOLE,)}, {WHOLE: 1.0})
            self._seats.start(seat, task)
        follow(self._seats, number, half, half.take, lambda: self._watch(half))
        usual = min(half.ledger.usual(half.n_asked), LONG * self.after.usual)
        self.after = self.after._replace(usual=usual)

    def _watch(self, half: Half) -> None:
        """See that enough can still come, and that those who are late still answer."""
        number = self.after.number
        busy = [s for s in range(len(self._seats)) if self._seats.is_busy(s, number)]
        self._check_left()
        if not busy and not half.done:
            raise UndecodableError("too few workers are left for this code")
        if half.ledger.elapsed > SILENT / 10:
            for seat in busy:
                self._seats.press(seat, number)

    def _coefficients(self, coef: Array, absent: set[int]) -> dict[int, Array]:
        """Return what each seat is to multiply its columns by."""
        started = time.perf_counter()
        spread = self._code.spread(coef, self._code.solution(frozenset(absent)))
        own = {
            seat: spread[list(pieces)].reshape(-1, len(coef))
            for seat, pieces in enumerate(self._code.pieces)
            if seat not in absent
        }
        self.decoding += time.perf_counter() - started
        return own

    def _spared(self, seats: Iterable[int]) -> set[int]:
        """Return those of some seats, the first first, that the moved blocks can do without."""
        self._check_left()
        spared = set(self._seats.lost)
        for seat in seats:
            if self._code.frees(frozenset(spared | {seat}), self._moved):
                spared.add(seat)
        return spared

    def _check_left(self) -> None:
        everything = np.ones(self._code.n_blocks, dtype=bool)
        if not self._code.frees(frozenset(self._seats.lost), everything):
            raise UndecodableError("too few workers are left for this code")

    def _ledger(self) -> Ledger:
        self._ledgers.append(Ledger(len(self._seats)))
        return self._ledgers[-1]


def _sums(point: Point, told: Told, tally: Array, products: Array) -> LossSums:
    """Put a summary together, with derivatives by columns about their center."""
    total, value, spread, largest, broken = Tally(*tally.tolist())
    gradient = np.hstack([products, told.weighted.sum(axis=1, keepdims=True)])
    return LossSums(total, value, spread, gradient, None, largest, int(broken), told.pearson)
