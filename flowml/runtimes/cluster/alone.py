"""A shard that one worker makes by itself, whatever the others are at."""

import pickle
from collections.abc import Mapping, Sequence
from typing import Any

import dask
from dask.highlevelgraph import HighLevelGraph
from distributed import Client, Future
from distributed.protocol import pickle as with_closures

from flowml.data.block_source import BlockSource, DaskKeys
from flowml.runtimes.cluster.graphs import unique_token
from flowml.runtimes.shard import Leaves, Shard, make_shard


def load_alone(
    client: Client, collections: Sequence[Any], leaves: Leaves, worker: str
) -> Future[Any]:
    """Have a worker make a shard in one task.

    A scheduler knows the steps that lead to a Dask collection's chunks by name, and may have them
    done by a worker that doesn't answer. Here they are part of the task; only chunks that are in
    workers' memory are fetched from there.

    Parameters
    ----------
    client : distributed.Client
    collections : sequence of Dask collections
        Of which the leaves are made.
    leaves : sequence of pairs of number and sources
    worker : str
        Its address.
    """
    wanted = {key for _, sources in leaves for source in sources for key in keys_of(source)}
    graph = HighLevelGraph.merge(*(collection.__dask_graph__() for collection in collections))
    tasks = graph.cull(wanted).to_dict()
    there = {key: value for key, value in tasks.items() if isinstance(value, Future)}
    steps = with_closures.dumps({key: tasks[key] for key in tasks if key not in there})
    names = with_closures.dumps(list(there))
    key = f"flowml-copy-{unique_token()}"
    where = {"workers": [worker], "allow_other_workers": False}
    chunks = list(there.values())
    return client.submit(make_alone, steps, names, chunks, leaves, key=key, **where)


def make_alone(steps: bytes, names: bytes, chunks: Sequence[Any], leaves: Leaves) -> Shard:
    """Make a shard of chunks that are there, and of those that are made here: a task."""
    graph: dict[Any, Any] = pickle.loads(steps)
    graph |= zip(pickle.loads(names), chunks, strict=True)
    made = [(number, [_block(graph, source) for source in sources]) for number, sources in leaves]
    return make_shard(made, True, True)


def keys_of(source: BlockSource) -> list[Any]:
    """Return the keys of the chunks that a block is made of."""
    return [key for key in source[1:] if key is not None] if isinstance(source, DaskKeys) else []


def _block(graph: Mapping[Any, Any], source: BlockSource) -> BlockSource:
    if not isinstance(source, DaskKeys):
        return source
    chunks = dict(zip(keys := keys_of(source), dask.get(graph, keys), strict=True))
    return source.assemble(*(None if key is None else chunks[key] for key in source[1:]))
