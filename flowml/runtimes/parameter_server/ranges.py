"""How many servers share out the columns of a state, and which each has."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from flowml.runtimes.columns import Columns, cut, joined
from flowml.runtimes.tree import Nodes
from flowml.solvers.column_totals import BLOCK
from flowml.solvers.solver import Solver, State

SERVED_BYTES = 1 << 20
"""Of a state's arrays along the columns: one server for each so many."""


class Range(NamedTuple):
    """Columns that follow on each other.

    Attributes
    ----------
    low, high : int
        The first, and the one behind the last.
    n_columns : int
        Of all.
    """

    low: int
    high: int
    n_columns: int

    @property
    def columns(self) -> Columns:
        """These of all columns."""
        return Columns(np.arange(self.low, self.high), self.n_columns)

    def among(self, some: Columns | None) -> Columns:
        """Return those of some columns that are in here; None stands for all."""
        if some is None:
            return self.columns
        low, high = np.searchsorted(some.places, [self.low, self.high])
        return some._replace(places=some.places[low:high])

    def inside(self, some: Columns) -> Columns:
        """Return columns that are in here as some of the range's own."""
        return Columns(some.places - self.low, self.high - self.low)


class Cuts(NamedTuple):
    """How what a site is asked and answers is cut, by server.

    Attributes
    ----------
    names : frozenset of str
        Fields that run along the columns.
    columns : tuple of Columns or None
        Those that the site's rows store, of a server each; None for all of one that has all.
    held : tuple of Columns or None
        The same, as places among those that a server has.
    """

    names: frozenset[str]
    columns: tuple[Columns | None, ...]
    held: tuple[Columns | None, ...]

    def cut(self, nodes: Nodes) -> list[Nodes]:
        """Return of subtrees what goes to each server."""
        return [
            nodes
            if some is None
            else {node: cut(summary, self.names, some) for node, summary in nodes.items()}
            for some in self.columns
        ]

    def whole(self, values: Sequence[Any]) -> Any:
        """Put together what came from each server; columns that no row stores are zero."""
        some = [columns for columns in self.columns if columns is not None]
        return joined(values, self.names, some) if some else values[0]


def cuts_of(names: frozenset[str], ranges: Sequence[Range], stored: Columns | None) -> Cuts:
    """Return how a site cuts, of which the rows store some columns; None stands for all."""
    if not ranges:
        return Cuts(names, (stored,), (stored,))
    columns = [one.among(stored) for one in ranges]
    held = [one.inside(some) for one, some in zip(ranges, columns, strict=True)]
    return Cuts(names, tuple(columns), tuple(held))


def along_columns(solver: Solver) -> frozenset[str]:
    """Return which fields of a solver's asks and summaries run along the columns, if it tells."""
    names: frozenset[str] = getattr(solver, "along_columns", frozenset())
    return names


def shared_out(solver: Solver, state: State, n_workers: int) -> tuple[Range, ...]:
    """Return the ranges of columns for a server each; none where one server has it all."""
    names = along_columns(solver)
    if not names or not hasattr(solver, "totals"):
        return ()
    n_columns: int = solver.n_columns  # type: ignore[attr-defined]
    shared = [getattr(state, name) for name in state._fields if name in names]
    nbytes = sum(array[..., :n_columns].nbytes for array in shared)
    n_ranges = n_servers(nbytes, n_columns, n_workers)
    return cut_evenly(n_columns, n_ranges) if n_ranges > 1 else ()


def n_servers(nbytes: int, n_columns: int, n_workers: int) -> int:
    """Return how many servers share out columns.

    Parameters
    ----------
    nbytes : int
        Of the state's arrays along the columns.
    n_columns, n_workers : int

    Examples
    --------
    >>> [n_servers(16 * p, p, 4) for p in (0, 20_000, 200_000, 2_000_000)]
    [1, 1, 4, 4]
    """
    return max(1, min(n_workers, -(-nbytes // SERVED_BYTES), -(-n_columns // BLOCK)))


def cut_evenly(n_columns: int, n_ranges: int) -> tuple[Range, ...]:
    """Cut columns into ranges that begin at multiples of `BLOCK`.

    Examples
    --------
    >>> [(one.low, one.high) for one in cut_evenly(3_000, 2)]
    [(0, 1024), (1024, 3000)]
    """
    n_blocks = -(-n_columns // BLOCK)
    ends = [BLOCK * (n_blocks * number // n_ranges) for number in range(n_ranges)]
    return tuple(Range(low, high, n_columns) for low, high in pairwise([*ends, n_columns]))
