"""The member that serves: it takes pushes, gives orders, and tells those with other columns."""

import time
from asyncio import Event, get_running_loop, wait_for
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from enum import Enum
from typing import Any, NamedTuple

from flowml.runtimes.blas import one_blas_thread
from flowml.runtimes.gangs.member import Member
from flowml.runtimes.parameter_server.clocks import Clocks, Join, Order, Push
from flowml.runtimes.parameter_server.holders import Holder, Holders
from flowml.runtimes.runtime import Advance
from flowml.runtimes.shard import align
from flowml.solvers.solver import Solver, State

LEASE = 60.0
"""Seconds after which a server that nobody asks for news stops: its client is gone."""
WAIT = 2.0
"""Seconds after which a site that has to wait is told so, and asks again."""
SILENCE = 600.0
"""Seconds without a push after which a server gives up."""


class Word(Enum):
    """What a server says to a site instead of an order."""

    WAIT = "others are behind"
    OVER = "all is done"


class News(NamedTuple):
    """How far a server has come.

    Attributes
    ----------
    advance : Advance
        With the columns of the state that this server has.
    version : int
        Of that state, which the others keep.
    """

    advance: Advance
    version: int


class Server:
    """Takes pushes one by one, on a thread for that alone, and lets sites wait beside it.

    Parameters
    ----------
    clocks : Clocks
    thread : ThreadPoolExecutor
    """

    def __init__(self, clocks: Clocks, thread: ThreadPoolExecutor) -> None:
        self._clocks = clocks
        self._thread = thread
        self._moved = Event()
        self._stopped = False
        self._error: Exception | None = None
        self._asked_at = self._pushed_at = time.monotonic()

    async def exchange(self, site: int, push: Push | Join | None) -> Order | Word:
        """Take what a site has done, and return what it is to do next once that is known.

        Raises
        ------
        NonFiniteError, ValueError
            If a step fails.
        RuntimeError
            If nothing was pushed for too long.
        """
        loop = get_running_loop()
        if push is not None:
            await loop.run_in_executor(self._thread, self._take, site, push)
            self._wake()
        deadline = loop.time() + WAIT
        while True:
            moved = self._moved  # before the look, so that no change is missed
            order = await loop.run_in_executor(self._thread, self._order, site)
            if order is not Word.WAIT or loop.time() >= deadline:
                return order
            with suppress(TimeoutError):
                await wait_for(moved.wait(), deadline - loop.time())

    async def tell(self) -> News | None:
        """Tell what wasn't told yet; None where that is nothing, which spares a state's way."""
        self._asked_at = time.monotonic()
        return await get_running_loop().run_in_executor(self._thread, self._tell)

    def stop(self) -> None:
        """Send all sites home."""
        self._stopped = True
        self._wake()

    def close(self) -> None:
        """End the thread."""
        self.stop()
        self._thread.shutdown(wait=False)

    def _wake(self) -> None:
        moved, self._moved = self._moved, Event()
        moved.set()

    def _take(self, site: int, push: Push | Join) -> None:
        self._pushed_at = time.monotonic()
        if isinstance(push, Join):
            self._clocks.join(site, push)
            return
        self._once(self._clocks.push, site, push)

    def _order(self, site: int) -> Order | Word:
        now = time.monotonic()
        if self._stopped or self._clocks.over or now - self._asked_at > LEASE:
            return Word.OVER
        if now - self._pushed_at > SILENCE:
            raise RuntimeError(
                f"no worker has pushed anything to the parameter server for {SILENCE:.0f} s: see "
                "the workers' logs"
            )
        return self._once(self._clocks.order, site) or Word.WAIT

    def _tell(self) -> News | None:
        advance = self._clocks.tell()
        return News(advance, self._clocks.told) if advance.turns else None

    def _once(self, act: Callable[..., Any], *arguments: Any) -> Any:
        """Act; what has failed once isn't tried again."""
        if self._error is not None:
            raise self._error
        try:
            with one_blas_thread():
                return act(*arguments)
        except Exception as error:
            self._error = error
            raise


def open_server(
    member: Member,
    name: str,
    cut: tuple[Solver, State],
    n_sites: int,
    staleness: int,
    others: Sequence[Any],
) -> None:
    """Have this member serve.

    Parameters
    ----------
    member : Member
    name : str
        What is served.
    cut : tuple of Solver and State
        Whole, or cut to the columns that this member has.
    n_sites, staleness : int
    others : sequence of distributed.Actor
        Members with the columns behind those.
    """
    (solver, state), holders = cut, Holders(member, name, others)
    clocks = Clocks(solver, align(state), n_sites, staleness, holders)
    member.notes[name] = Server(clocks, member.thread("flowml-server"))


async def exchange(member: Member, name: str, site: int, push: Push | Join | None) -> Order | Word:
    """Take what a site has done, and return what it is to do next; all is done if it is closed."""
    server: Server | None = member.notes.get(name)
    return Word.OVER if server is None else await server.exchange(site, push)


async def tell(member: Member, name: str) -> News | None:
    """Tell how far the serving member has come, if it has."""
    server: Server = member.notes[name]
    return await server.tell()


def stop_server(member: Member, name: str) -> None:
    """Send the sites home that ask for orders, where this member serves."""
    server: Server | None = member.notes.get(name)
    if server is not None:
        server.stop()


def close_server(member: Member, name: str) -> None:
    """End serving or holding columns, where this member does: sites at work are sent home."""
    serving: Server | Holder | None = member.notes.pop(name, None)
    if serving is not None:
        serving.close()
