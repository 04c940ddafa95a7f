"""The loop that runs on all ranks, as the client sees it: it asks one of them how far it is."""

import time
from collections.abc import Iterator

from flowml.runtimes.allreduce.rank import run, stop, tell
from flowml.runtimes.allreduce.ring import RingError
from flowml.runtimes.gangs.gang import Answer, Gang, MemberLostError
from flowml.runtimes.gangs.gang_loop import FailedError
from flowml.runtimes.runtime import Advance
from flowml.solvers.solver import Solver, State

NEWS_EVERY = 0.2
"""Seconds between two looks at how far the ranks have come."""
LOOK_EVERY = 0.05
"""Seconds between two looks at whether all ranks are well."""
NEWS_WITHIN = 30.0
"""Seconds that a rank may take to answer how far it is."""
ENDED_WITHIN = 2.0
"""Seconds between the ends of ranks that fail for the same reason."""


class RankLoop:
    """A solver's loop, begun on all ranks.

    Parameters
    ----------
    gang : Gang
    fit : str
        Under which the members have their leaves.
    solver : Solver
    state : State
        To go on from.
    sum_above : int
        See `ring_pass.SUM_ABOVE`.

    Attributes
    ----------
    state : State
        The last one known.
    """

    def __init__(self, gang: Gang, fit: str, solver: Solver, state: State, sum_above: int) -> None:
        self.state = state
        self._gang = gang
        self._fit = fit
        self._answers = gang.call_all(run, fit, solver, state, sum_above)
        self._stopping = False

    def advances(self) -> Iterator[Advance]:
        """Tell how far the loop is every now and then, until it ends.

        Raises
        ------
        FailedError
            If the solver or a kernel raises an error.
        MemberLostError, RingError, TimeoutError
            If a worker is gone.
        """
        news_at = time.monotonic() + NEWS_EVERY
        while True:
            try:
                last: Advance = _value(self._answers[0], LOOK_EVERY)
            except TimeoutError:
                self._see_that_all_are_well()
                if time.monotonic() > news_at:
                    yield self._noted(self._news())
                    news_at = time.monotonic() + NEWS_EVERY
            else:
                yield self._noted(last)
                return

    def stop(self) -> None:
        """Have the ranks stop after the pass that they are at, unless they have."""
        if not (self._stopping or self._answers[0].done()):
            self._stopping = True
            self._gang.ask_all(stop, self._fit)

    def has_ended(self) -> bool:
        """Tell whether no rank runs any more, or soon none will: they can be used again."""
        deadline = time.monotonic() + ENDED_WITHIN
        while time.monotonic() < deadline:
            if all(answer.done() for answer in self._answers):
                return True
            time.sleep(0.01)
        return False

    def _noted(self, advance: Advance) -> Advance:
        self.state = advance.state
        return advance

    def _see_that_all_are_well(self) -> None:
        """Raise the error by which a rank has ended that isn't the first."""
        for other in self._answers[1:]:
            if other.done():
                _value(other, NEWS_WITHIN)

    def _news(self) -> Advance:
        """Ask the first rank how far it is."""
        news: Advance | None = self._gang.ask(0, tell, self._fit).result(NEWS_WITHIN)
        return Advance(self.state) if news is None else news


def _value(answer: Answer, timeout: float) -> Advance:
    reply = answer.reply(timeout)
    if isinstance(reply.error, RingError):
        raise MemberLostError(str(reply.error)) from reply.error
    if reply.error is not None:
        raise FailedError(reply.error)
    value: Advance = reply.value
    return value
