"""Copies of parts at the members of a gang: which are there, and which are on their way."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from distributed import Client, Future

from flowml.data.dataset import Dataset
from flowml.runtimes.cluster.alone import Steps
from flowml.runtimes.cluster.held import HeldShards
from flowml.runtimes.cluster.workers import cluster_workers, forget
from flowml.runtimes.coded.desk import take
from flowml.runtimes.gangs.gang import LOST, Gang
from flowml.runtimes.placement import Placement, ShardPlan
from flowml.runtimes.shard import Leaves


@dataclass(eq=False)
class Transport:
    """Parts on their way to a member, and then there.

    Parameters
    ----------
    parts : tuple of int
    shard : Future
        Their leaves in the worker's memory.
    task : Future or None
        Gives them to the member, once that has sat down.
    asked : float
        When it was asked for, by `time.monotonic`.
    """

    parts: tuple[int, ...]
    shard: Future[Any]
    task: Future[Any] | None = None
    asked: float = 0.0
    has_arrived: bool = False

    def release(self) -> None:
        """Let the worker drop what it has of it, and leave what it hasn't."""
        self.shard.release()
        if self.task is not None:
            self.task.release()


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
        self._steps = Steps(dataset.collections) if dataset.collections else None

    @property
    def _client(self) -> Client:
        return self._gang.client

    def admit(self) -> None:
        """Make room for another member of the gang."""
        self.held.append(set())
        self._transports.append([])

    def read(self, wanted: Mapping[int, Iterable[int]]) -> None:
        """Send for the first parts of all members.

        They come one by one, in their order, but all of a member's at once where a step that leads
        to one leads to others' parts, too, or the rows are sent from here.
        """
        news = {seat: sorted(self._news(seat, parts)) for seat, parts in wanted.items()}
        each = [self._sources((part,)) for parts in news.values() for part in parts]
        apart = self._steps.are_apart(each) if self._steps else self._dataset.is_lazy
        for seat, parts in news.items():
            lots = [(part,) for part in parts] if apart else [tuple(parts)]
            self._load(seat, lots if parts else [], self._steps if apart else None)

    def bring(self, wanted: Mapping[int, Iterable[int]]) -> int:
        """Send for parts that members don't have yet; return how many those are.

        No step is left to other workers, of which some are late.
        """
        news = {seat: tuple(sorted(self._news(seat, parts))) for seat, parts in wanted.items()}
        for seat, parts in news.items():
            self._load(seat, [parts] if parts else [], self._steps)
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
                if transport.task is None:
                    transport.task = self._gang.submit(seat, take, self._fit, [transport.shard])
                    transport.asked = time.monotonic()
                elif transport.task.status == "finished":
                    transport.has_arrived = True
                    transport.task.release()
                    self.held[seat] |= set(transport.parts)
                elif transport.task.status != "pending":
                    self._raise(transport.task)
                    transports.remove(transport)
                    transport.release()

    def are_there(self, wanted: Mapping[int, Iterable[int]]) -> bool:
        """Tell whether members have parts."""
        return all(
            part in self.held[seat] or not self.parts[part]
            for seat, parts in wanted.items()
            for part in parts
        )

    def coming(self, seat: int) -> list[tuple[int, ...]]:
        """Return what is on its way to a member, in order, as parts that come together."""
        return [one.parts for one in self._transports[seat] if not one.has_arrived]

    def gone(self) -> set[int]:
        """Ask the scheduler which members' workers it knows no more."""
        there = {worker.address for worker in cluster_workers(self._client)}
        return {
            seat for seat, worker in enumerate(self._gang.workers) if worker.address not in there
        }

    def make_do(self, seat: int) -> None:
        """Have a member make do with the parts that it has; without any it gets the first."""
        coming = [one for one in self._transports[seat] if not one.has_arrived]
        for one in coming if self.held[seat] else coming[1:]:
            self._transports[seat].remove(one)
            one.release()

    def lose(self, seat: int) -> None:
        """Let go of what a member had that is gone, before Dask makes it again elsewhere."""
        self.held[seat] = set()
        for transport in self._transports[seat]:
            transport.shard.release()
        self._forget(self._transports[seat])
        self._transports[seat] = []

    def close(self) -> None:
        """Let the workers drop the rows."""
        transports = [one for each in self._transports for one in each]
        self._forget(transports)
        for transport in transports:
            transport.shard.release()
        for shards in self._shards:
            shards.release()
        self._shards, self._transports = [], []

    def nbytes(self, parts: Iterable[int]) -> int:
        """Count the bytes of parts, as far as they are known."""
        blocks = (block for leaf in self._leaves(parts) for block in self._placement.leaves[leaf])
        return sum(self._dataset.parts[block].nbytes or 0 for block in blocks)

    def _load(self, seat: int, lots: Sequence[tuple[int, ...]], steps: Steps | None) -> None:
        """Have a member's worker make shards, in one task each where there are steps."""
        worker = self._gang.workers[seat].address
        if steps is not None:
            sources = map(self._sources, lots)
            shards = [steps.load(self._client, s, worker, -n) for n, s in enumerate(sources)]
        else:
            plans = tuple(ShardPlan(worker, tuple(sorted(self._leaves(some)))) for some in lots)
            placement = replace(self._placement, shards=plans)
            self._shards.append(HeldShards(self._dataset, placement, self._client, worker))
            shards = list(self._shards[-1].futures.values())
        self._transports[seat] += map(Transport, lots, shards)

    def _sources(self, parts: Iterable[int]) -> Leaves:
        return self._placement.sources(self._dataset, sorted(self._leaves(parts)))

    def _news(self, seat: int, parts: Iterable[int]) -> set[int]:
        coming = {part for transport in self._transports[seat] for part in transport.parts}
        return {part for part in parts if self.parts[part]} - self.held[seat] - coming

    def _leaves(self, parts: Iterable[int]) -> list[int]:
        return [leaf for part in parts for leaf in self.parts[part]]

    def _forget(self, transports: Iterable[Transport]) -> None:
        """Cancel what gives parts to members and hasn't yet."""
        coming = [one for one in transports if not one.has_arrived]
        tasks = [one.task for one in coming if one.task is not None]
        if tasks:
            forget(self._client, tasks, max(one.asked for one in coming))

    def _raise(self, task: Future[Any]) -> None:
        """Raise what a task raised, unless it only says that its worker is gone."""
        error = task.exception() if task.status == "error" else None
        if error is not None and not isinstance(error, LOST):
            raise error
