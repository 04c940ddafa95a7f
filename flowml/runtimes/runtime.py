"""The runtime: whoever holds the shards and adds the summaries up."""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from flowml.data.dataset import Dataset
from flowml.kernels.fold import Ask, Fold, Summary
from flowml.runtimes.placement import Placement
from flowml.runtimes.span import Spans
from flowml.solvers.solver import Progress, Solver, State


class Turn(NamedTuple):
    """One pass that is done.

    Attributes
    ----------
    progress : Progress
        Of the state after it.
    seconds : float
        Wall time of the pass and its step.
    spans : tuple of Span
        Who worked on it, and when, where that is known.
    error_bound : float
        Where a code stood for the rows that weren't waited for: 0 if the sums are exact, else the
        norm of what may be amiss in them.
    missing : int
        Blocks of a gradient that a code didn't wait for, and the solver does without.
    """

    progress: Progress
    seconds: float
    spans: Spans = ()
    error_bound: float = float("nan")
    missing: int = 0


class Advance(NamedTuple):
    """How far a solver has come since a runtime last told.

    Attributes
    ----------
    state : State
        After the last of the turns.
    turns : tuple of Turn
        A runtime whose loop runs elsewhere tells of many at once.
    incidents : tuple of str
        What befell the cluster meanwhile, and what was done about it.
    """

    state: State
    turns: tuple[Turn, ...] = ()
    incidents: tuple[str, ...] = ()


class NonFiniteError(ArithmeticError):
    """Rows hold a NaN or infinity that a fold can't take; the loop says where.

    Parameters
    ----------
    takes_nan : bool
        Whether NaN is a missing value there, so that only infinity can be at fault.
    """

    def __init__(self, takes_nan: bool) -> None:
        super().__init__(takes_nan)
        self.takes_nan = takes_nan


class Runtime(Protocol):
    """Holds a dataset's shards for the length of a fit."""

    @property
    def dataset(self) -> Dataset:
        """The data that it holds."""

    @property
    def placement(self) -> Placement:
        """What sits where."""

    def one_pass(self, fold: Fold, ask: Ask) -> Summary:
        """Summarise all rows once."""

    def iterate(self, solver: Solver, state: State) -> Iterator[Advance]:
        """Ask, pass and step until the solver is done, telling of it on the way.

        Raises
        ------
        NonFiniteError
            If a pass gives a summary that its fold calls not finite.
        """

    def close(self) -> None:
        """Let go of everything: nothing outlives the fit."""
