"""The loop of a parameter server, as the client sees it: it asks servers how far they are."""

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress

from flowml.runtimes.cluster.graphs import unique_token
from flowml.runtimes.columns import cut, joined
from flowml.runtimes.gangs.gang import LOST, Answer, Gang, MemberLostError
from flowml.runtimes.gangs.gang_loop import FailedError
from flowml.runtimes.parameter_server.holders import open_holding, use_holding
from flowml.runtimes.parameter_server.holding import Holding
from flowml.runtimes.parameter_server.ranges import Range, along_columns, shared_out
from flowml.runtimes.parameter_server.server import (
    News,
    close_server,
    open_server,
    stop_server,
    tell,
)
from flowml.runtimes.parameter_server.site import Told, work
from flowml.runtimes.parameter_server.waiting import ServerLostError
from flowml.runtimes.runtime import Advance
from flowml.solvers.solver import Solver, State

SERVER = 0
"""The member that serves; those behind it hold the columns that it doesn't."""
NEWS_EVERY = 0.2
"""Seconds between two looks at how far the server has come."""
NEWS_SHARE = 0.1
"""Of the time that looks may take: a large state takes long on a narrow network."""
NEWS_BY = 10.0
"""Seconds after which the client looks in any case: no more is lost with the server."""
NEWS_WITHIN = 30.0
"""Seconds that the server may take to answer how far it is."""
ENDED_WITHIN = 2.0
"""Seconds that members may take to finish what they are at."""


class ServerLoop:
    """A solver's loop, begun on the members that serve and on those that hold leaves.

    Parameters
    ----------
    gang : Gang
    fit : str
        Under which the members have their leaves.
    sites : sequence of int
        The members that have any.
    solver : Solver
    state : State
        To go on from.
    staleness : int
        Clocks that a member may be ahead of the slowest.

    Attributes
    ----------
    state : State
        The last one known.
    """

    def __init__(
        self,
        gang: Gang,
        fit: str,
        sites: Sequence[int],
        solver: Solver,
        state: State,
        staleness: int,
    ) -> None:
        self.state = state
        self._gang = gang
        self._name = name = f"server-{unique_token()}"
        self._version = 0
        self._names = names = along_columns(solver)
        self._ranges = ranges = shared_out(solver, state, len(gang.members))
        cuts = [
            (cut(solver, names, one.columns), cut(state, names, one.columns)) for one in ranges
        ] or [(solver, state)]
        servers = gang.members[: len(cuts)]
        opened = [
            gang.ask(number, open_holding, name, cuts[number], len(sites))
            for number in self._others
        ]
        serve = (name, cuts[SERVER], len(sites), staleness, servers[1:])
        for answer in [*opened, gang.ask(SERVER, open_server, *serve)]:
            answer.result(NEWS_WITHIN)
        told = Told(solver.fold, names, ranges)
        self._answers = [
            gang.call(member, work, name, fit, site, servers, told)
            for site, member in enumerate(sites)
        ]

    def advances(self) -> Iterator[Advance]:
        """Tell how far the loop is every now and then, until it ends.

        Raises
        ------
        FailedError
            If the solver or a kernel raises an error.
        MemberLostError, TimeoutError
            If a worker is gone.
        """
        try:
            if self._ranges:
                yield Advance(self.state, incidents=(_in_words(self._ranges),))
            due, waiting = 0.0, self._waiting()
            while waiting:
                with suppress(TimeoutError):
                    _take(waiting[0], NEWS_EVERY)
                waiting, began = self._waiting(), time.monotonic()
                news = Advance(self.state)
                if began >= due or not waiting:
                    news = self._news(NEWS_WITHIN)
                    took = time.monotonic() - began
                    due = began + took + min(took / NEWS_SHARE, NEWS_BY)
                yield news
        except LOST:
            with suppress(*LOST):
                yield self._news(ENDED_WITHIN)  # of a server that is left
            raise
        finally:
            for number in (SERVER, *self._others):
                self._gang.ask(number, close_server, self._name)

    def stop(self) -> None:
        """Send the members home once they have finished what they are at."""
        if not all(answer.done() for answer in self._answers):
            self._gang.ask(SERVER, stop_server, self._name)

    def has_ended(self) -> bool:
        """Tell whether no member works any more, or soon none will: they can be used again."""
        deadline = time.monotonic() + ENDED_WITHIN
        while time.monotonic() < deadline:
            if all(answer.done() for answer in self._answers):
                return True
            time.sleep(0.01)
        return False

    @property
    def _others(self) -> range:
        """The members that hold columns for the one that serves."""
        return range(SERVER + 1, max(1, len(self._ranges)))

    def _news(self, within: float) -> Advance:
        """Ask the server how far it is; a new state is put together of all servers' columns."""
        news: News | None = self._gang.meet(SERVER, tell, self._name).result(within)
        if news is None:
            return Advance(self.state)
        if news.version != self._version:
            self.state, self._version = self._whole(news, within), news.version
        return news.advance._replace(state=self.state)

    def _whole(self, news: News, within: float) -> State:
        if not self._ranges:
            return news.advance.state
        asked = (self._name, Holding.state, news.version)
        answers = [self._gang.meet(number, use_holding, *asked) for number in self._others]
        states = [news.advance.state, *(answer.result(within) for answer in answers)]
        return joined(states, self._names, [one.columns for one in self._ranges])

    def _waiting(self) -> list[Answer]:
        """Return the answers that aren't there yet; one that is an error is raised."""
        for answer in self._answers:
            if answer.done():
                _take(answer, NEWS_WITHIN)
        return [answer for answer in self._answers if not answer.done()]


def _in_words(ranges: Sequence[Range]) -> str:
    return f"{len(ranges)} servers share out the {ranges[0].n_columns:,} columns of the state"


def _take(answer: Answer, timeout: float) -> None:
    error = answer.reply(timeout).error
    if isinstance(error, ServerLostError):
        raise MemberLostError(str(error)) from error
    if error is not None:
        raise FailedError(error)
