"""The choice of a code: from how long the workers took, and only where it pays."""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from flowml.codes.backup_tasks import BackupTasks
from flowml.codes.code import Code, loads
from flowml.codes.cyclic_repetition import MOST_STRAGGLERS, CyclicRepetition
from flowml.codes.delays import Delays, fitted
from flowml.codes.directional_derivative import DirectionalDerivativeCode
from flowml.codes.fractional_repetition import FractionalRepetition
from flowml.codes.moved_shares import MovedShares, comparable
from flowml.codes.uncoded import Uncoded
from flowml.kernels.rows import Array

N_DRAWS = 1000
AT_LEAST_SLOWER = 2.0
"""A worker that was never waited for is taken to need so many times what it was given."""


class PassTimes(NamedTuple):
    """How long the workers took in the last passes.

    Attributes
    ----------
    seconds : ndarray of shape (n_passes, n_workers)
        For the work that each worker has without a code: what a pass under a code took, divided
        by the code's load.
    gave_up : ndarray of shape (n_passes, n_workers), bool
        Where a worker was not waited for: it would have taken longer than that.
    """

    seconds: Array
    gave_up: Array


class Model(NamedTuple):
    """What the times of the next passes will be like.

    Attributes
    ----------
    usual : ndarray of shape (n_workers,)
        The median of each worker, in seconds.
    delays : Delays
        How a time varies, as a multiple of the worker's usual one.
    """

    usual: Array
    delays: Delays

    def draws(self) -> Array:
        """Return times of shape (N_DRAWS, n_workers), the same for the same model."""
        return self.usual * self.delays.quantiles(even_levels(len(self.usual)))


@lru_cache(maxsize=8)
def even_levels(n_workers: int) -> Array:
    """Draw shares of shape (N_DRAWS, n_workers), spread evenly in each column."""
    ranks = np.tile(np.arange(N_DRAWS)[:, None], n_workers)
    levels = (np.random.default_rng(0).permuted(ranks, axis=0) + 0.5) / N_DRAWS
    levels.flags.writeable = False
    return levels


class Choice(NamedTuple):
    """What to run the next pass under.

    Attributes
    ----------
    code : Code
    reason : str
        Why, in words.
    expected : tuple of float
        Seconds that a pass would take under each of the codes; empty while nothing is known.
    streak : int
        For how many passes another code has looked better.
    gain : float
        Seconds that a pass is expected to take less than under the code before.
    """

    code: Code
    reason: str
    expected: tuple[float, ...] = ()
    streak: int = 0
    gain: float = 0.0


@dataclass(frozen=True)
class Chooser:
    r"""Chooses between codes from measured times, and changes its mind only for a good reason.

    A worker's time is its median times a delay that is drawn anew for each pass, from the more
    likely of a shifted exponential and a Pareto distribution fitted to all workers' times; work
    takes time in proportion to the code's load. What a pass takes under a code is then the mean
    of its :meth:`~flowml.codes.code.Code.wait` over draws.

    Parameters
    ----------
    codes : tuple of Code
        The simplest first: the first is where it begins, and an earlier one is preferred where
        it takes at most `alike` longer than the best.
    margin : float
        By what share of the present time another has to be better.
    passes : int
        And in how many passes on end.
    alike : float
    least_passes : int
        Passes to measure before anything is chosen.
    moves : bool
        Whether shares may be moved from those who are always slow to the others, too.

    Notes
    -----
    The shifted exponential is the usual model of stragglers (Lee, Lam, Pedarsani, Papailiopoulos
    & Ramchandran, *Speeding up distributed machine learning using codes*, 2018). Under it,
    with time in proportion to the load, repetition s + 1 times is slower than no code unless the
    delays are long: coding by default would be wrong.

    Examples
    --------
    >>> import numpy as np
    >>> chooser = Chooser(exact_codes(n_workers=4, n_parts=32))
    >>> choice, seconds = chooser.first(), np.ones((5, 4))
    >>> seconds[:, 2] = 8.0
    >>> for _ in range(3):
    ...     choice = chooser.next(choice, PassTimes(seconds, np.zeros((5, 4), dtype=bool)))
    >>> print(*choice.reason.split(": "), sep="\n")
    from no code (8 s a pass expected) to backup tasks (1.63 s)
    worker 2 usually takes 8 times as long as the median one
    """

    codes: tuple[Code, ...]
    margin: float = 0.1
    passes: int = 3
    alike: float = 0.03
    least_passes: int = 5
    moves: bool = False

    def first(self) -> Choice:
        """Begin with the simplest."""
        return Choice(self.codes[0], f"begins with {self.codes[0].name}: nothing is measured yet")

    def next(self, choice: Choice, times: PassTimes) -> Choice:
        """Return what to do next; asked after every pass.

        Parameters
        ----------
        choice : Choice
            The last one.
        times : PassTimes
            The last few passes, 10 to 50; the same state and times give the same answer.
        """
        code = choice.code
        if len(times.seconds) < self.least_passes:
            reason = f"stays with {code.name}: {len(times.seconds)} passes measured so far"
            return Choice(code, f"{reason}, {self.least_passes} are needed")
        model = modelled(times)
        codes = self._candidates(model, code)
        expected = expected_times(codes, model)
        now, best = codes.index(code), self._best(expected)
        if not self._pays(expected, now, best):
            return Choice(code, self._stays(codes, code, expected), expected)
        streak = choice.streak + 1
        change = f"{code.name} ({expected[now]:.3g} s a pass expected) to {codes[best].name}"
        change = f"from {change} ({expected[best]:.3g} s)"
        if streak < self.passes:
            reason = f"may go {change}: seen in {streak} of {self.passes} passes"
            return Choice(code, reason, expected, streak)
        gain = expected[now] - expected[best]
        return Choice(codes[best], f"{change}: {diagnosis(model)}", expected, gain=gain)

    def _candidates(self, model: Model, now: Code) -> tuple[Code, ...]:
        """Return the codes, and such as are made for the workers' speeds, the simplest first."""
        codes = list(self.codes)
        slowness = comparable(model.usual)
        if self.moves and max(slowness) > 1.0:
            counts = now.n_workers, now.n_parts, slowness
            codes.insert(1, MovedShares(*counts))
            for plain in self.codes:
                if isinstance(plain, BackupTasks):
                    moved = MovedShares(*counts, patience=plain.patience)
                    codes.insert(codes.index(plain) + 1, moved)
        return tuple(codes) if now in codes else (*codes, now)

    def _best(self, expected: tuple[float, ...]) -> int:
        """Return the first of those that take about as little as the best."""
        good = np.array(expected) <= (1.0 + self.alike) * min(expected)
        return int(good.argmax())

    def _pays(self, expected: tuple[float, ...], now: int, best: int) -> bool:
        """Tell whether to change: to something quicker, or to something simpler and as quick."""
        return best < now or expected[best] < (1.0 - self.margin) * expected[now]

    def _stays(self, codes: tuple[Code, ...], code: Code, expected: tuple[float, ...]) -> str:
        """Say why not to change."""
        now = codes.index(code)
        reason = f"stays with {code.name}: {expected[now]:.3g} s a pass expected"
        others = [number for number in range(len(codes)) if number != now]
        if not others:
            return reason
        other = min(others, key=lambda number: expected[number])
        return f"{reason}, the best other is {codes[other].name} at {expected[other]:.3g} s"


def modelled(times: PassTimes) -> Model:
    """Return each worker's usual time, and how times vary about it."""
    seconds = np.where(times.gave_up, np.inf, times.seconds)
    usual = np.quantile(seconds, 0.5, axis=0, method="higher")
    known = np.isfinite(usual)
    given = AT_LEAST_SLOWER * times.seconds.max(axis=0)
    relative = (seconds[:, known] / usual[known]).ravel()
    relative = relative[np.isfinite(relative)]
    return Model(np.where(known, usual, given), fitted(relative if len(relative) else np.ones(1)))


def expected_times(codes: tuple[Code, ...], model: Model) -> tuple[float, ...]:
    """Return the mean time of a pass under each code, from the same draws for all."""
    draws = model.draws()
    return tuple(float(code.wait(draws * loads(code)).mean()) for code in codes)


def diagnosis(model: Model) -> str:
    """Say what the delays are like."""
    slowest, median = int(model.usual.argmax()), float(np.median(model.usual))
    ratio = model.usual[slowest] / median
    if ratio >= 1.5:
        return f"worker {slowest} usually takes {ratio:.2g} times as long as the median one"
    half, rare = model.delays.quantiles(np.array([0.5, 0.99]))
    return (
        f"delays look like {model.delays.name}, "
        f"with one pass in a hundred above {rare / half:.2g} times the usual"
    )


def exact_codes(
    n_workers: int, n_parts: int, vectors: bool = False, n_features: int = 0
) -> tuple[Code, ...]:
    """Return the codes worth considering that give the exact sum, the simplest first.

    Parameters
    ----------
    n_workers, n_parts : int
    vectors : bool
        Whether summaries may be added up as vectors, with coefficients.
    n_features : int
        Where blocks of a gradient's coordinates may be asked for apart, how many there are.

    Examples
    --------
    >>> for code in exact_codes(n_workers=8, n_parts=64, vectors=True, n_features=100):
    ...     print(code.name)
    no code
    backup tasks
    directional derivative code (s=1, weight=4)
    fractional repetition (s=1)
    cyclic repetition (s=1)
    cyclic repetition (s=2)
    """
    codes: list[Code] = [Uncoded(n_workers, n_parts)]
    if n_workers >= 2:
        codes.append(BackupTasks(n_workers, n_parts))
    weight = min(4, n_workers - 1)
    if weight >= 1 and n_features >= weight * n_workers:
        codes.append(DirectionalDerivativeCode(n_workers, weight * n_workers, n_features, weight))
    if n_workers % 2 == 0:
        codes.append(FractionalRepetition(n_workers, n_parts, s=1))
    if vectors:
        most = min(MOST_STRAGGLERS, n_workers - 1)
        codes.extend(CyclicRepetition(n_workers, s) for s in range(1, most + 1))
    return tuple(codes)
