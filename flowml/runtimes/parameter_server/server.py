"""The members' side of a parameter server: one serves, and those that hold rows work for it."""

import time
from asyncio import Event, get_running_loop, wait_for
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from enum import Enum
from typing import Any

from flowml.kernels.fold import Ask, Fold
from flowml.runtimes.blas import one_blas_thread
from flowml.runtimes.columns import Columns, cut, spread, stored_columns
from flowml.runtimes.gangs.gang import LOST, Answer
from flowml.runtimes.gangs.member import LOOKED_FOR_EVERY, Member, Reply, present
from flowml.runtimes.packed import pack
from flowml.runtimes.parameter_server.clocks import Clocks, Join, Order, Push
from flowml.runtimes.runtime import Advance
from flowml.runtimes.shard import align
from flowml.runtimes.span import since
from flowml.runtimes.threads import Crew
from flowml.runtimes.tree import Nodes
from flowml.solvers.solver import Solver, State

LEASE = 60.0
"""Seconds after which a server that nobody asks for news stops: its client is gone."""
WAIT = 2.0
"""Seconds after which a site that has to wait is told so, and asks again."""
ANSWERED_WITHIN = 60.0
"""Seconds that a server may take to answer."""
PRESENT_WITHIN = 4.0
"""Seconds in which a server says no more than that it is there: longer than sites wait."""
SILENCE = 600.0
"""Seconds without a push after which a server gives up."""


class Word(Enum):
    """What a server says to a site instead of an order."""

    WAIT = "others are behind"
    OVER = "all is done"


class ServerLostError(RuntimeError):
    """The worker of the member that serves is gone."""


class Server:
    """Takes pushes one by one, on a thread of its own, and lets sites wait beside it.

    Parameters
    ----------
    clocks : Clocks
    """

    def __init__(self, clocks: Clocks) -> None:
        self._clocks = clocks
        self._thread = ThreadPoolExecutor(1, "flowml-server")
        self._moved = Event()
        self._stopped = False
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

    async def tell(self) -> Advance:
        """Tell what wasn't told yet."""
        self._asked_at = time.monotonic()
        return await get_running_loop().run_in_executor(self._thread, self._clocks.tell)

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
        with one_blas_thread():
            self._clocks.push(site, push)

    def _order(self, site: int) -> Order | Word:
        now = time.monotonic()
        if self._stopped or self._clocks.over or now - self._asked_at > LEASE:
            return Word.OVER
        if now - self._pushed_at > SILENCE:
            raise RuntimeError(
                f"no worker has pushed anything to the parameter server for {SILENCE:.0f} s: see "
                "the workers' logs"
            )
        with one_blas_thread():
            return self._clocks.order(site) or Word.WAIT


def open_server(
    member: Member, name: str, solver: Solver, state: State, n_sites: int, staleness: int
) -> None:
    """Have this member serve."""
    member.notes[name] = Server(Clocks(solver, align(state), n_sites, staleness))


async def exchange(member: Member, name: str, site: int, push: Push | Join | None) -> Order | Word:
    """Take what a site has done, and return what it is to do next; all is done if it is closed."""
    server: Server | None = member.notes.get(name)
    return Word.OVER if server is None else await server.exchange(site, push)


async def tell(member: Member, name: str) -> Advance:
    """Tell how far the serving member has come."""
    server: Server = member.notes[name]
    return await server.tell()


def stop_server(member: Member, name: str) -> None:
    """Send the sites home that ask for orders, where this member serves."""
    server: Server | None = member.notes.get(name)
    if server is not None:
        server.stop()


def close_server(member: Member, name: str) -> None:
    """End serving, where this member does: sites that still work are sent home."""
    server: Server | None = member.notes.pop(name, None)
    if server is not None:
        server.close()


def work(
    member: Member, name: str, fit: str, site: int, server: Any, solver: tuple[Fold, frozenset[str]]
) -> None:
    """Do what the server orders with this member's leaves, until all is done.

    Parameters
    ----------
    member : Member
    name : str
        What is served.
    fit : str
        Whose leaves.
    site : int
    server : distributed.Actor
        The member that serves.
    solver : tuple of Fold and frozenset of str
        How rows become a summary, and its fields and an ask's that run along the columns.

    Raises
    ------
    ServerLostError
        If the server can't be reached.
    """
    crew, (fold, names) = member.crews[fit], solver
    columns = stored_columns(crew.leaves) if names else None
    push: Push | Join | None = Join(columns)
    with one_blas_thread():
        while True:
            order = _exchanged(member, server, name, site, push)
            push = None
            if order is Word.OVER:
                return
            if order is not Word.WAIT:
                start = time.time()
                nodes = _summarised(crew, fold, order.ask, names, columns)
                push = Push(order.round, order.clock, pack(nodes, (since(start),)))


def _summarised(
    crew: Crew, fold: Fold, ask: Ask, names: frozenset[str], columns: Columns | None
) -> Nodes:
    """Summarise the leaves; where only some columns travel, those."""
    if columns is None:
        return crew.summarise(fold, align(ask))
    nodes = crew.summarise(fold, align(spread(ask, names, columns)))
    return {node: cut(summary, names, columns) for node, summary in nodes.items()}


def _exchanged(member: Member, server: Any, name: str, site: int, push: Push | Join | None) -> Any:
    """Return the next order or word; what the server raises is raised here."""
    answer = Answer(server, "meet", exchange, name, site, push)
    try:
        reply = _awaited(member, server, answer)
    except LOST as error:
        raise ServerLostError(f"the parameter server doesn't answer: {error!r}") from None
    if reply.error is not None:
        raise reply.error
    return reply.value


def _awaited(member: Member, server: Any, answer: Answer) -> Reply:
    """Wait for a server's answer as long as it is there, and this member's gang.

    Dask tells a worker nothing of an actor that it has dropped, or whose worker is gone: what is
    asked of it is never answered. So a server that is silent is asked whether it is there. Where it
    isn't, the client has heard of it and dissolves the gang, or is gone itself.
    """
    deadline = time.monotonic() + ANSWERED_WITHIN
    heard = time.monotonic()
    while True:
        with suppress(TimeoutError):
            return answer.reply(LOOKED_FOR_EVERY)
        now = time.monotonic()
        if member.is_dissolved or now > deadline:
            raise TimeoutError(
                f"no answer within {ANSWERED_WITHIN:.0f} s, or its gang is dissolved"
            )
        if now > heard + PRESENT_WITHIN:
            Answer(server, "ask", present).reply(PRESENT_WITHIN)
            heard = time.monotonic()
