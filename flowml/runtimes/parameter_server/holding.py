"""What a server holds: columns of a state, and of what stands for each site's rows."""

from dataclasses import dataclass
from typing import NamedTuple

from flowml.kernels.fold import Ask, Summary
from flowml.runtimes.columns import Columns, cut, spread
from flowml.runtimes.packed import Packed, pack, unpack
from flowml.runtimes.parameter_server.ranges import along_columns
from flowml.runtimes.runtime import NonFiniteError
from flowml.runtimes.tree import Nodes, join, root
from flowml.solvers.column_totals import Totals
from flowml.solvers.solver import Solver, State


class Count(NamedTuple):
    """What a site has brought counts.

    Attributes
    ----------
    site : int
    follows : bool
        Whether it goes on from what stands for the site's rows, or replaces it.
    """

    site: int
    follows: bool


class Move(NamedTuple):
    """A step that all servers take with the same summaries.

    Attributes
    ----------
    version, base : int
        The state that it leads to, and the one that it is taken from.
    taken : bool
        Whether the base has moved with the summaries that are there.
    counts : tuple of Count
        Those that come after.
    kept : frozenset of int
        Versions of the state that are needed still.
    """

    version: int
    base: int
    taken: bool
    counts: tuple[Count, ...]
    kept: frozenset[int]


@dataclass
class Site:
    """What is held for one holder of leaves.

    Attributes
    ----------
    columns : Columns or None
        That it knows, of those that are held; None for all.
    brought, latest : Packed or None
        What it has brought last, and what stands for its rows.
    asked : Ask
        What it was asked last, with all columns, whether or not the answer counted; where the
        solver wants to know.
    """

    columns: Columns | None = None
    brought: Packed | None = None
    latest: Packed | None = None
    asked: Ask = None


class Holding:
    """Columns of a state in a few versions, and of the sites' latest summaries.

    Steps are taken in two parts where servers hold a range of the columns each: all tell what they
    come to, then all step with the totals. What doesn't run along the columns is in every holding
    alike.

    Parameters
    ----------
    solver : Solver
    state : State
        Its version is 0. Both are whole, or cut to a range of columns.
    n_sites : int
    """

    def __init__(self, solver: Solver, state: State, n_sites: int) -> None:
        self._solver = solver
        self._names = along_columns(solver)
        self._states: dict[int, State] = {0: state}
        self._sites = [Site() for _ in range(n_sites)]
        self._next: tuple[Move, Summary] | None = None

    def join(self, site: int, columns: Columns | None) -> None:
        """Take which columns a site knows."""
        self._sites[site].columns = columns

    def bring(self, site: int, packed: Packed) -> None:
        """Take a site's summaries, which don't count yet."""
        self._sites[site].brought = packed

    def state(self, version: int) -> State:
        """Return a version of the state that is kept."""
        return self._states[version]

    def ask(self, site: int, version: int) -> Ask:
        """Return what a site is asked with a version of the state."""
        one, state = self._sites[site], self._states[version]
        after = getattr(self._solver, "ask_after", None)
        if after is None:
            ask = self._solver.ask(state)
        else:
            ask = self._solver.ask(state) if one.asked is None else after(state, one.asked)
            one.asked = ask
        return ask if one.columns is None else cut(ask, self._names, one.columns)

    def totals(self, move: Move) -> Totals | None:
        """Sum up for a step, and return what other columns' steps need; None for most solvers.

        Raises
        ------
        NonFiniteError
            If the sum is one that the fold calls not finite.
        """
        if move.taken:
            self._take()
        for count in move.counts:
            self._count(count)
        self._states = {version: self._states[version] for version in move.kept}
        fold = self._solver.fold
        summary = root(join((self._nodes(site) for site in self._sites), fold), fold)
        if not fold.finite(summary):
            raise NonFiniteError(fold.takes_nan)
        self._next = move, summary
        totals = getattr(self._solver, "totals", None)
        return None if totals is None else totals(self._states[move.base], summary)

    def step(self, totals: Totals | None) -> None:
        """Take the step that was summed up for, with the totals of all columns."""
        assert self._next is not None
        (move, summary), self._next = self._next, None
        base = self._states[move.base]
        if totals is None:
            self._states[move.version] = self._solver.step(base, summary)
        else:
            step_with = self._solver.step_with  # type: ignore[attr-defined]
            self._states[move.version] = step_with(base, summary, totals)

    def _count(self, count: Count) -> None:
        """Let what a site has brought stand for its rows, or add to what stands for them."""
        site, follow = self._sites[count.site], getattr(self._solver, "follow", None)
        before, now, site.brought = site.latest, site.brought, None
        assert now is not None
        if count.follows and before is not None and follow is not None:
            old = unpack(before)
            now = pack({node: follow(old[node], new) for node, new in unpack(now).items()})
        site.latest = now

    def _take(self) -> None:
        """Leave of the summaries what the state has not moved with."""
        taken = getattr(self._solver, "taken", None)
        for site in self._sites:
            if taken is not None and site.latest is not None:
                nodes = unpack(site.latest)
                site.latest = pack({node: taken(summary) for node, summary in nodes.items()})

    def _nodes(self, site: Site) -> Nodes:
        """Return what stands for a site's rows, with all columns that are held."""
        nodes = {} if site.latest is None else unpack(site.latest)
        if site.columns is None:
            return nodes
        return {node: spread(one, self._names, site.columns) for node, one in nodes.items()}
