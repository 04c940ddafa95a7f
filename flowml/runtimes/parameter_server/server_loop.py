"""The loop of a parameter server, as the client sees it: it asks the server how far it is."""

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress

from flowml.runtimes.cluster.graphs import unique_token
from flowml.runtimes.gangs.gang import Answer, Gang, MemberLostError
from flowml.runtimes.gangs.gang_loop import FailedError
from flowml.runtimes.parameter_server.clocks import along_columns
from flowml.runtimes.parameter_server.server import (
    ServerLostError,
    close_server,
    open_server,
    stop_server,
    tell,
    work,
)
from flowml.runtimes.runtime import Advance
from flowml.solvers.solver import Solver, State

SERVER = 0
"""The member that serves."""
NEWS_EVERY = 0.2
"""Seconds between two looks at how far the server has come."""
NEWS_WITHIN = 30.0
"""Seconds that the server may take to answer how far it is."""
ENDED_WITHIN = 2.0
"""Seconds that members may take to finish what they are at."""


class ServerLoop:
    """A solver's loop, begun on the member that serves and on those that hold leaves.

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
        opened = gang.ask(SERVER, open_server, name, solver, state, len(sites), staleness)
        opened.result(NEWS_WITHIN)
        server, told = gang.members[SERVER], (solver.fold, along_columns(solver))
        self._answers = [
            gang.call(member, work, name, fit, site, server, told)
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
            while waiting := self._waiting():
                with suppress(TimeoutError):
                    _take(waiting[0], NEWS_EVERY)
                news: Advance = self._gang.meet(SERVER, tell, self._name).result(NEWS_WITHIN)
                self.state = news.state
                yield news
        finally:
            self._gang.ask(SERVER, close_server, self._name)

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

    def _waiting(self) -> list[Answer]:
        """Return the answers that aren't there yet; one that is an error is raised."""
        for answer in self._answers:
            if answer.done():
                _take(answer, NEWS_WITHIN)
        return [answer for answer in self._answers if not answer.done()]


def _take(answer: Answer, timeout: float) -> None:
    error = answer.reply(timeout).error
    if isinstance(error, ServerLostError):
        raise MemberLostError(str(error)) from error
    if error is not None:
        raise FailedError(error)
