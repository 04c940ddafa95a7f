"""Members that hold columns for the one that serves."""

from asyncio import get_running_loop
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from weakref import proxy

from flowml.runtimes.blas import one_blas_thread
from flowml.runtimes.gangs.gang import Answer
from flowml.runtimes.gangs.member import Member
from flowml.runtimes.parameter_server.holding import Holding
from flowml.runtimes.parameter_server.waiting import ServerLostError, awaited
from flowml.runtimes.shard import align
from flowml.solvers.solver import Solver, State


class Holder:
    """Does what it is told with a holding, on a thread for that alone, and waits for nobody.

    Parameters
    ----------
    holding : Holding
    thread : ThreadPoolExecutor
    """

    def __init__(self, holding: Holding, thread: ThreadPoolExecutor) -> None:
        self._holding = holding
        self._thread = thread

    async def use(self, act: Callable[..., Any], arguments: Sequence[Any]) -> Any:
        """Return what ``act(holding, *arguments)`` comes to."""
        return await get_running_loop().run_in_executor(self._thread, self._use, act, arguments)

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown(wait=False)

    def _use(self, act: Callable[..., Any], arguments: Sequence[Any]) -> Any:
        with one_blas_thread():
            return act(self._holding, *arguments)


class Holders:
    """Members with columns, as another member sees them.

    Parameters
    ----------
    member : Member
        Who asks.
    name : str
        What is served.
    actors : sequence of distributed.Actor
    """

    def __init__(self, member: Member, name: str, actors: Sequence[Any]) -> None:
        self._member: Member = proxy(member)  # what a member keeps must go with it
        self._name = name
        self._actors = actors

    def begin(self, act: Callable[..., Any], *arguments: Any) -> Callable[[], list[Any]]:
        """Have each begin with ``act(holding, *arguments)``; what is returned waits for it.

        It raises what they raise, or `ServerLostError` if one can't be reached.
        """
        return self.begin_each(act, [arguments] * len(self._actors))

    def begin_each(
        self, act: Callable[..., Any], arguments: Sequence[Sequence[Any]]
    ) -> Callable[[], list[Any]]:
        """Have each begin with arguments of its own."""
        asked = [
            (actor, Answer(actor, "meet", use_holding, self._name, act, *own))
            for actor, own in zip(self._actors, arguments, strict=True)
        ]
        return lambda: [awaited(self._member, actor, answer) for actor, answer in asked]


def open_holding(member: Member, name: str, cut: tuple[Solver, State], n_sites: int) -> None:
    """Have this member hold columns, to which solver and state are cut."""
    solver, state = cut
    holding = Holding(solver, align(state), n_sites)
    member.notes[name] = Holder(holding, member.thread("flowml-holder"))


async def use_holding(member: Member, name: str, act: Callable[..., Any], *arguments: Any) -> Any:
    """Return what ``act(holding, *arguments)`` comes to.

    Raises
    ------
    ServerLostError
        If serving is over.
    """
    holder: Holder | None = member.notes.get(name)
    if holder is None:
        raise ServerLostError("a member doesn't hold its columns any more")
    return await holder.use(act, arguments)
