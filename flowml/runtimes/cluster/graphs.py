"""The graph that makes a fit's shards, and the names that its tasks have."""

from collections.abc import Mapping
from typing import Any, TypeAlias
from uuid import uuid4

from dask.highlevelgraph import HighLevelGraph, MaterializedLayer
from dask.task_spec import List, Task
from distributed import futures_of

from flowml.data.block_source import as_argument
from flowml.data.dataset import Dataset
from flowml.runtimes.placement import Placement
from flowml.runtimes.shard import make_shard

Key: TypeAlias = Any


def unique_token() -> str:
    """Return a name that no other fit on the cluster has, from whichever client."""
    return uuid4().hex


def shard_key(token: str, number: int) -> Key:
    """Name a shard."""
    return f"flowml-shard-{token}-{number}"


def shard_graph(dataset: Dataset, placement: Placement, token: str) -> HighLevelGraph:
    """Build the graph that makes the shards: one task for each, whatever its number of blocks."""
    owned = not any(futures_of(collection) for collection in dataset.collections)
    layers: dict[str, Mapping[Key, Any]] = {}
    dependencies: dict[str, set[str]] = {}
    upstream = HighLevelGraph.merge(
        *(collection.__dask_graph__() for collection in dataset.collections)
    )
    layers.update(upstream.layers)
    dependencies.update({name: set(names) for name, names in upstream.dependencies.items()})
    for number, shard in enumerate(placement.shards):
        key = shard_key(token, number)
        leaves = [
            List(leaf, List(*map(as_argument, sources)))
            for leaf, sources in placement.sources(dataset, shard.leaves)
        ]
        task = Task(key, make_shard, List(*leaves), owned, placement.keep)
        layers[key] = MaterializedLayer({key: task}, annotations=pin(shard.worker))
        dependencies[key] = set(upstream.layers)
    return HighLevelGraph(layers, dependencies)


def pin(worker: str) -> dict[str, Any]:
    """Prefer one worker, but outlive it."""
    return {"workers": [worker], "allow_other_workers": True} if worker else {}
