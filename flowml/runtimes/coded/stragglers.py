"""What is done about workers that are late: which code, and when it is changed for another."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from flowml.codes.backup_tasks import BackupTasks
from flowml.codes.choice import Choice, Chooser, PassTimes, exact_codes
from flowml.codes.code import Code
from flowml.codes.cyclic_repetition import CyclicRepetition
from flowml.codes.fractional_repetition import FractionalRepetition
from flowml.codes.ignore_slowest import IgnoreSlowest
from flowml.codes.moved_shares import MovedShares, comparable
from flowml.codes.stochastic_gradient import StochasticGradientCoding
from flowml.codes.uncoded import Uncoded
from flowml.kernels.rows import Array
from flowml.runtimes.coded.coded_pass import Rules

PARTS_PER_SEAT = 8
"""So that the work of one who is late can be shared out."""
LENDING = 2.0
"""Times the usual time after which parts that nobody else holds are brought to others."""
REMEMBERED = 20
"""Passes that a choice is made from."""
GONE = 1e3
"""How much slower than the others a worker is taken to be that is gone."""
SHORTEST = 1e-6
"""Seconds: clocks tell no less."""
AUTO = "auto"
DIRECTIONAL = "directional"
"""Columns are coded; passes over rows go without a code."""
LINEAR = ("cyclic", "stochastic", "ignore")
"""Ways that add summaries up as vectors."""
ESTIMATES = ("stochastic", "ignore")
"""Ways that give about the sum."""


class Handling(NamedTuple):
    """What a context says about stragglers.

    Attributes
    ----------
    straggler : str
        One of `flowml.config.STRAGGLERS`.
    tolerated : int
        How many may be late, for the codes that are made for a number.
    """

    straggler: str
    tolerated: int = 1


def count_seats(handling: Handling, n_workers: int, n_leaves: int) -> int:
    """Return how many workers take part: those without rows of their own can help."""
    return min(n_workers, n_leaves) if handling.straggler in LINEAR else n_workers


def count_parts(handling: Handling, n_seats: int, n_leaves: int) -> int:
    """Return into how many parts the rows are cut; some are empty where leaves are few."""
    if handling.straggler == "cyclic":
        return n_seats
    return max(n_seats, min(n_leaves, PARTS_PER_SEAT * n_seats))


def first_code(handling: Handling, n_seats: int, weights: Sequence[float]) -> Code:
    """Return the code to begin with.

    Parameters
    ----------
    handling : Handling
    n_seats : int
    weights : sequence of float
        How much of the rows each part holds.

    Raises
    ------
    ValueError
        If the workers are too few for it, or can't be put into groups.
    """
    n_parts, most = len(weights), handling.tolerated
    if handling.straggler in (AUTO, "none", DIRECTIONAL):
        return Uncoded(n_seats, n_parts)
    if n_seats < 2:
        raise ValueError(
            f"straggler={handling.straggler!r} needs two workers at least, and this fit has "
            f'{n_seats}: use straggler="none", more workers, or smaller blocks'
        )
    match handling.straggler:
        case "backup":
            return BackupTasks(n_seats, n_parts)
        case "fractional":
            return FractionalRepetition(n_seats, n_parts, most)
        case "cyclic":
            return CyclicRepetition(n_seats, most)
        case "ignore":
            return IgnoreSlowest(n_seats, n_parts, most, tuple(weights))
        case _:
            return StochasticGradientCoding(n_seats, n_parts, d=most + 1, k=most)


def rules_of(code: Code, handling: Handling) -> Rules:
    """Return when others help under a code, and who they are."""
    second: dict[int, int] = {}
    if code.n_workers > 1:
        backups = BackupTasks(code.n_workers, code.n_parts).assignment().backups
        second = {part: seat for seat, parts in enumerate(backups) for part in parts}
    lending = LENDING if handling.straggler == AUTO else np.inf
    patience = code.patience if isinstance(code, BackupTasks | MovedShares) else np.inf
    return Rules(min(patience, lending), lending, second)


@dataclass(eq=False)
class Watch:
    """Looks at how long passes take, and says what to run the next one under.

    Parameters
    ----------
    n_seats, n_parts : int
    with_copies : bool
        Whether there is room for two copies of the rows.
    """

    n_seats: int
    n_parts: int
    with_copies: bool
    rows: deque[tuple[Array, Array]] = field(default_factory=lambda: deque(maxlen=REMEMBERED))

    def __post_init__(self) -> None:
        codes = exact_codes(self.n_seats, self.n_parts)
        self._chooser = Chooser(
            codes if self.with_copies else codes[:1],
            passes=2,
            least_passes=2,
            moves=self.n_seats > 1,
        )
        self._choice = self._chooser.first()

    def note(self, seconds: Array, gave_up: Array, lost: set[int]) -> None:
        """Take what a part took each seat in a pass."""
        gone = np.isin(np.arange(self.n_seats), list(lost))
        usual = float(np.median(seconds[~gone]))
        share = self.n_parts / self.n_seats
        times = np.where(gone, GONE * usual, np.maximum(seconds, SHORTEST)) * share
        self.rows.append((times, gave_up & ~gone))

    def slowness(self) -> list[float]:
        """Return what a part takes each seat, as a multiple of what it usually takes, rounded."""
        if not self.rows:
            return [1.0] * self.n_seats
        return list(comparable(np.median([seconds for seconds, _ in self.rows], axis=0)))

    def next(self, now: Code) -> Choice:
        """Return what to do next, from what is done now.

        Passes differ in what they ask, so only how seats differ within a pass is told from them.
        """
        medians = np.array([np.median(seconds) for seconds, _ in self.rows])
        seconds = np.stack([seconds for seconds, _ in self.rows])
        seconds *= (np.median(medians) / medians)[:, np.newaxis]
        gave_up = np.stack([gave_up for _, gave_up in self.rows])
        self._choice = self._chooser.next(
            self._choice._replace(code=now), PassTimes(seconds, gave_up)
        )
        return self._choice
