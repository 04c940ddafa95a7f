"""The shards of a fit on a cluster: brought there, held, and released."""

from collections.abc import Sequence
from typing import Any

from dask.delayed import Delayed
from dask.highlevelgraph import HighLevelGraph
from distributed import Client, Future

from flowml.data.dataset import Dataset
from flowml.runtimes.cluster import forget
from flowml.runtimes.graphs import Key, shard_graph, shard_key, unique_token
from flowml.runtimes.placement import Placement
from flowml.runtimes.shard import make_shard


class HeldShards:
    """Shards that workers hold until they are released.

    Parameters
    ----------
    dataset : Dataset
    placement : Placement
    client : distributed.Client

    Attributes
    ----------
    token : str
        Names this fit's keys.
    futures : dict of key to Future
        In the order of the placement's shards.
    """

    def __init__(self, dataset: Dataset, placement: Placement, client: Client) -> None:
        self.token = unique_token()
        keys = [shard_key(self.token, number) for number in range(len(placement.shards))]
        self.futures: dict[Key, Future[Any]] = {key: Future(key, client) for key in keys}
        try:
            if dataset.is_lazy:
                graph = shard_graph(dataset, placement, self.token)
                client.persist([Delayed(key, graph) for key in keys])
            else:
                _send(dataset, placement, client, keys)
        except BaseException:
            forget(client, list(self.futures.values()))
            raise

    @property
    def graph(self) -> HighLevelGraph:
        """The shards as a layer that other graphs build on."""
        layer = f"shards-{self.token}"
        return HighLevelGraph({layer: self.futures}, {layer: set()})

    def is_lost(self) -> bool:
        """Tell whether a worker is gone whose shards no graph can make again."""
        return any(future.cancelled() for future in self.futures.values())

    def release(self) -> None:
        """Let the workers drop the shards."""
        for future in self.futures.values():
            future.release()
        self.futures = {}


def _send(dataset: Dataset, placement: Placement, client: Client, keys: Sequence[Key]) -> None:
    """Send rows that are in this process, which no graph could hold without a copy."""
    for key, plan in zip(keys, placement.shards, strict=True):
        shard = make_shard(placement.sources(dataset, plan.leaves), True, True)
        client.scatter({key: shard}, workers=[plan.worker])
