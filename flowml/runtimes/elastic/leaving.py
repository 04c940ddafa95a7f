"""Workers that come, and those that someone wants gone: when ranks have to regroup."""

import time
from collections.abc import Sequence
from typing import NamedTuple

from distributed import Client

from flowml.data.dataset import Dataset
from flowml.runtimes.cluster.workers import LOOK_EVERY, cluster_workers
from flowml.runtimes.elastic.rehousing import rehouse
from flowml.runtimes.gangs.gang import MemberLostError
from flowml.runtimes.placement import Placement, Worker

REFUSED = "could-not-retire"
"""What Dask notes of a worker that was to be retired and holds what can't be moved."""


class Change(NamedTuple):
    """Who is to go on, and with which leaves.

    Attributes
    ----------
    workers : list of Worker
    placement : Placement
    """

    workers: list[Worker]
    placement: Placement


class Watch:
    """Looks every few seconds whether members should sit on other workers than they do.

    Dask doesn't retire a worker that has an actor, only notes that it was asked to. Here the
    members leave such a worker, and then it is retired.

    Parameters
    ----------
    client : distributed.Client
    dataset : Dataset
    every : float
        Seconds between two looks.
    """

    def __init__(self, client: Client, dataset: Dataset, every: float = LOOK_EVERY) -> None:
        self._client = client
        self._dataset = dataset
        self._every = every
        self._since = time.time()
        self._next = time.monotonic() + every
        self._leaving: set[str] = set()

    def change(self, known: Sequence[Worker], placement: Placement) -> Change | None:
        """Return what should change, if it is time to look and anything should.

        Parameters
        ----------
        known : sequence of Worker
            Those that members are on.
        placement : Placement
            Where leaves are.

        Raises
        ------
        MemberLostError
            If the scheduler knows one of the workers no more.
        """
        staying = self.staying(known)
        if staying is None:
            return None
        after = rehouse(placement, self._dataset.parts, staying)
        if after is placement and set(known) <= set(staying):
            return None  # nobody leaves, and a move would help nobody
        return Change(staying, after)

    def staying(self, known: Sequence[Worker]) -> list[Worker] | None:
        """Return the workers that are there and not to leave, if it is time to look.

        None where there would be none.

        Raises
        ------
        MemberLostError
            If the scheduler knows one of the known no more.
        """
        if time.monotonic() < self._next:
            return None
        self._next = time.monotonic() + self._every
        there = cluster_workers(self._client)
        here = {worker.address for worker in there}
        gone = {worker.address for worker in known} - here
        if gone:
            raise MemberLostError(f"the scheduler has lost {', '.join(sorted(gone))}")
        leaving = {address for address in here if self._is_asked_to_leave(address)}
        staying = [worker for worker in there if worker.address not in leaving]
        if not staying:
            return None
        self._leaving = leaving
        return staying

    def see_off(self) -> None:
        """Retire the workers that have been asked to leave, once nobody needs them."""
        leaving, self._leaving = self._leaving, set()
        if leaving:
            self._client.retire_workers(sorted(leaving))

    def _is_asked_to_leave(self, address: str) -> bool:
        """Tell whether Dask has noted it, among what it notes of this worker.

        What it notes of all can't be read any more once a user has replicated something: then it
        holds objects that don't travel.
        """
        events = self._client.get_events(address)
        notes = [note for when, note in events if when > self._since and isinstance(note, dict)]
        return any(note.get("action") == REFUSED for note in notes)
