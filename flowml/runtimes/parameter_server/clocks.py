"""Clocks of their own: what a parameter server does with what comes, and what it hands out."""

import time
from dataclasses import dataclass
from typing import NamedTuple

from flowml.kernels.fold import Ask
from flowml.runtimes.columns import Columns, cut, spread
from flowml.runtimes.packed import Packed, pack, unpack
from flowml.runtimes.runtime import Advance, NonFiniteError, Turn
from flowml.runtimes.span import Spans
from flowml.runtimes.tree import Nodes, join, root
from flowml.solvers.solver import Solver, State


class Order(NamedTuple):
    """What a site is to do next.

    Attributes
    ----------
    round, clock : int
        Go back with the answer.
    ask : Ask
    """

    round: int
    clock: int
    ask: Ask


class Push(NamedTuple):
    """What a site has done.

    Attributes
    ----------
    round, clock : int
        Of the order that it answers.
    packed : Packed
        The subtrees of the site's leaves.
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
    latest : Packed or None
        What stands for its rows, in this round.
    columns : Columns or None
        That it knows; None for all.
    asked : Ask
        What it was asked last, with all columns, whether or not the answer counted.
    """

    clock: int = 0
    latest: Packed | None = None
    columns: Columns | None = None
    asked: Ask = None


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

    Attributes
    ----------
    over : bool
        Whether the solver is done.
    """

    def __init__(self, solver: Solver, state: State, n_sites: int, staleness: int) -> None:
        self.over = False
        self._solver = solver
        self._state = state
        self._staleness = staleness
        self._sites = [Site() for _ in range(n_sites)]
        self._clock = 0
        self._mixed: State | None = None
        self._turns: list[Turn] = []
        self._spans: Spans = ()
        self._started = time.perf_counter()
        self._together = True
        self._round = 0
        self._gather()

    def join(self, number: int, join: Join) -> None:
        """Take what a site says first."""
        self._sites[number].columns = join.columns

    def push(self, number: int, push: Push) -> None:
        """Take what a site has done, once: an answer that comes again is dropped."""
        site = self._sites[number]
        if (push.round, push.clock) != (self._round, site.clock) or self.over:
            return
        site.latest = push.packed if self._together else self._followed(site.latest, push.packed)
        site.clock += 1
        self._mixed = None
        self._spans += push.packed.spans
        if all(site.clock > self._clock for site in self._sites):
            self._complete()

    def order(self, number: int) -> Order | None:
        """Return what a site is to do; None while it has to wait for others."""
        site = self._sites[number]
        ahead, state = site.clock - self._clock, self._state
        if ahead > (0 if self._together else self._staleness):
            return None
        if not self._together:
            mixed = self._mix()
            if self._may_mix(mixed):
                state = mixed
            elif ahead:
                return None
        ask, columns = self._ask(site, state), site.columns
        if columns is not None:
            ask = cut(ask, along_columns(self._solver), columns)
        return Order(self._round, site.clock, ask)

    def tell(self) -> Advance:
        """Tell what wasn't told yet."""
        turns, self._turns = self._turns, []
        return Advance(self._state, tuple(turns))

    def _ask(self, site: Site, state: State) -> Ask:
        """Ask a site with a state; a solver may want to know what it was asked last."""
        after = getattr(self._solver, "ask_after", None)
        if after is None or site.asked is None:
            site.asked = self._solver.ask(state)
        else:
            site.asked = after(state, site.asked)
        return site.asked

    def _complete(self) -> None:
        """Go on from the state that all sites have now pushed to."""
        state, now = self._mix(), time.perf_counter()
        self._clock += 1
        self._turns.append(Turn(self._solver.progress(state), now - self._started, self._spans))
        self._started, self._spans = now, ()
        if self._solver.done(state) and not self._together:
            self._gather()
            return
        self._state, self._mixed = state, None
        self._take()
        self.over = self._solver.done(state)
        if self._may_mix(state):
            self._together = False
        else:
            self._gather()

    def _followed(self, before: Packed | None, now: Packed) -> Packed:
        """Return what stands for a site's rows after it has pushed once more."""
        follow = getattr(self._solver, "follow", None)
        if before is None or follow is None:
            return now
        old = unpack(before)
        return pack({node: follow(old[node], new) for node, new in unpack(now).items()})

    def _take(self) -> None:
        """Leave of the summaries what the state has not moved with."""
        taken = getattr(self._solver, "taken", None)
        if taken is None or self._staleness == 0:
            return
        for site in self._sites:
            if site.latest is not None:
                nodes = unpack(site.latest)
                site.latest = pack({node: taken(summary) for node, summary in nodes.items()})

    def _gather(self) -> None:
        """Begin a round."""
        self._together = True
        self._round += 1
        self._mixed = None
        for site in self._sites:
            site.clock, site.latest = self._clock, None

    def _may_mix(self, state: State) -> bool:
        mixes = getattr(self._solver, "mixes", None)
        return (
            self._staleness > 0
            and mixes is not None
            and not self._solver.done(state)
            and mixes(state)
        )

    def _nodes(self, site: Site) -> Nodes:
        """Return what stands for a site's rows, with all columns."""
        nodes = {} if site.latest is None else unpack(site.latest)
        if site.columns is None:
            return nodes
        names = along_columns(self._solver)
        return {node: spread(summary, names, site.columns) for node, summary in nodes.items()}

    def _mix(self) -> State:
        """Step from the last state of a whole clock with the latest of every site.

        Raises
        ------
        NonFiniteError
            If their sum is one that the fold calls not finite.
        """
        if self._mixed is None:
            fold = self._solver.fold
            parts = (self._nodes(site) for site in self._sites)
            summary = root(join(parts, fold), fold)
            if not fold.finite(summary):
                raise NonFiniteError(fold.takes_nan)
            self._mixed = self._solver.step(self._state, summary)
        return self._mixed


def along_columns(solver: Solver) -> frozenset[str]:
    """Return which fields of a solver's asks and summaries run along the columns, if it tells."""
    names: frozenset[str] = getattr(solver, "along_columns", frozenset())
    return names
