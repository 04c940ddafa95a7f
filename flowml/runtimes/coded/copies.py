"""Copies of parts at the members of a gang: which are there, and which are on their way."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from distributed import Client, Future

from flowml.data.dataset import Dataset
from flowml.runtimes.cluster.alone import load_alone
from flowml.runtimes.cluster.graphs import unique_token
from flowml.runtimes.cluster.held import HeldShards
from flowml.runtimes.cluster.workers import cluster_workers, forget
from flowml.runtimes.coded.desk import take
from flowml.runtimes.gangs.gang import LOST, Gang
from flowml.runtimes.placement import Placement, ShardPlan

SHORTEST_LOAD = 0.2
"""Seconds that bringing rows may always take."""
LOOK_EVERY = 1.0
"""Seconds between two looks at which workers there are, while rows are on their way."""


@dataclass(eq=False)
class Transport:
    """Parts on their way to a member, and then there.

    Parameters
    ----------
    parts : tuple of int
    shard : Future
        Their leaves in the worker's memory.
    task : Future
        Gives them to the member.
    """

    parts: tuple[int, ...]
    shard: Future[Any]
    task: Future[Any]
    has_arrived: bool = False


class Copies:
    """Which member holds which parts.

    Parameters
    ----------
    dataset : Dataset
    placement : Placement
        Of which only the leaves count.
    gang : Gang
    fit : str
    parts : sequence of tuple of int
        The leaves of each part.

    Attributes
    ----------
    held : list of set of int
        For each member the parts that it has.
    """

    def __init__(
        self,
        dataset: Dataset,
        placement: Placement,
        gang: Gang,
        fit: str,
        parts: Sequence[tuple[int, ...]],
    ) -> None:
        self.parts = parts
        self.held: list[set[int]] = [set() for _ in gang.workers]
        self._dataset, self._placement = dataset, placement
        self._gang, self._fit = gang, fit
        self._transports: list[list[Transport]] = [[] for _ in gang.workers]
        self._shards: list[HeldShards] = []

    @property
    def _client(self) -> Client:
        return self._gang.client

    def bring(self, wanted: Mapping[int, Iterable[int]]) -> int:
        """Send for parts that members don't have yet; return how many those are."""
        news = {seat: tuple(sorted(self._news(seat, parts))) for seat, parts in wanted.items()}
        news = {seat: parts for seat, parts in news.items() if parts}
        if not news:
            return 0
        plans = [
            ShardPlan(self._gang.workers[seat].address, tuple(sorted(self._leaves(parts))))
            for seat, parts in news.items()
        ]
        for (seat, parts), shard in zip(news.items(), self._load(plans), strict=True):
            self._transports[seat].append(Transport(parts, shard, self._hand_over(seat, shard)))
        return sum(map(len, news.values()))

    def shards(self) -> list[Future[Any]]:
        """Return the rows, where each part is at one member."""
        return [one.shard for each in self._transports for one in each]

    def look(self) -> None:
        """Note which parts have arrived; those whose worker went are forgotten.

        Raises
        ------
        Exception
            What reading the rows raised.
        """
        for seat, transports in enumerate(self._transports):
            for transport in [one for one in transports if not one.has_arrived]:
                if transport.task.status == "finished":
                    transport.has_arrived = True
                    transport.task.release()
                    self.held[seat] |= set(transport.parts)
                elif transport.task.status != "pending":
                    self._raise(transport.task)
                    transports.remove(transport)
                    transport.task.release()
                    transport.shard.release()

    def are_there(self, wanted: Mapping[int, Iterable[int]]) -> bool:
        """Tell whether members have parts."""
        return all(
            part in self.held[seat] or not self.parts[part]
            for seat, parts in wanted.items()
            for part in parts
        )

    def wait(self, patience: float) -> set[int]:
        """Wait for what is on its way, and return the members that went meanwhile.

        Parameters
        ----------
        patience : float
            After how many times the time that half of the members took, the others aren't waited
            for any more.

        Raises
        ------
        Exception
            What reading the rows raised.
        """
        gone: set[int] = set()
        started = looked = time.monotonic()
        half = (sum(map(bool, self._transports)) + 1) // 2
        limit = np.inf
        while (coming := self._coming(gone)) and time.monotonic() < limit:
            self.look()
            if limit == np.inf and len(coming) <= half:
                limit = started + SHORTEST_LOAD + patience * (time.monotonic() - started)
            if time.monotonic() > looked + LOOK_EVERY:
                looked, gone = time.monotonic(), self._gone()
            time.sleep(0.002)
        return gone

    def lose(self, seat: int) -> None:
        """Let go of what a member had that is gone, before Dask makes it again elsewhere."""
        self.held[seat] = set()
        for transport in self._transports[seat]:
            transport.shard.release()
        forget(self._client, [one.task for one in self._transports[seat] if not one.has_arrived])
        self._transports[seat] = []

    def close(self) -> None:
        """Let the workers drop the rows."""
        tasks = [one.task for each in self._transports for one in each if not one.has_arrived]
        if tasks:
            forget(self._client, tasks)
        for transport in (one for each in self._transports for one in each):
            transport.shard.release()
        for shards in self._shards:
            shards.release()
        self._shards, self._transports = [], []

    def nbytes(self, parts: Iterable[int]) -> int:
        """Count the bytes of parts, as far as they are known."""
        blocks = (block for leaf in self._leaves(parts) for block in self._placement.leaves[leaf])
        return sum(self._dataset.parts[block].nbytes or 0 for block in blocks)

    def _load(self, plans: Sequence[ShardPlan]) -> Sequence[Future[Any]]:
        """Have each worker make a shard, with the steps before it as far as others don't need them.

        Later ones leave no step to others, of which some are late.
        """
        if self._shards and self._dataset.collections:
            leaves = [self._placement.sources(self._dataset, plan.leaves) for plan in plans]
            return [
                load_alone(self._client, self._dataset.collections, some, plan.worker)
                for some, plan in zip(leaves, plans, strict=True)
            ]
        news = [
            HeldShards(
                self._dataset, replace(self._placement, shards=(plan,)), self._client, plan.worker
            )
            for plan in plans
        ]
        self._shards += news
        return [future for shards in news for future in shards.futures.values()]

    def _news(self, seat: int, parts: Iterable[int]) -> set[int]:
        coming = {part for transport in self._transports[seat] for part in transport.parts}
        return {part for part in parts if self.parts[part]} - self.held[seat] - coming

    def _leaves(self, parts: Iterable[int]) -> list[int]:
        return [leaf for part in parts for leaf in self.parts[part]]

    def _hand_over(self, seat: int, shard: Future[Any]) -> Future[Any]:
        name = self._gang.name(seat)
        key = f"flowml-adopt-{self._fit}-{seat}-{unique_token()}"
        where = {"workers": [self._gang.workers[seat].address], "allow_other_workers": False}
        return self._client.submit(take, name, self._fit, [shard], key=key, **where)

    def _raise(self, task: Future[Any]) -> None:
        """Raise what a task raised, unless it only says that its worker is gone."""
        error = task.exception() if task.status == "error" else None
        if error is not None and not isinstance(error, LOST):
            raise error

    def _coming(self, gone: set[int]) -> list[Transport]:
        return [
            one
            for seat, each in enumerate(self._transports)
            for one in each
            if not one.has_arrived and seat not in gone
        ]

    def _gone(self) -> set[int]:
        there = {worker.address for worker in cluster_workers(self._client)}
        return {
            seat for seat, worker in enumerate(self._gang.workers) if worker.address not in there
        }
