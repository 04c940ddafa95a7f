"""The solver: what every training algorithm looks like to the loop that drives it."""

from typing import Any, NamedTuple, Protocol, TypeAlias

from flowml.kernels.fold import Ask, Fold, Summary

State: TypeAlias = Any
"""A NamedTuple of arrays and numbers with fixed shapes; what the next step needs, nothing else."""


class Progress(NamedTuple):
    """What a person wants to know of a state: never read by a solver.

    Attributes
    ----------
    objective : float
        What the algorithm minimises, NaN where it isn't known yet.
    change : float
        How far the last step moved, in the units that the tolerance is stated in; NaN before it.
    """

    objective: float
    change: float


class RowError(ValueError):
    """A row that a solver can't take; the loop, which knows the blocks' names, says where it is.

    Parameters
    ----------
    found : str
        What is wrong.
    block, row : int
        The row's place.
    needs : str
        What would be right.
    """

    def __init__(self, found: str, block: int, row: int, needs: str) -> None:
        super().__init__(found, block, row, needs)
        self.found = found
        self.block = block
        self.row = row
        self.needs = needs

    def __str__(self) -> str:
        """Say what is wrong where, and what would be right."""
        return f"{self.found} in block {self.block}, row {self.row} of the block: {self.needs}"


class Solver(Protocol):
    """``init``, ``ask``, ``fold``, ``step``, ``done``: one pass over the data is one step.

    Each method is pure. A solver never knows who is adding up: the loop hands `ask` to whoever
    holds the rows, and brings the merged summary back.

    A solver may have four methods more, for a parameter server. ``mixes(state) -> bool`` tells
    whether its next step takes a sum of summaries of which some were asked with states from
    before. Where summaries are steps rather than sums, ``follow(before, now) -> Summary`` makes one
    of two that came of the same rows one after the other, and ``taken(summary) -> Summary`` leaves
    of one what hasn't been stepped with; without them the last summary of some rows stands. Where
    an answer depends on what the same rows were asked before, ``ask_after(state, asked) -> Ask``
    makes an ask of the state and of their last one, which is what `ask` gives where all have been
    asked the same.
    ``along_columns`` names the fields of asks and summaries that have a number for each column, in
    their last axis; those of columns that no row stores are neither read nor other than zero.
    Of a solver with ``totals(state, summary) -> Totals`` and ``step_with(state, summary, totals)``
    it names the solver's own fields and its state's as well, so that all of it can be cut to a
    range of columns: ``step`` is what the ranges' ``step_with`` come to, to the bit, each with the
    totals of all of them. Other methods than ``init`` read nothing of other columns; ``done``,
    ``mixes`` and ``progress`` read nothing of any. ``n_columns`` is the number of all columns.

    And one for coded columns: ``takes_missing(state) -> bool`` tells whether its next step takes a
    gradient of which some coordinates are NaN, as they weren't waited for.
    """

    @property
    def fold(self) -> Fold:
        """How rows become a summary."""

    def init(self) -> State:
        """Return the state before the first pass."""

    def ask(self, state: State) -> Ask:
        """Return what travels to the data."""

    def step(self, state: State, summary: Summary) -> State:
        """Return the next state; may not write to either argument."""

    def done(self, state: State) -> bool:
        """Tell whether to stop; asked before every pass: a state that is done costs none."""

    def progress(self, state: State) -> Progress:
        """Describe a state for progress bars, history and plots."""

    @property
    def max_passes(self) -> int:
        """The most passes that this solver will ask for."""
