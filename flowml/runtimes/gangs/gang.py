"""A gang: a member on each of some workers, which hold the shards of fits and work together."""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from contextvars import Context, copy_context
from threading import Lock
from typing import Any, Self

import numpy as np
from distributed import Client, Future

from flowml.runtimes.cluster.graphs import unique_token
from flowml.runtimes.cluster.workers import (
    LOOK_EVERY,
    cluster_workers,
    forget,
    quiet_workers,
)
from flowml.runtimes.gangs.member import Member, Reply, adopt, drop, end, present, stay
from flowml.runtimes.placement import Worker

STARTED_WITHIN = 60
"""Seconds."""
BETWEEN_LOOKS = 0.002
"""Seconds between two looks whether tasks are done."""
DISSOLVED_WITHIN = 2.0
"""Seconds that a member may take to dissolve; those whose workers are gone aren't waited for."""
ENDED_WITHIN = 10.0
"""Seconds in which a worker that is there runs a short task, however busy the machine is."""
LOST_WITHIN = 0.05
"""Seconds between two looks at whether a member that is waited for is still there."""
CONFIGURING = Lock()
"""Held while Dask's configuration is another for a moment."""
FIRST = 1
"""The priority of tasks that members wait for: before the shards of this fit or another."""


class MemberLostError(ConnectionError):
    """The worker of a member is gone."""


LOST = (OSError, TimeoutError, CancelledError, LookupError)
"""What it looks like when a member's worker is gone."""


class Answer:
    """What a member will reply.

    Parameters
    ----------
    member : distributed.Actor
    method : {"call", "ask", "meet"}
    *arguments
    home : distributed.Future, optional
        By which the scheduler says that the member is there. What a dead worker is asked may only
        come back after half a minute; that it is gone is known as soon as its connection drops.
    """

    def __init__(
        self, member: Any, method: str, *arguments: Any, home: Future[Any] | None = None
    ) -> None:
        self._home = home
        self._lost: RuntimeError | None = None
        try:
            self._future = getattr(member, method)(*arguments)
        except RuntimeError as error:
            self._lost = error

    def done(self) -> bool:
        """Tell whether the reply is there, or won't ever be."""
        return self._lost is not None or bool(self._future.done()) or self._is_homeless

    def result(self, timeout: float) -> Any:
        """Return what the function returned, or raise what it raised.

        Raises
        ------
        MemberLostError
            If its worker is gone.
        TimeoutError
            If it takes longer.
        """
        reply = self.reply(timeout)
        if reply.error is not None:
            raise reply.error
        return reply.value

    def reply(self, timeout: float) -> Reply:
        """Return what came of it; raises one of `LOST` where nothing did."""
        try:
            if self._lost is not None:
                raise self._lost
            return self._replied(timeout)
        except RuntimeError as error:  # so Dask says that an actor's worker is gone
            raise MemberLostError(str(error)) from error

    def _replied(self, timeout: float) -> Reply:
        deadline = time.monotonic() + timeout
        while True:
            left = deadline - time.monotonic()
            try:
                reply: Reply = self._future.result(min(max(left, 0.0), LOST_WITHIN))
                return reply
            except TimeoutError:
                if self._is_homeless:
                    raise MemberLostError("the scheduler has lost a member's worker") from None
                if left <= LOST_WITHIN:
                    waited = f"a worker didn't answer within {timeout:g} s"
                    raise TimeoutError(waited) from None

    @property
    def _is_homeless(self) -> bool:
        return self._home is not None and self._home.status not in ("pending", "finished")


class Gang:
    """Members on workers; those are all there, or the gang is lost and another one is made.

    They are sent for at once; `gather` waits for them.

    Parameters
    ----------
    client : distributed.Client
    workers : sequence of Worker
    """

    def __init__(self, client: Client, workers: Sequence[Worker]) -> None:
        self.client = client
        self.workers = tuple(workers)
        self.token = unique_token()
        self._futures = [self._send_for(number) for number in range(len(workers))]
        self.members: list[Any] = []
        self._stays: dict[int, Future[Any]] = {}
        self._dismissed: set[int] = set()

    def gather(self) -> Self:
        """Wait until all members are there, unless they are already; return itself.

        Raises
        ------
        MemberLostError
            If a worker goes meanwhile.
        """
        self.gather_heard(np.inf)
        return self

    def gather_heard(self, patience: float) -> list[int]:
        """Wait for members, but not for those whose workers are stopped; return their numbers.

        They are dismissed. All others are there then.

        Parameters
        ----------
        patience : float
            Seconds that a worker may not be heard of.

        Raises
        ------
        MemberLostError
            If a worker goes meanwhile.
        """
        return [] if self.members else self._await(range(len(self.workers)), patience)

    def admit(self, worker: Worker) -> int:
        """Take in another member; return its number.

        Raises
        ------
        MemberLostError
            If its worker goes meanwhile.
        """
        number = len(self.workers)
        self.workers = (*self.workers, worker)
        self._futures.append(self._send_for(number))
        try:
            self._await([number])
        except BaseException:
            self.workers = self.workers[:number]
            del self._futures[number:]
            raise
        return number

    def dismiss(self, number: int) -> None:
        """Let a member go, whose worker is to leave; the others keep their numbers."""
        with suppress(*LOST):
            self.ask(number, Member.dissolve).result(DISSOLVED_WITHIN)
        self._dismissed.add(number)
        self.client.cancel([self._futures[number], self._stays[number]])

    def adopt(self, fit: str, shards: Mapping[str, Sequence[Future[Any]]]) -> None:
        """Hand shards over to the members of their workers, where tasks bring them.

        Parameters
        ----------
        fit : str
        shards : mapping of worker address to futures
            Members of workers that aren't in it get none, and take part.

        Raises
        ------
        MemberLostError
            If a worker goes meanwhile.
        """
        self.bring(adopt, fit, [shards.get(worker.address, ()) for worker in self.workers])

    def bring(
        self, give: Callable[..., Any], fit: str, shards: Sequence[Sequence[Future[Any]]]
    ) -> None:
        """Have tasks give each member some shards.

        Parameters
        ----------
        give : callable ``(name, fit, shards)``
            The task; it finds the member by its name.
        fit : str
        shards : sequence of sequences of Future
            For each member.

        Raises
        ------
        MemberLostError
            If a worker goes meanwhile.
        """
        tasks = [self.submit(number, give, fit, list(own)) for number, own in enumerate(shards)]
        try:
            wait_on(self.client, self.workers, tasks)
            for task in tasks:
                if task.status != "finished":
                    task.result()  # raises what went wrong
        except BaseException:
            forget(self.client, tasks)
            raise
        finally:
            for task in tasks:
                task.release()

    def submit(self, number: int, task: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Have a member's worker run a task, which is given the member's name."""
        return self.client.submit(
            task,
            self.name(number),
            *arguments,
            key=f"flowml-{task.__name__}-{unique_token()}",
            workers=[self.workers[number].address],
            allow_other_workers=False,
            priority=FIRST,
        )

    def _send_for(self, number: int) -> Future[Any]:
        worker, name = self.workers[number], self.name(number)
        return self.client.submit(
            Member,
            name,
            worker.n_threads,
            actor=True,
            workers=[worker.address],
            allow_other_workers=False,
            key=name,
            priority=FIRST,
        )

    def _await(self, numbers: Sequence[int], patience: float = np.inf) -> list[int]:
        """Wait for members that were sent for; return the numbers of those that won't come."""
        workers = [self.workers[number] for number in numbers]
        futures = [self._futures[number] for number in numbers]
        try:
            undone = wait_on(self.client, workers, futures, patience)
            absent = [numbers[place] for place in undone]
            context = context_of(self.client)  # whose connection the handles use
            for number in numbers:
                result = self._futures[number].result
                there = number not in absent
                self.members.append(context.run(result, STARTED_WITHIN) if there else None)
            self._stays |= {n: self.submit(n, stay) for n in numbers if n not in absent}
            self._dismissed.update(absent)
            self.client.cancel([self._futures[number] for number in absent])
            return absent
        except BaseException as error:
            forget(self.client, futures)
            if isinstance(error, RuntimeError):  # so Dask says that an actor's worker is gone
                raise MemberLostError(str(error)) from error
            raise

    def drop(self, fit: str) -> None:
        """Let the members let go of a fit, those that still can."""
        self.ask_all(drop, fit)

    def call_all(self, function: Callable[..., Any], *arguments: Any) -> list[Answer]:
        """Have every member run a function on its own thread."""
        return [self.call(number, function, *arguments) for number in range(len(self.members))]

    def call_each(
        self, function: Callable[..., Any], arguments: Sequence[Sequence[Any]]
    ) -> list[Answer]:
        """Have every member run a function on its own thread, with arguments of its own."""
        return [self.call(number, function, *own) for number, own in enumerate(arguments)]

    def ask_all(self, function: Callable[..., Any], *arguments: Any) -> list[Answer]:
        """Have every member run a short function at once."""
        numbers = [n for n in range(len(self.members)) if n not in self._dismissed]
        return [self.ask(number, function, *arguments) for number in numbers]

    def call(self, number: int, function: Callable[..., Any], *arguments: Any) -> Answer:
        """Have one member run a function on its own thread."""
        return self._answer(number, "call", function, *arguments)

    def ask(self, number: int, function: Callable[..., Any], *arguments: Any) -> Answer:
        """Have one member run a short function at once."""
        return self._answer(number, "ask", function, *arguments)

    def meet(self, number: int, function: Callable[..., Any], *arguments: Any) -> Answer:
        """Have one member run a coroutine function, which may wait, beside its thread."""
        return self._answer(number, "meet", function, *arguments)

    def _answer(self, number: int, method: str, *arguments: Any) -> Answer:
        return Answer(self.members[number], method, *arguments, home=self._futures[number])

    def silent(self, within: float) -> set[str]:
        """Return the addresses of the workers whose members don't answer within some seconds.

        Members that Dask has dropped, as it does where the client lost its scheduler, tell nothing
        of their workers.
        """
        answers = self.ask_all(present)
        deadline = time.monotonic() + within
        missing = set()
        for worker, answer, member in zip(self.workers, answers, self._futures, strict=True):
            if member.cancelled():
                continue
            try:
                answer.result(max(0.05, deadline - time.monotonic()))
            except LOST:
                missing.add(worker.address)
        return missing

    @property
    def dropped(self) -> set[int]:
        """The numbers of members that Dask has dropped, as it does where the client was cut off."""
        cancelled = {n for n, member in enumerate(self._futures) if member.cancelled()}
        return cancelled - self._dismissed

    def close(self) -> None:
        """Dissolve: the workers drop their members."""
        for answer in self.ask_all(Member.dissolve):
            with suppress(*LOST):
                answer.result(DISSOLVED_WITHIN)
        self._end_dropped()
        self.members = []
        futures = [*self._futures, *self._stays.values()]
        self.client.cancel(futures)  # an actor's handle holds references of its own

    def _end_dropped(self) -> None:
        """Have tasks dissolve the members that Dask has dropped while their workers are there."""
        dropped = sorted(self.dropped)
        if not dropped or self.client.status != "running":
            return
        there = {worker.address for worker in cluster_workers(self.client)}
        tasks = [self.submit(n, end) for n in dropped if self.workers[n].address in there]
        deadline = time.monotonic() + ENDED_WITHIN
        while not all(task.done() for task in tasks) and time.monotonic() < deadline:
            time.sleep(BETWEEN_LOOKS)
        forget(self.client, tasks)

    def name(self, number: int) -> str:
        """Return the name by which tasks on its worker find a member."""
        return f"flowml-member-{self.token}-{number}"


def context_of(client: Client) -> Context:
    """Return a context in which a client is the current one.

    Dask notes in its process-wide configuration, too, that there is a current client, and takes
    that back in the order of ends: not to be left to threads that do so at the same time, nor for
    longer than it takes.
    """
    with CONFIGURING, client.as_current():
        return copy_context()


def wait_on(
    client: Client,
    workers: Sequence[Worker],
    tasks: Sequence[Future[Any]],
    patience: float = np.inf,
) -> list[int]:
    """Wait for tasks of which each can run on one worker only, as long as that is there.

    Parameters
    ----------
    client : distributed.Client
    workers : sequence of Worker
    tasks : sequence of Future
    patience : float
        Seconds that a worker may not be heard of: after that its task isn't waited for.

    Returns
    -------
    undone : list of int
        The places of such tasks.

    Raises
    ------
    MemberLostError
        If one of the workers goes meanwhile.
    """
    looked = time.monotonic()
    quiet = set[str]()
    while undone := [place for place, task in enumerate(tasks) if not task.done()]:
        if quiet.issuperset(workers[place].address for place in undone):
            break
        time.sleep(BETWEEN_LOOKS)  # a timeout's traceback would keep the tasks alive
        if time.monotonic() < looked + LOOK_EVERY:
            continue
        looked = time.monotonic()
        there = {worker.address for worker in cluster_workers(client)}
        if gone := {worker.address for worker in workers} - there:
            raise MemberLostError(f"the scheduler has lost {', '.join(sorted(gone))}")
        quiet = quiet_workers(client, patience) if patience < np.inf else set()
    return undone
