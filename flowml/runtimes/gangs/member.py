"""A worker's part in a gang: an actor with a thread of its own, beside Dask's tasks."""

import pickle
import time
from asyncio import get_running_loop
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, NamedTuple
from weakref import WeakSet, WeakValueDictionary, finalize

from distributed import secede

from flowml.runtimes.gangs.preflight import kind_of_rows
from flowml.runtimes.shard import Shard
from flowml.runtimes.threads import Crew

LOOKED_FOR_EVERY = 0.2
"""Seconds after which what waits for a member, or in it, notices that it is gone."""
_MEMBERS: "WeakValueDictionary[str, Member]" = WeakValueDictionary()
"""Those of this process by name: how a task that brings shards finds the one to give them to."""


class Reply(NamedTuple):
    """What came of a call: an error is brought home as a value, for one that can't travel by
    itself would leave its caller waiting.

    Attributes
    ----------
    value : object
    error : Exception or None
    """

    value: Any
    error: Exception | None


class Member:
    """Runs functions of itself: long ones on its own thread, short ones beside them.

    Its thread takes none of the slots of Dask's tasks, so gangs on the same workers, each with
    members of its own, don't wait for each other, and can't deadlock.

    Parameters
    ----------
    name : str
    n_threads : int
        Threads that go over the rows.

    Attributes
    ----------
    crews : dict of str to Crew
        The leaves of each fit, ready to be gone over.
    kinds : dict of str to str
        What kind of rows these hold.
    notes : dict of str to object
        What functions leave for each other.
    """

    def __init__(self, name: str, n_threads: int) -> None:
        self.n_threads = n_threads
        self.crews: dict[str, Crew] = {}
        self.kinds: dict[str, str] = {}
        self.notes: dict[str, Any] = {}
        self._threads: WeakSet[ThreadPoolExecutor] = WeakSet()
        finalize(self, _shut_down, self._threads)
        self._thread = self.thread("flowml-member")
        self._name = name
        _MEMBERS[name] = self

    def thread(self, name: str) -> ThreadPoolExecutor:
        """Return another thread, which ends with this member, whatever else refers to it."""
        thread = ThreadPoolExecutor(1, name)
        self._threads.add(thread)
        return thread

    async def call(self, function: Callable[..., Any], *arguments: Any) -> Reply:
        """Reply with ``function(member, *arguments)``, run on its thread, one at a time."""
        run = copy_context().run  # there too, Dask knows which worker this is
        loop = get_running_loop()
        return await loop.run_in_executor(self._thread, run, self._reply, function, arguments)

    async def ask(self, function: Callable[..., Any], *arguments: Any) -> Reply:
        """Reply with ``function(member, *arguments)`` at once, whatever its thread is at."""
        return self._reply(function, arguments)

    async def meet(self, function: Callable[..., Awaitable[Any]], *arguments: Any) -> Reply:
        """Reply with what ``function(member, *arguments)`` comes to, which may wait for others."""
        try:
            return Reply(await function(self, *arguments), None)
        except Exception as error:
            return Reply(None, portable(error))

    def take(self, fit: str, shards: Sequence[Shard]) -> None:
        """Take the leaves of a fit."""
        leaves = [leaf for shard in shards for leaf in shard.leaves]
        leaves.sort(key=lambda leaf: leaf.number)
        self.crews[fit] = Crew(leaves, self.n_threads)
        self.kinds[fit] = kind_of_rows(leaves)

    def dissolve(self) -> None:
        """End its threads and the task that stays for it; what still refers to it can go later.

        After an error, tracebacks keep objects until the garbage collector comes by.
        """
        _MEMBERS.pop(self._name, None)
        _shut_down(self._threads)
        for fit in list(self.crews):
            drop(self, fit)

    @property
    def is_dissolved(self) -> bool:
        """Whether its gang is no more: what it still does is for nobody."""
        return _MEMBERS.get(self._name) is not self

    def _reply(self, function: Callable[..., Any], arguments: Sequence[Any]) -> Reply:
        try:
            return Reply(function(self, *arguments), None)
        except Exception as error:
            return Reply(None, portable(error))


def _shut_down(threads: Iterable[ThreadPoolExecutor]) -> None:
    for thread in threads:
        thread.shutdown(wait=False)


def adopt(name: str, fit: str, shards: Sequence[Shard]) -> None:
    """Give shards to the member of this process that has the name: a task.

    Raises
    ------
    LookupError
        If it isn't here: its worker was lost.
    """
    find(name).take(fit, shards)


def stay(name: str) -> None:
    """Be a task of this process as long as the member is here: it takes no slot of other tasks.

    Dask doesn't see what members do. A worker without tasks is idle to it, and the first to go
    where a cluster adapts to its load.
    """
    secede()
    while name in _MEMBERS:
        time.sleep(LOOKED_FOR_EVERY)


def end(name: str) -> None:
    """Dissolve the member of this process that has the name, if there is one: a task.

    One that Dask has dropped can't be asked to, and goes on with what it is at.
    """
    member = _MEMBERS.get(name)
    if member is not None:
        member.dissolve()


def find(name: str) -> Member:
    """Return the member of this process that has the name.

    Raises
    ------
    LookupError
        If it isn't here: its worker was lost.
    """
    return _MEMBERS[name]


def present(member: Member) -> bool:
    """Show that this member answers."""
    return True


def drop(member: Member, fit: str) -> None:
    """Let go of a fit's leaves."""
    crew, _ = member.crews.pop(fit, None), member.kinds.pop(fit, None)
    if crew is not None:
        crew.close()


def portable(error: Exception) -> Exception:
    """Return an error that can travel: one that can't be pickled becomes what it says.

    A copy without traceback, which would keep the member alive that the error was raised in.
    """
    try:
        copy: Exception = pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return copy
