"""Clocks of their own: what a parameter server does with what comes, and what it hands out."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from flowml.kernels.fold import Ask
from flowml.runtimes.columns import Columns
from flowml.runtimes.packed import Packed
from flowml.runtimes.parameter_server.holding import Count, Holding, Move
from flowml.runtimes.runtime import Advance, Turn
from flowml.runtimes.span import Spans
from flowml.solvers.column_totals import combined
from flowml.solvers.solver import Solver, State


class Order(NamedTuple):
    """What a site is to do next.

    Attributes
    ----------
    round, clock : int
        Go back with the answer.
    version : int
        Of the state that the site is asked with.
    ask : Ask
        Of the columns that are here; servers of others have theirs.
    """

    round: int
    clock: int
    version: int
    ask: Ask


class Push(NamedTuple):
    """What a site has done.

    Attributes
    ----------
    round, clock : int
        Of the order that it answers.
    packed : Packed
        The subtrees of the site's leaves, with the columns that are here; servers of others have
        been brought theirs before.
    """

    round: int
    clock: int
    packed: Packed


class Join(NamedTuple):
    """What a site says first.

    Attributes
    ----------
    columns : Columns or None
        That its rows store: it is asked with these, and pushes these; None for all.
    """

    columns: Columns | None


@dataclass
class Site:
    """What is known of one holder of leaves.

    Attributes
    ----------
    clock : int
        How often it has pushed.
    version : int or None
        Of the state that it is at work with.
    """

    clock: int = 0
    version: int | None = None


class Others(Protocol):
    """Who holds the other columns."""

    def begin(self, act: Callable[..., Any], *arguments: Any) -> Callable[[], list[Any]]:
        """Have each begin with ``act(holding, *arguments)``; what is returned waits for it."""


class Alone:
    """Nobody: all columns are here."""

    def begin(self, act: Callable[..., Any], *arguments: Any) -> Callable[[], list[Any]]:
        """Return who waits for nobody."""
        return list


class Clocks:
    r"""A state that moves with every push, and sites that may be some clocks ahead of others.

    The latest summary of each site is kept; a push replaces it, or goes on from it where summaries
    are steps. With S the state after the last clock that all sites have pushed, what goes out is
    ``step(S, sum of the latest)``: some of the latest were asked with older states, some with newer
    ones. Solvers that can take that say so, see `Solver`.

    A *round* is a clock in common: all sites are asked with S and nothing is handed out until the
    last has answered, just as in a pass of any other runtime. So are all clocks without staleness,
    the first one, those of a state that doesn't mix, and the last: where a mixed sum says that the
    solver is done, that is judged again in a round, from the state before. Answers to orders of a
    round before are dropped.

    The columns of state and summaries may be shared out among others, who step as they are told
    here: with the same pushes, from the same version of the state. What decisions are made by
    doesn't run along the columns.

    Q. Ho et al. 2013, "More effective distributed ML via a stale synchronous parallel parameter
    server"; for the mixed sums R. Neal & G. Hinton 1998, "A view of the EM algorithm that
    justifies incremental, sparse, and other variants"; D. Blatt, A. Hero & H. Gauchman 2007, "A
    convergent incremental gradient method with a constant step size"; D. Bertsekas & J. Tsitsiklis
    1989, "Parallel and distributed computation", chapter 6.

    Parameters
    ----------
    solver : Solver
    state : State
        That isn't done.
    n_sites : int
    staleness : int
        Clocks that a site may be ahead of the slowest.
    others : Others
        Whose columns follow on those of solver and state.

    Attributes
    ----------
    over : bool
        Whether the solver is done.
    told : int
        Version of the state that was told last, which all keep.
    """

    def __init__(
        self,
        solver: Solver,
        state: State,
        n_sites: int,
        staleness: int,
        others: Others | None = None,
    ) -> None:
        self.over = False
        self.told = 0
        self._solver = solver
        self._staleness = staleness
        self._holding = Holding(solver, state, n_sites)
        self._others: Others = others or Alone()
        self._sites = [Site() for _ in range(n_sites)]
        self._clock = self._version = self._newest = 0
        self._mixed: int | None = None
        self._counts: list[Count] = []
        self._taken = False
        self._turns: list[Turn] = []
        self._spans: Spans = ()
        self._started = time.perf_counter()
        self._together = True
        self._round = 0
        self._gather()

    def join(self, number: int, join: Join) -> None:
        """Take what a site says first."""
        self._holding.join(number, join.columns)

    def push(self, number: int, push: Push) -> None:
        """Take what a site has done, once: an answer that comes again is dropped."""
        site = self._sites[number]
        if (push.round, push.clock) != (self._round, site.clock) or self.over:
            return
        self._holding.bring(number, push.packed)
        self._counts.append(Count(number, follows=not self._together))
        site.clock, site.version = site.clock + 1, None
        self._mixed = None
        self._spans += push.packed.spans
        if all(site.clock > self._clock for site in self._sites):
            self._complete()

    def order(self, number: int) -> Order | None:
        """Return what a site is to do; None while it has to wait for others."""
        site, version = self._sites[number], self._version
        ahead = site.clock - self._clock
        if ahead > (0 if self._together else self._staleness):
            return None
        if not self._together:
            mixed = self._mix()
            if self._may_mix(self._holding.state(mixed)):
                version = mixed
            elif ahead:
                return None
        site.version = version
        return Order(self._round, site.clock, version, self._holding.ask(number, version))

    def tell(self) -> Advance:
        """Tell what wasn't told yet."""
        turns, self._turns = self._turns, []
        self.told = self._version
        return Advance(self._holding.state(self._version), tuple(turns))

    def _complete(self) -> None:
        """Go on from the state that all sites have now pushed to."""
        version, now = self._mix(), time.perf_counter()
        state = self._holding.state(version)
        self._clock += 1
        self._turns.append(Turn(self._solver.progress(state), now - self._started, self._spans))
        self._started, self._spans = now, ()
        if self._solver.done(state) and not self._together:
            self._gather()
            return
        self._version, self._mixed = version, None
        self.over = self._solver.done(state)
        if self._may_mix(state):
            self._together, self._taken = False, True
        else:
            self._gather()

    def _gather(self) -> None:
        """Begin a round."""
        self._together, self._taken = True, False
        self._round += 1
        self._mixed = None
        for site in self._sites:
            site.clock = self._clock

    def _may_mix(self, state: State) -> bool:
        mixes = getattr(self._solver, "mixes", None)
        return (
            self._staleness > 0
            and mixes is not None
            and not self._solver.done(state)
            and mixes(state)
        )

    def _mix(self) -> int:
        """Step from the last state of a whole clock with the latest of every site.

        Raises
        ------
        NonFiniteError
            If their sum is one that the fold calls not finite.
        """
        if self._mixed is None:
            self._newest += 1
            at_work = {site.version for site in self._sites if site.version is not None}
            kept = frozenset({self._version, self.told, *at_work})
            counts, self._counts = tuple(self._counts), []
            taken, self._taken = self._taken, False
            move = Move(self._newest, self._version, taken, counts, kept)
            totals = self._all(Holding.totals, move)
            self._all(Holding.step, None if totals[0] is None else combined(totals))
            self._mixed = self._newest
        return self._mixed

    def _all(self, act: Callable[..., Any], *arguments: Any) -> list[Any]:
        """Have all who hold columns do something at once, and return what it comes to."""
        others = self._others.begin(act, *arguments)
        return [act(self._holding, *arguments), *others()]
