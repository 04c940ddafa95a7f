"""Shards that a worker makes by itself, each in one task, whatever the others are at."""

import pickle
from collections import Counter
from collections.abc import Sequence
from typing import Any

import dask
from dask.highlevelgraph import HighLevelGraph
from dask.optimization import cull
from distributed import Client, Future
from distributed.protocol import pickle as with_closures

from flowml.data.block_source import BlockSource, DaskKeys
from flowml.runtimes.cluster.graphs import unique_token
from flowml.runtimes.shard import Leaves, Shard, make_shard


class Steps:
    """The steps that lead to the chunks of Dask collections, as part of the tasks that need them.

    A scheduler knows these steps by name, and may have them done by a worker that doesn't answer;
    each of them is a task to it. Here they are part of one; only chunks that are in workers'
    memory are fetched from there.

    Parameters
    ----------
    collections : sequence of Dask collections
    """

    def __init__(self, collections: Sequence[Any]) -> None:
        graphs = [collection.__dask_graph__() for collection in collections]
        graph = HighLevelGraph.merge(*graphs)
        self._is_annotated = any(layer.annotations for layer in graph.layers.values())
        self._steps = graph.to_dict()

    def are_apart(self, lots: Sequence[Leaves]) -> bool:
        """Tell whether each step is needed by one of some lots of leaves only.

        Not so where chunks are in memory, or a user has said who is to do what.
        """
        steps = [self._steps_to(lot) for lot in lots]
        there = any(isinstance(step, Future) for each in steps for step in each.values())
        shared = max(Counter(key for each in steps for key in each).values(), default=1) > 1
        return not (there or shared or self._is_annotated)

    def load(self, client: Client, leaves: Leaves, worker: str, priority: int = 0) -> Future[Any]:
        """Have a worker make a shard in one task.

        Parameters
        ----------
        client : distributed.Client
        leaves : sequence of pairs of number and sources
        worker : str
            Its address.
        priority : int
            Among its tasks.
        """
        tasks = self._steps_to(leaves)
        there = {key: value for key, value in tasks.items() if isinstance(value, Future)}
        steps = with_closures.dumps({key: tasks[key] for key in tasks if key not in there})
        names = with_closures.dumps(list(there))
        key = f"flowml-copy-{unique_token()}"
        chunks = list(there.values())
        return client.submit(
            make_alone,
            steps,
            names,
            chunks,
            leaves,
            key=key,
            workers=[worker],
            allow_other_workers=False,
            priority=priority,
        )

    def _steps_to(self, leaves: Leaves) -> dict[Any, Any]:
        wanted = {key for _, sources in leaves for source in sources for key in keys_of(source)}
        steps: dict[Any, Any] = cull(self._steps, wanted)[0]
        return steps


def make_alone(steps: bytes, names: bytes, chunks: Sequence[Any], leaves: Leaves) -> Shard:
    """Make a shard of chunks that are there, and of those that are made here: a task."""
    graph: dict[Any, Any] = pickle.loads(steps)
    graph |= zip(pickle.loads(names), chunks, strict=True)
    made = [(number, [_block(graph, source) for source in sources]) for number, sources in leaves]
    return make_shard(made, True, True)


def keys_of(source: BlockSource) -> list[Any]:
    """Return the keys of the chunks that a block is made of."""
    return [key for key in source[1:] if key is not None] if isinstance(source, DaskKeys) else []


def _block(graph: dict[Any, Any], source: BlockSource) -> BlockSource:
    if not isinstance(source, DaskKeys):
        return source
    steps = cull(graph, keys := keys_of(source))[0]  # Dask would put all of them in order first
    chunks = dict(zip(keys, dask.get(steps, keys), strict=True))
    return source.assemble(*(None if key is None else chunks[key] for key in source[1:]))
