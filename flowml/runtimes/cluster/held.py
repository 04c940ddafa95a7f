"""The shards of a fit on a cluster: brought there, held, and released."""

from collections.abc import Sequence
from typing import Any

from dask.delayed import Delayed
from dask.highlevelgraph import HighLevelGraph
from distributed import Client, Future

from flowml.data.dataset import Dataset
from flowml.runtimes.cluster.graphs import Key, shard_graph, shard_key, unique_token
from flowml.runtimes.cluster.moving import moved_graph
from flowml.runtimes.cluster.workers import forget
from flowml.runtimes.placement import Placement
from flowml.runtimes.shard import make_shard


class HeldShards:
    """Shards that workers hold until they are released.

    Parameters
    ----------
    dataset : Dataset
    placement : Placement
    client : distributed.Client
    near : str
        The worker that is to take the steps before the shards, too; any where it is empty.

    Attributes
    ----------
    token : str
        Names this fit's keys.
    futures : dict of key to Future
        In the order of the placement's shards.
    """

    def __init__(
        self, dataset: Dataset, placement: Placement, client: Client, near: str = ""
    ) -> None:
        self._client = client
        self._placement = placement
        self.token = unique_token()
        self.futures = futures = self._named(self.token, placement)
        try:
            if dataset.is_lazy:
                graph = shard_graph(dataset, placement, self.token)
                lazy = [Delayed(key, graph) for key in futures]
                client.persist(lazy, workers=near or None, allow_other_workers=bool(near))
            else:
                _send(dataset, placement, client, list(futures))
        except BaseException:
            forget(client, list(futures.values()))
            raise

    @property
    def graph(self) -> HighLevelGraph:
        """The shards as a layer that other graphs build on."""
        layer = f"shards-{self.token}"
        return HighLevelGraph({layer: self.futures}, {layer: set()})

    def move(self, placement: Placement) -> None:
        """Share the leaves out anew: shards are split where they are, and only parts travel.

        Shards have other names afterwards, and the same leaves as `placement` says. Workers need
        not have carried it out when this returns: whatever builds on the new names waits for them.

        Parameters
        ----------
        placement : Placement
            The same leaves on other workers.
        """
        token = unique_token()
        futures = self._named(token, placement)
        where = self._client.who_has(list(self.futures.values()))
        sites = [min(where.get(key) or [""]) for key in self.futures]
        graph = moved_graph(self.graph, sites, (self._placement, self.token), (placement, token))
        try:
            self._client.persist([Delayed(key, graph) for key in futures])
        except BaseException:
            forget(self._client, list(futures.values()))
            raise
        self.release()
        self.token, self.futures, self._placement = token, futures, placement

    def is_lost(self) -> bool:
        """Tell whether shards are gone that the scheduler can't make again.

        Dask calls those lost, too, that it is about to make again.
        """
        return any(future.cancelled() for future in self.futures.values())

    def release(self) -> None:
        """Let the workers drop the shards."""
        for future in self.futures.values():
            future.release()
        self.futures = {}

    def _named(self, token: str, placement: Placement) -> dict[Key, Future[Any]]:
        keys = [shard_key(token, number) for number in range(len(placement.shards))]
        return {key: Future(key, self._client) for key in keys}


class StreamedShards:
    """Shards that each pass makes anew: the same face as `HeldShards`.

    Parameters
    ----------
    dataset : Dataset
    placement : Placement

    Attributes
    ----------
    token : str
    graph : HighLevelGraph
    """

    def __init__(self, dataset: Dataset, placement: Placement) -> None:
        self._dataset = dataset
        self.move(placement)

    def move(self, placement: Placement) -> None:
        """Share the leaves out anew."""
        self.token = unique_token()
        self.graph = shard_graph(self._dataset, placement, self.token)

    def is_lost(self) -> bool:
        """Nothing is held, so nothing is lost."""
        return False

    def release(self) -> None:
        """Nothing is held."""


def _send(dataset: Dataset, placement: Placement, client: Client, keys: Sequence[Key]) -> None:
    """Send rows that are in this process, which no graph could hold without a copy."""
    for key, plan in zip(keys, placement.shards, strict=True):
        shard = make_shard(placement.sources(dataset, plan.leaves), True, True)
        client.scatter({key: shard}, workers=[plan.worker])
